/** Notices what changed by itself: a node that died, an engine that stopped answering. It changes nothing; it opens recoveries. */
import { randomUUID } from 'node:crypto'
import { appendAudit } from '../store/audit.ts'
import { lockInstances, setHealth, settledReader } from '../store/instances.ts'
import { openOperations, openOperationsOf } from '../store/operations.ts'
import { transact, type Database, type Tx } from '../store/database.ts'
import { isAway } from '../core/away.ts'
import { outdated } from './converge.ts'
import { reporter } from './outages.ts'
import type { Engine } from '../core/engine.ts'
import { unsettled, type EngineName, type Instance, type NodeRecord, type RuntimeName } from '../core/instance.ts'
import type { Logger } from '../core/logger.ts'
import type { NodeState, Runtime } from '../core/runtime.ts'

export interface Observer { /** Looks now: a process just ended. */ nudge(): void; stop(): Promise<void> }

export interface ObserverParts {
  readonly db: Database
  readonly engines: Readonly<Record<EngineName, Engine>>
  readonly runtimes: Readonly<Record<RuntimeName, Runtime>>
  readonly host: string
  readonly log: Logger
  /** Called after a recovery was opened. */
  readonly opened: () => void
}

/** A dead process is noticed within this; looking costs one small file read a node. */
const lookEveryMs = 500
/** Asking an engine costs a connection a node, so it is done rarely; a hung server is rarer than a dead one. */
const askEveryMs = 30_000
/** Where another node could take over, waiting for half a minute would be a waste. */
const askSeveralEveryMs = 2000
/**
 * An engine that does not answer well this many times in a row is called unhealthy. A lone server is never killed for
 * that: a long script looks the same. Where there are several, a recovery puts roles and links right.
 */
const silencesBeforeUnhealthy = 3
/** A silent engine is asked again sooner, to know. */
const askSilentEveryMs = 2000
/** A node that stayed up this long starts with a clean record. */
const forgetCrashesAfterMs = 60_000
/** Somebody has to install what is missing, or to give a right back. */
const retryDriftMs = 10_000
const backoffMs = [0, 500, 2000, 5000, 15_000, 60_000]
/** From this many crashes in a row on, the cause says that it keeps dying. */
const crashesWorthSaying = 3

/** One for each runtime: a cluster that does not answer must not keep the processes of this machine from being looked at. */
export function startObserver(parts: ObserverParts): Observer {
  const all = (Object.keys(parts.runtimes) as RuntimeName[]).map((name) => observe(parts, name))
  return {
    nudge() { for (const one of all) one.nudge() },
    async stop() { await Promise.all(all.map((one) => one.stop())) },
  }
}

