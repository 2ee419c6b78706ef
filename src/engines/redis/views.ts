/** What the nodes of a replicated Redis are now, each seen through one open session. */
import { setTimeout as sleep } from 'node:timers/promises'
import { checkpoint } from '../../core/checkpoint.ts'
import { all, readInfo, type Info, type Session } from './client.ts'
import { isLinked, meetAll, type Seen } from './seen.ts'
import { askListener, listenerIn, type Listens } from './tls.ts'
import type { NodeHealth } from '../../core/engine.ts'
import type { Ground } from './topology.ts'
import { listening, type Endpoint, type NodeRecord, type Spec } from '../../core/instance.ts'
import { links, loads } from './headway.ts'

export interface NodeView extends Seen {
  /** Every "address:port" by which it is reached. */
  places: readonly string[]
  /** The setting with the port that it listens on. */
  listens: Listens
}

export async function lookAtAll(ground: Ground): Promise<NodeView[]> {
  const views = await meetAll(ground, { places: [] as readonly string[], listens: 'port' as Listens }, async ({ redis }) => ground.states.some((state) => state.holds) ? {} : await where(redis))
  // Where endpoints lead is not the server's to say, and also true of one that is silent.
  for (const view of views) if (view.state.holds) view.places = [ownPlace(view.node), ...view.state.holds.map((name) => placeOf(ground.instance.endpoints[name]!))]
  return views
}

const placeOf = ({ address, port }: Endpoint): string => `${address}:${port}`
const ownPlace = ({ address, ports }: NodeRecord): string => `${address}:${ports['service']}`

/** Whether nodes have no address of their own, but a port of one that all share, which they leave for the instance's. */
export const sharesHost = (node: NodeRecord, endpoint: Endpoint | undefined): boolean => endpoint?.address === listening(node).address

/** Asks again, for what replication alone changes. */
export async function lookAgain(view: NodeView): Promise<Info> {
  view.info = readInfo(`\n${await view.session!.redis.info('replication')}`)
  return view.info
}

export const isMaster = (view: NodeView): boolean => view.info('role') === 'master'
/** Whether it takes no write while it is a replica. */
export const isReadOnly = (view: NodeView): boolean => view.info('slave_read_only') !== '0'
/** Whether a child of its saves, or writes its file anew. Only a whole look says so. */
export const isForked = ({ info }: NodeView): boolean => info('rdb_bgsave_in_progress') === '1' || info('aof_rewrite_in_progress') === '1'
/** Bytes of the replication stream that it has. */
export const offsetOf = (view: NodeView): number => Number(view.info(isMaster(view) ? 'master_repl_offset' : 'slave_repl_offset') ?? -1)
/** A replica that is linked has everything within a millisecond or two; one that has not goes on lagging while clients wait. */
const levelWithinMs = 200
const looksAtOnce = 4

/** Whether the replica comes to have so many bytes of the replication stream. */
export async function reaches(next: NodeView, offset: number): Promise<boolean> {
  const giveUp = performance.now() + levelWithinMs
  for (let looks = 1; ; looks += 1) {
    await lookAgain(next)
    if (!isLinked(next)) return false
    if (offsetOf(next) >= offset) return true
    if (performance.now() > giveUp) return false
    // The rest is on its way, and a timer's millisecond would be half of what clients wait. What takes longer than that is not spun for: the servers need the processor.
    await (looks < looksAtOnce ? new Promise(setImmediate) : sleep(1))
  }
}

/** Whether its data descends from the master with this replication id: it copied all of it, or is it. */
export const descendsFrom = (view: Pick<NodeView, 'info'>, replid: string | undefined): boolean => replid !== undefined && [view.info('master_replid'), view.info('master_replid2')].includes(replid)

/** Whether the node holds an address of the instance. */
export function holds(view: NodeView, endpoint: Endpoint): boolean { return view.places.includes(placeOf(endpoint)) }

/** The command that makes a node listen on its own address and on this one; on a shared host, on this port instead of its own. */
export function take({ node, listens }: NodeView, endpoint: Endpoint): readonly (string | number)[] {
  return sharesHost(node, endpoint) ? ['CONFIG', 'SET', listens, endpoint.port] : ['CONFIG', 'SET', 'bind', `${node.address} ${endpoint.address}`]
}

/** The command that makes it listen on its own address alone. */
export function leave({ node, listens }: NodeView, endpoint: Endpoint): readonly (string | number)[] {
  return sharesHost(node, endpoint) ? ['CONFIG', 'SET', listens, node.ports['service']!] : ['CONFIG', 'SET', 'bind', node.address]
}

/** Forked a moment ago, a child needs a millisecond to let go; on a busy machine more. */
const letGoWithinMs = 1000

