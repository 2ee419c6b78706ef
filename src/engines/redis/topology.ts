/** How the nodes of a Redis instance can stand to each other: one row a topology, and what each must answer. */
import { cluster } from './cluster.ts'
import { ha } from './ha.ts'
import { single } from './single.ts'
import type { Target } from './client.ts'
import type { NodeHealth, NodeRole, World } from '../../core/engine.ts'
import type { Endpoint, Instance, NodeRecord } from '../../core/instance.ts'
import type { Places } from '../../core/operation.ts'
import type { NodeState } from '../../core/runtime.ts'

/** How a process of the instance is reached; for topologies, which know no secrets. */
export type Reach = (node: NodeRecord, state: NodeState) => Target

/** A topology's view of a World. */
export interface Ground extends World { readonly reach: Reach; /** The password by which nodes copy from each other. */ readonly password: string }

export interface Topology {
  /** Listeners of a node, with standard ports. */
  readonly ports: Readonly<Record<string, number>>
  /** Addresses that move between nodes, with standard ports. */
  readonly endpoints: Readonly<Record<string, number>>
  /** Where a node may be listening now, the most likely place first. */
  doors(instance: Instance, node: NodeRecord): readonly Endpoint[]
  /** Pure: where all of it is with another service port, or why it cannot have that one. */
  readdress(instance: Instance, nodes: readonly NodeRecord[], port: number): Places | string
  /** Lines of redis.conf that this topology needs. No line may name a role. */
  configuration(instance: Instance, node: NodeRecord): readonly string[]
  /** ACL rules that keep customers from taking a node out of this topology. */
  readonly withheld?: string
  /** Whether every node is well and in the role that was granted. Every node runs. Never throws for an unhealthy one. */
  probe(ground: Ground): Promise<NodeHealth>
  arrange?(ground: Ground): Promise<NodeHealth>
  choose?(ground: Ground, behind: readonly NodeRecord[]): Promise<NodeRecord | string>
  swap?(ground: Ground, before: Instance['grants']): Promise<NodeHealth>
  promote?(ground: Ground, to: NodeRecord): Promise<NodeHealth>
  vacate?(ground: Ground, leaving: readonly NodeRecord[]): Promise<NodeHealth>
  /** Pure: who is what by the grants, and where clients find it. Absent: by the order of the nodes. */
  roles?(instance: Instance, nodes: readonly NodeRecord[]): ReadonlyMap<string, Omit<NodeRole, 'priority'>>
  /** Which of its numbers may change while it serves; none when absent. */
  readonly resizes?: readonly ('replicas' | 'shards')[]
  /** Its `arrange` turns append-only files on that are off and shall not be. */
  readonly appends?: true
  /** The nodes that take writes, each with how many replicas must confirm that theirs are gone too, and a key that it may hold. */
  masters(ground: Ground, key: string): Promise<readonly { readonly node: NodeRecord; readonly replicas: number; readonly key: string }[]>
}

const rows: Readonly<Record<string, Topology>> = { single, ha, cluster }

/** Throws for a name that no release knew. */
export function topologyOf({ topology }: { readonly topology: string }): Topology {
  const row = rows[topology]
  if (!row) throw new Error(`this release knows no topology ${topology} of Redis`)
  return row
}
