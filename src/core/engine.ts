/** A kind of server software: lays out the nodes of an instance and knows how to ask them how they are. */
import type { Endpoint, EngineName, Grants, Instance, NodeRecord, RuntimeName, Spec } from './instance.ts'
import type { Places } from './operation.ts'
import type { Plan, PlannedWish } from './plan.ts'
import type { NodeSpec, NodeState } from './runtime.ts'
import type { Desk } from './desk.ts'
import type { BackupFile, BackupFormat } from './backups.ts'

/** What a node is for, by what was granted. */
export interface NodeRole {
  readonly role: 'master' | 'replica'
  /** The part of the data that it holds, from 0. */
  readonly shard: number
  /** Who becomes master first: 1 before 100, and 0 never. */
  readonly priority: number
  /** Where clients reach this very node; null while it listens on an address that moves between several. */
  readonly at: Endpoint | null
}

/** Figures of an instance as its servers give them, all shards together. */
export interface Facts {
  readonly usedBytes: number
  /** Of the part of the data that has most. */
  readonly fullestBytes: number
  readonly keys: number
  /** Calls of GET and of SET since its servers started. */
  readonly gets: number
  readonly sets: number
  readonly cpuSeconds: number
  readonly inKbps: number
  readonly outKbps: number
  /** The releases that its nodes run. */
  readonly versions: readonly string[]
}

export interface NodeHealth { readonly ok: boolean; /** One sentence when not ok. */ readonly reason?: string }

/** A file of a backup, and where a node starts from it: a path in the node's folder. */
export interface Seed { readonly file: BackupFile; readonly path: string }

/** How an engine's data is copied and put back. */
export interface EngineBackups {
  /** Pure: why there are none of this instance, whatever its state; null: there are. */
  unbackable(instance: Instance): string | null
  /** Writes all that the instance has into an empty folder, each part as of one instant, while it serves. Throws when it did not come whole. */
  take(world: World, folder: string, how: { readonly format: BackupFormat; readonly signal: AbortSignal }): Promise<readonly BackupFile[]>
  /** Pure: why these files cannot be loaded into the instance as it is; null: nothing on record says so. */
  unrestorable(instance: Instance, files: readonly BackupFile[]): string | null
  /** By node id, what the node will start from when its data is in this folder; or why these files cannot be loaded. */
  seeds(world: World, files: readonly BackupFile[], folder: string): Promise<ReadonlyMap<string, Seed> | string>
  /** Pure: the folder in which the nodes have their data, by its path in theirs. */
  folder(instance: Instance): string
  /** Pure: the grants under which the nodes start from the data in this folder. */
  on(grants: Grants, folder: string): Grants
  /** Pure: the paths of all data in this folder. */
  contents(folder: string): readonly string[]
}

/** An instance as it is found now, and the little that an engine may do to it besides talking to its servers. */
export interface World {
  readonly instance: Instance
  readonly nodes: readonly NodeRecord[]
  readonly states: readonly NodeState[]
  /** Records durably what was granted, before it is granted. Throws when the operation is no longer ours. */
  grant(grants: Grants): Promise<void>
  /** SIGKILL to exactly the process that `states` shows for this node. */
  kill(node: NodeRecord): Promise<void>
  /** Lets all of the node's processes give way to processes that serve, or only what its server has forked. */
  giveWay(node: NodeRecord, who: 'all' | 'children'): void
  /** Removes a file of a node, by its path in the node's folder. Absent is fine. */
  discard(node: NodeRecord, path: string): Promise<void>
  /** Lets an endpoint of the instance lead to this node, or to nobody. Absent: servers take and leave addresses themselves. */
  give?(endpoint: string, node: NodeRecord | null): Promise<void>
  progress(text: string, nodeId?: string): void
}

/** Something about an engine that customers may set. */
export interface Parameter {
  readonly name: string
  /** As it is set now, be it by nobody. */
  readonly value: string
  readonly default: string
  readonly takes: Values
}
/** Which values a parameter takes; a number may need a unit, which its name tells. */
export type Values =
  | { readonly kind: 'number'; readonly least: number; readonly most: number }
  | { readonly kind: 'choice'; readonly among: readonly string[] }
  | { readonly kind: 'text'; readonly pattern: string }

/** Whether a parameter takes this value, in its one form: no number with zeros in front. */
export function takes({ takes: values }: Pick<Parameter, 'takes'>, value: string): boolean {
  if (values.kind === 'choice') return values.among.includes(value)
  if (values.kind === 'text') return new RegExp(`^(?:${values.pattern})$`).test(value)
  return /^(0|[1-9]\d{0,14})$/.test(value) && Number(value) >= values.least && Number(value) <= values.most
}

