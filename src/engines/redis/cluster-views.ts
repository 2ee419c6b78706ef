/** What the nodes of a Redis Cluster are now, each seen through one open session, and what each of them believes of the others. */
import { all } from './client.ts'
import { meetAll, type Seen } from './seen.ts'
import type { Ground } from './topology.ts'
import { closing, type Instance, type NodeRecord } from '../../core/instance.ts'

/** All of the key space. */
export const slotCount = 16_384
/**
 * After so long of silence the others doubt a node, and elect its replica some 1 to 4 s later: that is what happens while
 * no control plane is up, and to masters that hang. A script is called slow after 5 s; a shorter time would depose masters
 * for scripts that Redis itself finds normal, and with them the writes that had not been copied.
 */
export const nodeTimeoutMs = 5000

/** One node as another one, or itself, believes it to be: a line of CLUSTER NODES. */
export interface Peer {
  readonly id: string
  /** Host, port and bus port, as announced. */
  readonly place: string
  readonly flags: readonly string[]
  /** The id of the master that it copies; null for a master. */
  readonly master: string | null
  readonly epoch: number
  readonly slots: readonly Range[]
  /** Slots on their way, as the node itself writes them: `[93->-id]`, `[77-<-id]`. */
  readonly moving: readonly string[]
}
export type Range = readonly [first: number, last: number]

export interface ClusterView extends Seen {
  /** Everybody that it knows, itself included; empty while it is silent or loading. */
  readonly peers: readonly Peer[]
  readonly me: Peer | null
  /** Whether it takes commands about keys. */
  readonly serves: boolean
  readonly masterauth: string
}

/** The bus has a port of its own even where a customer gave the service that one. */
export function busPort({ ports }: Pick<NodeRecord, 'ports'>): number { return ports['bus'] === ports['service'] ? ports['bus']! + 1 : ports['bus']! }

/** How the others write where this node is. */
export function placeOf(node: NodeRecord): string { return `${node.address}:${node.ports['service']}@${busPort(node)}` }

const unheard: Omit<ClusterView, keyof Seen> = { peers: [], me: null, serves: false, masterauth: '' }

export function lookAtCluster(ground: Ground): Promise<ClusterView[]> {
  return meetAll(ground, unheard, async ({ redis, info }) => {
    if (info('loading') !== '0') return {}
    const [lines, about, auth] = await all(redis, [['CLUSTER', 'NODES'], ['CLUSTER', 'INFO'], ['CONFIG', 'GET', 'masterauth']]) as [string, string, string[]]
    const peers = readPeers(lines)
    return { peers, me: peers.find((peer) => peer.flags.includes('myself'))!, serves: about.includes('cluster_state:ok'), masterauth: auth[1]! }
  })
}

/** Reads CLUSTER NODES: id, host:port@bus, flags, master, ping, pong, epoch, link, slots. */
export function readPeers(text: string): Peer[] {
  return text.split('\n').filter(Boolean).map((line) => {
    const [id, place, flags, master, , , epoch, , ...slots] = line.trim().split(' ') as [string, string, string, string, string, string, string, string, ...string[]]
    return {
      id, place: place.split(',')[0]!, flags: flags.split(','), master: master === '-' ? null : master, epoch: Number(epoch),
      slots: slots.filter((slot) => !slot.startsWith('[')).map((slot) => { const [first, last] = slot.split('-').map(Number) as [number, number?]; return [first, last ?? first] as const }),
      moving: slots.filter((slot) => slot.startsWith('[')),
    }
  })
}

export const isOwner = (peer: Peer | null): boolean => peer !== null && peer.master === null && peer.slots.length > 0
export const size = (slots: readonly Range[]): number => slots.reduce((sum, [first, last]) => sum + last - first + 1, 0)
/**
 * How much of its master's stream a replica has confirmed, by its master's word; 0: nothing, or it is not sent anything yet.
 * A link is up as soon as everything was copied, but a master waits for the replica's first word after that, up to a second,
 * and what it acknowledges meanwhile is nowhere else. A word that came before the master had noticed the end of the copy counts
 * here and not there, so only one about something newer proves that the replica is fed.
 */
export function confirmedTo(replica: ClusterView, master: ClusterView): number {
  const { address, ports } = replica.node
  for (let n = 0, line = master.info('slave0'); line !== undefined; n += 1, line = master.info(`slave${n}`)) {
    if (line.includes(`ip=${address},port=${ports['service']},state=online,`)) return Number(/offset=(\d+)/.exec(line)?.[1])
  }
  return 0
}
export const copied = (view: ClusterView): number => Number(view.info('slave_repl_offset') ?? -1)

