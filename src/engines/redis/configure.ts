/** Makes the settings of servers that run what the spec says, without restarting one; each is asked again whether it is so. */
import { checkpoint } from '../../core/checkpoint.ts'
import { TerminalError } from '../../core/operation.ts'
import { account, all, copier, isFinal } from './client.ts'
import { closeAll, meetAll, type Seen } from './seen.ts'
import { dismiss } from './sessions.ts'
import { isSet, settingsOf } from './parameters.ts'
import { askListener, leftFiles, listenerIn, showCertificate } from './tls.ts'
import { turnAll } from './turn.ts'
import { cut, relisten } from './views.ts'
import { topologyOf, type Ground } from './topology.ts'
import { usersOf, type User } from './users.ts'
import type { NodeHealth } from '../../core/engine.ts'
import type { Instance, Spec } from '../../core/instance.ts'
import { comesFrom, peersComeFrom, type RedisSecrets } from './layout.ts'

type Settings = ReadonlyMap<string, string>

/** Ok when every node has proven every setting; those that are down or silent keep it from being so, and no other from being set. */
export async function configureAll(ground: Ground, before: Spec, secrets: RedisSecrets, settles: boolean): Promise<NodeHealth> {
  const { instance } = ground
  const [wanted, former] = [settingsOf(instance), settingsOf({ ...instance, spec: before })]
  const changed = new Set([...wanted.keys()].filter((name) => wanted.get(name) !== former.get(name)))
  const users = usersOf(instance, secrets).filter(([name]) => name !== account && name !== copier)
  const views = await meetAll(ground, {}, async () => ({}))
  try {
    // All of them to the end: what is taken back after a refusal must not be overtaken by what is still being set.
    const answers = await Promise.allSettled(views.map(async (view) => {
      if (!view.session) return view.silence
      await settle(view, wanted, changed, settles)
      await admit(view, users)
      await come(view, peersComeFrom(instance, view.node, ground.nodes, secrets))
      await dismiss(view.session.redis, instance, secrets.source?.(instance))
      await move(view, before.port, instance.spec.port)
      const { tls } = instance.spec
      if (tls && tls.certificate !== before.tls?.certificate) await showCertificate(view.session, view.node.ordinal, tls)
      return append(view, instance, before)
    }))
    const failures = answers.flatMap((answer) => answer.status === 'rejected' ? [answer.reason as Error] : [])
    const refusal = failures.find((error) => error instanceof TerminalError)
    if (refusal) throw refusal
    if (!instance.spec.tls !== !before.tls) await turnAll(views, instance.spec)
    const reason = failures[0]?.message ?? answers.map((answer) => answer.status === 'fulfilled' ? answer.value : null).find((one) => one !== null)
    if (reason !== undefined && reason !== null) return { ok: false, reason }
    if (before.tls && !instance.spec.tls) await Promise.all(ground.nodes.flatMap((node) => leftFiles.map((path) => ground.discard(node, path))))
    return { ok: true }
  } finally { closeAll(views) }
}

async function settle(view: Seen, wanted: Settings, changed: ReadonlySet<string>, settles: boolean): Promise<void> {
  const capped = new Set<string>()
  for (const name of differing(wanted, await said(view, wanted))) {
    const value = wanted.get(name)!
    try { await all(view.session!.redis, [['CONFIG', 'SET', name, value]]) } catch (error) {
      if (!isFinal(error)) throw error
      // With that value it came to this by itself when it started, and would again.
      const most = settles ? /try with (\d+)/.exec((error as Error).message)?.[1] : undefined
      if (most !== undefined) {
        await all(view.session!.redis, [['CONFIG', 'SET', name, most]])
        capped.add(name)
        checkpoint('engine.configured')
        continue
      }
      // A machine that has fewer files than maxclients asks for refused it at the start as well, and it is no part of this.
      if (changed.has(name)) throw new TerminalError(`node ${view.node.ordinal} refuses ${name} ${value}: ${(error as Error).message}`)
      continue
    }
    checkpoint('engine.configured')
  }
  const [other] = differing(wanted, await said(view, wanted)).filter((name) => changed.has(name) && !capped.has(name))
  if (other !== undefined) throw new TerminalError(`node ${view.node.ordinal} did not take ${other} ${wanted.get(other)}`)
}

const differing = (wanted: Settings, now: Settings): string[] => [...wanted.keys()].filter((name) => !isSet(name, wanted.get(name)!, now.get(name)))

async function said({ session }: Seen, wanted: Settings): Promise<Settings> {
  const answers = await all(session!.redis, [...wanted.keys()].map((name) => ['CONFIG', 'GET', name])) as string[][]
  return new Map(answers.filter((answer) => answer.length === 2).map(([name, value]) => [name!, value!]))
}

/** Users that are nobody's to remove: ours, and the one by which a container asks whether it is ready. */
const kept: readonly string[] = ['default', account, copier, 'probe']