export interface Engine {
  readonly name: EngineName
  /** Listeners a node needs, with the engine's standard ports: `{ service: 6379 }`. */
  ports(spec: Pick<Spec, 'topology'>): Readonly<Record<string, number>>
  /** Addresses that move between the nodes, by name, with their standard ports. */
  endpoints(spec: Pick<Spec, 'topology'>): Readonly<Record<string, number>>
  /** What one empty node needs to start; flavors are ceilings, never reservations. */
  readonly leastMemoryBytes: number
  /** Pure: what should run for this instance at its present generation. Names no role: nodes get theirs from `arrange`. */
  layout(instance: Instance, nodes: readonly NodeRecord[]): NodeSpec[]
  /** Pure: what a client needs to connect, by the keys of the Service Binding specification. Secret. */
  connection(instance: Instance, nodes: readonly NodeRecord[]): Readonly<Record<string, string>>
  /**
   * Asks every node of the layout. Counts only answers that are proven to come from the given process
   * (`state.identity`), so a foreign server on the same address is never taken for ours.
   * Never throws for an unhealthy node.
   */
  probe(instance: Instance, nodes: readonly NodeRecord[], states: readonly NodeState[]): Promise<NodeHealth>
  /**
   * Makes the roles true, one notch at each call: who is master, who follows whom, who holds the instance's addresses.
   * Not ok until they are. Called while some nodes are down as well, and then promotes another one if it may. After every
   * single thing that it does, at most one node can accept a write.
   */
  arrange?(world: World): Promise<NodeHealth>
  /**
   * For a rolling change: which of these nodes, all running, may stop next, its role handed over already; or the
   * sentence that says what is waited for. Called only while the whole instance is healthy.
   */
  choose?(world: World, behind: readonly NodeRecord[]): Promise<NodeRecord | string>
  /** Pure: where everything would be with another service port, or why it cannot have that one. Absent: the port stays. */
  readdress?(instance: Instance, nodes: readonly NodeRecord[], port: number): Places | string
  /** Pure: bytes that each part of the data may have. Absent: nobody counts them. */
  room?(of: Pick<Instance, 'version' | 'spec'>): number
  /** Pure: what may be set for such an instance. Absent: nothing. */
  parameters?(of: Pick<Instance, 'version' | 'spec'>): readonly Parameter[]
  /**
   * Makes what the spec says true on every server, without restarting one. Ok when each has proven it. `before`: what the
   * spec was; a setting that is the same in both is put back as well, but nobody insists on it. Throws a TerminalError
   * when a server refuses what changes. `settles`: that was in force before, so what a start with it would come to is enough.
   */
  configure?(world: World, before: Spec, settles?: boolean): Promise<NodeHealth>
  /** Whether who knocks where clients are told to comes to these servers: in a cluster every machine hears of a new port by itself. Absent: always. */
  arrived?(world: World): Promise<NodeHealth>
  /** Before nodes start with other names for commands: sees to it that nothing on disk has a command by a name that goes. Ok when so. */
  forgetNames?(world: World, asked: Map<string, number>): Promise<NodeHealth>
  /** Hands the master's role over, away from whoever had it by these grants. Done when ok. */
  swap?(world: World, before: Grants): Promise<NodeHealth>
  /** Hands the master's role over to this very node, within its shard. Done when ok. */
  promote?(world: World, to: NodeRecord): Promise<NodeHealth>
  /** Takes data and roles from nodes that will be removed. Ok when they can go. */
  vacate?(world: World, leaving: readonly NodeRecord[]): Promise<NodeHealth>
  /**
   * May this node stop now? Engines with a stop command of their own give it here, to the process named by
   * `state.identity` only, and answer true; `force` allows only what is bounded by seconds.
   */
  drain?(instance: Instance, node: NodeRecord, state: NodeState, how: { readonly force: boolean }): Promise<boolean>
  /** Pure: the roles of the nodes by their ids. Absent: all nodes are alike. */
  roles?(instance: Instance, nodes: readonly NodeRecord[]): ReadonlyMap<string, NodeRole>
  /** Pure: the grants with another priority of one node; null when too few would be left that may become master. */
  prefer?(instance: Instance, nodes: readonly NodeRecord[], nodeId: string, priority: number): Grants | null
  /** Pure: what would happen, node by node. Absent or null: the general plan tells it well enough. */
  plan?(instance: Instance, nodes: readonly NodeRecord[], wish: PlannedWish): Plan | null
  /** The same plan, with what only the servers know: they are asked, and change nothing. Never fails; a few seconds where nobody answers. */
  asked?(plan: Plan, action: PlannedWish['action']): Promise<Plan>
  /** Whether somebody could take the master's role over; `named`: a node of the caller's choice. */
  swappable?(instance: Pick<Instance, 'spec'>, named?: boolean): boolean
  /** Why these numbers cannot be had while the instance serves; null, or absent: they can. */
  resizable?(instance: Instance, to: Pick<Spec, 'shards' | 'replicas'>): string | null
  /** Whether this instance's version can be emptied by the API. */
  flushable?(instance: Pick<Instance, 'version'>): boolean
  /**
   * Empties the instance, every node of it, exactly once for this key, however often it is called with it: evidence of it
   * stays with the data until `forgetFlush`.
   */
  flush?(world: World, key: string): Promise<void>
  /** Removes the evidence that `flush` left behind. */
  forgetFlush?(world: World, key: string): Promise<void>
  /** What its servers say of themselves now; throws when they do not all answer. Absent: nobody asks. */
  facts?(instance: Instance, nodes: readonly NodeRecord[], states: readonly NodeState[]): Promise<Facts>
  /** Absent: nothing of what its servers know can be asked. */
  readonly desk?: Desk
  /** Absent: there are no backups. */
  readonly backups?: EngineBackups
  /** The version of the runtime's software that an instance of this version runs on; null when that cannot stand in for it. Throws when there is none, or it cannot be known. */
  runsOn(version: string, runtime: RuntimeName): Promise<string | null>
}