/** By which the master of a shard was last seen; for people, for the cluster itself knows best. */
export const masterGrant = (shard: number): string => `master ${shard}`
/** By which the shard of a node is kept among the grants: it must not change when nodes come or go. */
export const shardGrant = (nodeId: string): string => `shard ${nodeId}`

/**
 * The shard of each node, by node id. What was granted stays; the others, in the order of their ordinals, fill up the
 * first shard that has too few: at the creation node n is of shard n / replicas, and later the same rule serves more
 * replicas of the old shards as well as whole new shards.
 */
export function shardsOf({ grants, spec }: Pick<Instance, 'grants' | 'spec'>, nodes: readonly NodeRecord[]): ReadonlyMap<string, number> {
  const shards = new Map<string, number>()
  const members = new Map<number, number>()
  const join = (node: NodeRecord, shard: number): void => { shards.set(node.id, shard); members.set(shard, (members.get(shard) ?? 0) + 1) }
  for (const node of nodes) if (grants[shardGrant(node.id)] !== undefined) join(node, Number(grants[shardGrant(node.id)]))
  for (const node of nodes.filter((one) => !shards.has(one.id)).toSorted((a, b) => a.ordinal - b.ordinal)) {
    let shard = 0
    while ((members.get(shard) ?? 0) >= spec.replicas) shard += 1
    join(node, shard)
  }
  return shards
}

/** The shards that shall give all of their slots and go, by number. What is left of a change that is over says nothing. */
export function closingShards({ grants, spec }: Pick<Instance, 'grants' | 'spec'>, shards: ReadonlyMap<string, number>): ReadonlySet<number> {
  const numbers = new Set((grants[closing] ?? '').split(',').filter(Boolean).map(Number))
  return new Set(shards.values()).size - numbers.size === spec.shards ? numbers : new Set()
}

/** Nodes grouped by shard, in the order of shards and ordinals. */
export function byShard<T extends { readonly node: NodeRecord }>(views: readonly T[], shards: ReadonlyMap<string, number>): (readonly [shard: number, members: readonly T[]])[] {
  return [...Map.groupBy(views, (view) => shards.get(view.node.id)!)].map(([shard, members]) => [shard, members.toSorted((a, b) => a.node.ordinal - b.node.ordinal)] as const).toSorted(([a], [b]) => a - b)
}

/** Who of a shard owns its slots, by its own word; the newest word when two say so. */
export function ownerOf(members: readonly ClusterView[]): ClusterView | undefined {
  return members.filter((view) => isOwner(view.me)).toSorted((a, b) => b.me!.epoch - a.me!.epoch)[0]
}

/** A shard's master, and all of its nodes. */
export interface Head { readonly shard: number; readonly view: ClusterView; readonly id: string; readonly members: readonly ClusterView[] }

/** Of these slots those that it owns, by its own word, or those that it does not. */
export function ownedOf({ view }: Pick<Head, 'view'>, slots: readonly number[], owned: boolean): number[] {
  return slots.filter((slot) => view.me!.slots.some(([first, last]) => slot >= first && slot <= last) === owned)
}

/** By which the replication id of a shard's data is kept. */
export const replidGrant = (shard: number): string => `replid ${shard}`

/**
 * Who the other nodes of a shard follow: its owner; in a shard without slots one that took a dead master's place, for only it has
 * what that had, else the one that they follow already, or its first node. Never one beside nodes that follow somebody else: it
 * lost its files, and they have what it had.
 */
export function headOf(members: readonly ClusterView[]): ClusterView | undefined {
  const blank = ({ me }: ClusterView): boolean => me !== null && me.master === null && me.slots.length === 0
  // The id that it had before is gone with a restart.
  const successor = ({ info }: ClusterView): boolean => !/^0*$/.test(info('master_replid2') ?? '')
  const promoted = members.filter((view) => blank(view) && successor(view)).toSorted((a, b) => b.me!.epoch - a.me!.epoch)[0]
  return ownerOf(members) ?? promoted ?? members.find((view) => blank(view) && members.every((other) => blank(other) || other.me?.master === view.me!.id))
}

/** All nodes, by their shard. */
export type Shards = readonly (readonly [shard: number, members: readonly ClusterView[]])[]

/** The master of each shard; null when one has none. */
export function headsOf(shards: Shards): Head[] | null {
  const heads = shards.flatMap(([shard, members]) => {
    const view = headOf(members)
    return view ? [{ shard, view, id: view.me!.id, members }] : []
  })
  return heads.length < shards.length ? null : heads
}
