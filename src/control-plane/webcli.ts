/** Sessions of the web's command line: kept in the database, so that any control plane goes on with them, and none after a logout. */
import { createHash, randomUUID } from 'node:crypto'
import { appendAudit } from '../store/audit.ts'
import { dropSetting, readSetting, settingsLike, writeSetting } from '../store/settings.ts'
import { forgetTries, readTries, writeTries } from '../store/tries.ts'
import { lockedInstances, nodesOf, projectInstances } from '../store/instances.ts'
import { onlyLooking } from '../operations/converge.ts'
import { transact, type Database } from '../store/database.ts'
import { isWithin, type EngineName, type Instance, type RuntimeName } from '../core/instance.ts'
import { stateRefusal } from './surveys.ts'
import { openOperationsOf } from '../store/operations.ts'
import { afterWrong } from '../core/tries.ts'
import type { Caller } from '../core/control-plane.ts'
import type { CliRefusal, WebCli } from '../core/webcli.ts'
import type { Desk } from '../core/desk.ts'
import type { Engine, World } from '../core/engine.ts'
import type { Runtime } from '../core/runtime.ts'

export interface WebCliParts {
  readonly db: Database
  readonly engines: Readonly<Record<EngineName, Engine>>
  readonly runtimes: Readonly<Record<RuntimeName, Runtime>>
  readonly host: string
}

/** Nobody who went away leaves a door open for longer. */
const idleMs = 15 * 60_000

interface Session { readonly instanceId: string; readonly userId: string; /** Epoch ms. */ readonly until: number; /** Of the password as it is stored: another one ends the session. */ readonly password: string }

const prefix = 'webcli '
const mark = ({ spec }: Instance): string => createHash('sha256').update(spec.sealedPassword ?? '').digest('base64url')

export function webCli({ db, engines, runtimes, host }: WebCliParts): WebCli {
  async function reach<T>(caller: Caller, id: string, work: (desk: Desk, world: World) => Promise<T>): Promise<T | CliRefusal> {
    const [instance] = await projectInstances(db, caller.projectId, 'redis', [id])
    if (!instance) return { kind: 'unknown' }
    const refusal = stateRefusal(instance, (await openOperationsOf(db, [id])).get(id) ?? null)
    if (refusal) return refusal
    const { desk } = engines[instance.engine]
    if (!desk) return { kind: 'unsupported', reason: 'this engine has no command line' }
    if (!isWithin(instance.host, host)) return { kind: 'silent', reason: 'another machine runs this instance: ask the control plane there' }
    const world = await onlyLooking(instance, (await nodesOf(db, [id])).get(id) ?? [], runtimes[instance.runtime])
    try { return await work(desk, world) } catch (error) { return { kind: 'silent', reason: (error as Error).message } }
  }

  async function find(caller: Caller, id: string, session: string): Promise<Session | null> {
    const found = /^[0-9a-f]{32}$/.test(session) ? await readSetting<Session | null>(db, `${prefix}${session}`, null) : null
    return found && found.instanceId === id && found.userId === caller.userId && found.until > Date.now() ? found : null
  }

  return {
    async login(caller, id, password) {
      const now = Date.now()
      const guesses = `webcli ${id}`
      const tries = await transact(db, (tx) => readTries(tx, guesses))
      if (tries.lockedUntil > now) return { kind: 'locked', forMs: tries.lockedUntil - now }
      const admitted = await reach(caller, id, async (desk, world) => ({ ok: await desk.admits(world, password), databases: desk.databases(world.instance), password: mark(world.instance) }))
      if ('kind' in admitted) return admitted
      const session = randomUUID().replaceAll('-', '')
      return transact(db, async (tx) => {
        const [instance] = await lockedInstances(tx, caller.projectId, 'redis', [id])
        if (!instance) return { kind: 'unknown' } as const
        const wrong = (await readTries(tx, guesses)).wrong + 1
        if (admitted.ok) await forgetTries(tx, [guesses])
        else await writeTries(tx, guesses, afterWrong(wrong, now))
        if (admitted.ok) {
          for (const [name, old] of await settingsLike<Session>(tx, prefix)) if (old.until < now) await dropSetting(tx, name)
          await writeSetting(tx, `${prefix}${session}`, { instanceId: id, userId: caller.userId, until: now + idleMs, password: admitted.password } satisfies Session)
        }
        await appendAudit(tx, [{ at: now, actor: caller.userName, projectId: caller.projectId, action: admitted.ok ? 'webcli.login' : 'webcli.wrong', instanceId: id, operationId: '', detail: '' }])
        return admitted.ok ? { session, databases: admitted.databases } : { kind: 'wrong password' } as const
      })
    },
    async run(caller, id, { session, words, database }) {
      const found = await find(caller, id, session)
      if (!found) return { kind: 'no session' }
      return reach(caller, id, async (desk, world): Promise<{ text: string } | CliRefusal> => {
        if (mark(world.instance) !== found.password) return { kind: 'no session' }
        // Who asked for what is on record before it happens; what it was about stays the customer's.
        await transact(db, async (tx) => {
          await writeSetting(tx, `${prefix}${session}`, { ...found, until: Date.now() + idleMs } satisfies Session)
          await appendAudit(tx, [{ at: Date.now(), actor: caller.userName, projectId: caller.projectId, action: 'webcli.command', instanceId: id, operationId: '', detail: words[0]!.slice(0, 64) }])
        })
        return { text: await desk.command(world, words, database) }
      })
    },
    async logout(caller, id, session) {
      if (!await find(caller, id, session)) return 'no session'
      await transact(db, async (tx) => {
        await dropSetting(tx, `${prefix}${session}`)
        await appendAudit(tx, [{ at: Date.now(), actor: caller.userName, projectId: caller.projectId, action: 'webcli.logout', instanceId: id, operationId: '', detail: '' }])
      })
      return 'ended'
    },
  }
}