/** Connections that are open stay what they are: a new password is asked of those that come. */
async function admit(view: Seen, users: readonly User[]): Promise<void> {
  const { redis } = view.session!
  const [there] = await all(redis, [['ACL', 'USERS']]) as [string[]]
  const gone = there.filter((name) => !kept.includes(name) && !users.some(([wanted]) => wanted === name))
  // Their clients are cut with them.
  if (gone.length > 0) {
    await all(redis, [['ACL', 'DELUSER', ...gone]])
    checkpoint('engine.dismissed')
  }
  for (const [name, rules] of users) {
    if (await isAdmitted(view, [name, rules])) continue
    await all(redis, [['ACL', 'SETUSER', name, 'reset', ...rules]])
    checkpoint('engine.admitted')
    if (!await isAdmitted(view, [name, rules])) throw new TerminalError(`node ${view.node.ordinal} did not take the rules of the user ${name}`)
  }
}

async function isAdmitted({ session }: Seen, [name, rules]: User): Promise<boolean> {
  const [answer] = await all(session!.redis, [['ACL', 'GETUSER', name]]) as [string[] | null]
  if (!answer) return false
  const fields = new Map(Array.from({ length: answer.length / 2 }, (_, n) => [answer[2 * n]!, answer[2 * n + 1] as unknown]))
  const [flags, passwords, commands] = [fields.get('flags') as string[], fields.get('passwords') as string[], String(fields.get('commands')).split(' ')]
  const hashes = rules.filter((rule) => rule.startsWith('#')).map((rule) => rule.slice(1))
  return flags.includes('on') && flags.includes('nopass') === rules.includes('nopass')
    && passwords.length === hashes.length && hashes.every((hash) => passwords.includes(hash)) && commands.includes('-@write') === rules.includes('-@write')
    // One that was started by an earlier release lets them.
    && mayUnpause(commands) === mayUnpause(rules)
}

const unpausing = ['@all', '@admin', '@dangerous', '@connection', '@slow', 'client', 'client|unpause']
/** By the last rule that is about it: a server says the same with other rules. */
function mayUnpause(rules: readonly string[]): boolean { return rules.findLast((rule) => unpausing.includes(rule.slice(1)))?.startsWith('+') ?? false }

/** Has a node connect to the others from another address, from its next connection on. */
async function come({ session, node }: Seen, source: string | null): Promise<void> {
  if (source === null) return
  const [answer] = await all(session!.redis, [['CONFIG', 'GET', comesFrom]]) as [string[]]
  if (answer[1] === source) return
  try { await all(session!.redis, [['CONFIG', 'SET', comesFrom, source]]) } catch (error) {
    throw isFinal(error) ? new TerminalError(`node ${node.ordinal} does not connect from ${source}: ${(error as Error).message}`) : error
  }
  checkpoint('engine.moved')
}

/** Turns append-only files off, and on where no role depends on how: there `arrange` does it. A sentence while one is being written. */
async function append(view: Seen, { spec }: Instance, before: Spec): Promise<string | null> {
  if (spec.parameters['appendonly'] === before.parameters['appendonly']) return null
  const { redis } = view.session!
  if (spec.parameters['appendonly'] === 'no') {
    if (view.info('aof_enabled') === '1') await all(redis, [['CONFIG', 'SET', 'appendonly', 'no']])
    return null
  }
  if (topologyOf(spec).appends) return null
  if (view.info('aof_enabled') === '0') await all(redis, [['CONFIG', 'SET', 'appendonly', 'yes']])
  else if (view.info('aof_rewrite_in_progress') === '0' && view.info('aof_rewrite_scheduled') === '0') return null
  checkpoint('engine.appending')
  return `node ${view.node.ordinal} is writing its append-only file`
}

/** What says where others find a server; by which of them it is known depends on how its nodes stand to each other. */
const announcing = ['replica-announce-port', 'cluster-announce-port']

/** Has a server that listens on one service port listen on another, and its clients come anew. */
async function move({ session, node }: Seen, from: number | null, to: number | null): Promise<void> {
  if (from === null || to === null || from === to) return
  const { redis } = session!
  for (const name of announcing) {
    const [answer] = await all(redis, [['CONFIG', 'GET', name]]) as [string[]]
    if (answer[1] === String(from)) await all(redis, [['CONFIG', 'SET', name, to]])
  }
  // What leads to it has another port by now; where it listens itself nobody sees.
  if (node.listen) return
  const { listens, port } = listenerIn(await all(redis, askListener) as string[][])
  if (port !== String(from)) return
  try { await relisten({ session }, [], ['CONFIG', 'SET', listens, to], cut) } catch (error) {
    // One that cannot listen there listens nowhere, and this connection alone reaches it.
    await relisten({ session }, [], ['CONFIG', 'SET', listens, from], [])
    throw isFinal(error) ? new TerminalError(`node ${node.ordinal} cannot listen on port ${to}: ${(error as Error).message}`) : error
  }
  checkpoint('engine.moved')
}