function observe({ db, engines, runtimes, host, log, opened }: ObserverParts, name: RuntimeName): Observer {
  const asked = new Map<string, { at: number; silences: number }>()
  let looking: Promise<void> | null = null
  let stopped = false
  let again = false
  const settled = settledReader(db, host, name)
  const failed = reporter(log, 'the instances could not be looked at')
  let isAwayNow = false

  async function look(): Promise<void> {
    // Of the others an operation takes care, or there is nothing yet to keep running.
    const found = await settled()
    const ids = new Set(found.map(({ instance }) => instance.id))
    for (const id of asked.keys()) if (!ids.has(id)) asked.delete(id)
    for (const { instance, nodes } of found) {
      if (stopped) return
      const met = await judge(instance, nodes).then(() => true, (error) => {
        if (isAway(error)) return away((error as Error).message)
        log.warn({ instance: instance.id, reason: (error as Error).message }, 'an instance could not be looked at')
        return true
      })
      // Who cannot be asked about one cannot be asked about the others.
      if (!met) return
      if (isAwayNow) log.info({ runtime: name }, 'the runtime answers again')
      isAwayNow = false
    }
  }

  /** Said once, not twice a second. */
  function away(reason: string): boolean {
    if (!isAwayNow) log.warn({ runtime: name, reason }, 'the runtime does not answer; its nodes are looked at when it does')
    isAwayNow = true
    return false
  }

  async function judge(instance: Instance, nodes: readonly NodeRecord[]): Promise<void> {
    const runtime = runtimes[instance.runtime]
    // What is watched is looked at when something happens to it, and when its engine is asked.
    if (runtime.quiet?.(instance) && !isDue(instance, nodes.length, Date.now())) return
    const states = await runtime.inspect(instance.id, nodes.map((node) => node.id))
    const dead = outdated(instance, nodes, states)
    if (dead.length > 0) return recover(instance, states.filter((state) => dead.some((node) => node.id === state.id)), nodes.length)
    const drift = await runtime.drift?.(instance, nodes) ?? null
    // What could not be put back a moment ago is not tried without a pause.
    if (drift !== null) return open(instance, { cause: drift, crashes: instance.crashes, waitMs: instance.health === 'healthy' ? 0 : retryDriftMs, startsMs: 0 })
    const now = Date.now()
    if (!isDue(instance, nodes.length, now)) return
    const last = asked.get(instance.id)!
    // Not awaited: one hung engine must not keep the others from being looked at.
    asked.set(instance.id, { ...last, at: now })
    void ask(instance, nodes, states, last.silences).catch((error) => log.warn({ instance: instance.id, reason: (error as Error).message }, 'an engine could not be asked'))
  }

  function isDue(instance: Instance, nodeCount: number, now: number): boolean {
    const last = asked.get(instance.id) ?? { at: now - Math.random() * askEveryMs, silences: 0 }
    asked.set(instance.id, last)
    const doubtful = last.silences > 0 || instance.health !== 'healthy'
    return now - last.at >= (nodeCount > 1 ? askSeveralEveryMs : doubtful ? askSilentEveryMs : askEveryMs)
  }

  async function ask(instance: Instance, nodes: readonly NodeRecord[], states: readonly NodeState[], silences: number): Promise<void> {
    const health = await engines[instance.engine].probe(instance, nodes, states)
    if (stopped) return
    asked.set(instance.id, { at: Date.now(), silences: health.ok ? 0 : silences + 1 })
    // It answers, so it can be told.
    if (health.ok && instance.grants[unsettled] !== undefined) return open(instance, { cause: 'a change of it failed, and its servers may have a part of that', crashes: instance.crashes, waitMs: 0, startsMs: 0 })
    if (health.ok && instance.health !== 'healthy') return judged(instance, 'healthy', null)
    if (health.ok || silences + 1 < silencesBeforeUnhealthy) return
    const cause = health.reason ?? 'the engine does not answer'
    // Where others have the data and the role can move, a recovery finds out who hangs, and puts roles right.
    if (nodes.length > 1 && engines[instance.engine].arrange) return open(instance, { cause, crashes: instance.crashes, waitMs: 0, startsMs: 0 })
    if (instance.health === 'healthy') return judged(instance, 'unhealthy', cause)
  }

  /** Only while nothing was opened or bumped meanwhile: an operation knows better. */
  async function judged(instance: Instance, health: 'healthy' | 'unhealthy', cause: string | null): Promise<void> {
    await transact(db, async (tx) => {
      if (!await isUnchanged(tx, instance) || (await openOperationsOf(tx, [instance.id])).size > 0) return
      await setHealth(tx, instance.id, health, cause, Date.now())
      await appendAudit(tx, [{ at: Date.now(), actor: 'sluice', projectId: instance.projectId, action: `observed.${health}`, instanceId: instance.id, operationId: '', detail: cause ?? '' }])
    })
  }

  async function recover(instance: Instance, dead: readonly NodeState[], nodeCount: number): Promise<void> {
    // By "sluice down", say, which is no crash.
    if (dead.every(({ exit }) => exit?.asked)) return open(instance, { cause: `${dead.length} of its nodes were stopped, and are wanted again`, crashes: instance.crashes, waitMs: 0, startsMs: 0 })
    const now = Date.now()
    // Since its last operation ended nothing touched it: read from the database, for this control plane may be young.
    const crashes = now - instance.updatedAt > forgetCrashesAfterMs ? 1 : instance.crashes + 1
    const waitMs = backoffMs[Math.min(crashes - 1, backoffMs.length - 1)]!
    const last = dead[0]!
    const cause = [
      `${dead.length} of its nodes ended by themselves${last.exit?.code == null ? '' : ` (exit code ${last.exit.code})`}`,
      crashes >= crashesWorthSaying ? `, ${crashes} times in a row; the next start is in ${waitMs / 1000} s` : '',
      last.exit?.lastLines ? `; the last lines:\n${last.exit.lastLines}` : '',
    ].join('')
    // Of several, the others take over now, however often this one died; only its own next start waits.
    await open(instance, { cause, crashes, ...(dead.length < nodeCount ? { waitMs: 0, startsMs: waitMs } : { waitMs, startsMs: 0 }) })
  }

  /** `waitMs`: before anything is done; `startsMs`: before anything is started. */
  async function open(instance: Instance, { cause, crashes, waitMs, startsMs }: { cause: string; crashes: number; waitMs: number; startsMs: number }): Promise<void> {
    const now = Date.now()
    const id = randomUUID().replaceAll('-', '')
    const didOpen = await transact(db, async (tx) => {
      if (!await isUnchanged(tx, instance)) return false
      const done = await openOperations(tx, [{ id, instance, action: 'recover', generation: instance.generation, actor: 'sluice', at: now, nextAt: now + waitMs, cause, ...(startsMs > 0 ? { memo: { notBefore: now + startsMs } } : {}) }])
      if (done.size === 0) return false
      await tx.updateTable('instances').set({ crashes, cause, updated_at: now }).where('id', '=', instance.id).execute()
      await appendAudit(tx, [{ at: now, actor: 'sluice', projectId: instance.projectId, action: 'recover.accepted', instanceId: instance.id, operationId: id, detail: cause }])
      return true
    })
    if (!didOpen) return
    log.warn({ instance: instance.id, crashes, waitMs: waitMs + startsMs, cause }, 'an instance is not whole by itself and is brought back')
    opened()
  }

  function nudge(): void {
    if (stopped) return
    if (looking) { again = true; return }
    looking = look().catch(failed).finally(() => {
      looking = null
      // A process ended while others were looked at: it may have been looked at before that.
      if (again) { again = false; nudge() }
    })
  }

  const timer = setInterval(nudge, lookEveryMs)
  return {
    nudge,
    async stop() {
      stopped = true
      clearInterval(timer)
      await looking
    },
  }
}

/** Whether it is as it was when its nodes were looked at: whatever another control plane did since knows better. */
async function isUnchanged(tx: Tx, instance: Instance): Promise<boolean> {
  await lockInstances(tx, [instance.id])
  const current = await tx.selectFrom('instances').select(['generation', 'updated_at']).where('id', '=', instance.id).executeTakeFirst()
  return current?.generation === instance.generation && current.updated_at === instance.updatedAt
}