/**
 * Sends commands in one write, one of which changes where the node listens, and answers what each was answered. A child
 * that the server has just forked (for a copy, for its append-only file) holds its listening sockets for an instant, and
 * until it lets go nobody can listen there, not even the server itself, which then listens nowhere: only this connection
 * reaches it, so it is asked again here and now.
 */
export async function relisten({ session }: Pick<NodeView, 'session'>, before: Commands, change: Commands[number], after: Commands): Promise<unknown[]> {
  const giveUp = performance.now() + letGoWithinMs
  for (let commands = [...before, change, ...after]; ; commands = [change, ...after]) {
    try { return await all(session!.redis, commands) } catch (error) {
      if (!/bind|listen/i.test((error as Error).message) || performance.now() > giveUp) throw error
    }
    await sleep(1)
  }
}

/** Each a name and its arguments. */
type Commands = readonly (readonly (string | number)[])[]

/** Hangs up on every client. */
export const cut: Commands = [['CLIENT', 'KILL', 'TYPE', 'normal'], ['CLIENT', 'KILL', 'TYPE', 'pubsub']]

/** Changes where a node listens; the clients of an address that it leaves are cut, or they would read old data for ever. */
export async function move(view: NodeView, command: readonly (string | number)[]): Promise<void> {
  await relisten(view, [], command, cut)
  checkpoint('engine.moved')
  await whereIs(view)
}

/** Asks again where it listens. */
export async function whereIs(view: NodeView): Promise<void> { Object.assign(view, await where(view.session!.redis)) }

async function where(redis: Session['redis']): Promise<Pick<NodeView, 'places' | 'listens'>> {
  const [bind, ...ports] = await all(redis, [['CONFIG', 'GET', 'bind'], ...askListener]) as string[][]
  const { listens, port } = listenerIn(ports)
  return { places: bind![1]!.split(' ').map((address) => `${address}:${port}`), listens }
}

/** Where replicas find the master: its own address, or on a shared host the instance's, for its own port it has left. */
export function copyFrom({ instance }: Ground, { node }: NodeView): { readonly address: string; readonly port: number } {
  const service = instance.endpoints['service']!
  return sharesHost(node, service) ? service : { address: node.address, port: node.ports['service']! }
}

/** Whether the nodes of this instance keep append-only files. */
export const appends = ({ parameters }: Pick<Spec, 'parameters'>): boolean => parameters['appendonly'] !== 'no'

/** Roles and links as granted. */
export function judge({ instance, progress }: Ground, views: readonly NodeView[]): NodeHealth {
  const { service, readonly } = instance.endpoints
  for (const view of views) {
    if (!view.session) return { ok: false, reason: view.silence }
    const { ordinal, id } = view.node
    if (view.info('loading') === '1') {
      progress(loads(view.info), id)
      return { ok: false, reason: `node ${ordinal} is ${loads(view.info)}` }
    }
    if (view.session.refusal && !view.session.refusal.message.startsWith('MASTERDOWN')) return { ok: false, reason: `node ${ordinal} answers ${view.session.refusal.message}` }
    const master = id === instance.grants['master']
    if (appends(instance.spec) && view.info('aof_enabled') === '0') return { ok: false, reason: `the append-only file of node ${ordinal} is off` }
    if (master !== isMaster(view)) return { ok: false, reason: `node ${ordinal} has the role ${view.info('role')}, not ${master ? 'master' : 'replica'}` }
    // A master without history takes a new id when its first replica comes, and with the old one on record no replica could succeed it.
    if (master && view.info('master_replid') !== instance.grants['replid']) return { ok: false, reason: `the replication id of node ${ordinal} is not on record yet` }
    if (master !== holds(view, service!)) return { ok: false, reason: master ? `the master, node ${ordinal}, does not listen on ${service!.address}:${service!.port}` : `node ${ordinal} listens on the master's address` }
    if (!master && !isReadOnly(view)) return { ok: false, reason: `node ${ordinal} takes writes although it is a replica` }
    if (!master && !isLinked(view)) {
      progress(links(view.info), id)
      return { ok: false, reason: `node ${ordinal} is ${links(view.info)}` }
    }
    // By this it would be known as a successor. A master takes a new id when its first replica comes, maybe after it was asked.
    if (!descendsFrom(view, instance.grants['replid'])) return { ok: false, reason: `node ${ordinal} follows a replication id that is not on record` }
    progress(master ? 'master' : 'replica', id)
  }
  return views.some((view) => holds(view, readonly!)) ? { ok: true } : { ok: false, reason: `nobody listens on the read-only address ${readonly!.address}:${readonly!.port}` }
}
