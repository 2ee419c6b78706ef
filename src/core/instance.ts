/** What a customer wants: one Redis cache or one Kafka queue, and what is known of it. */

import type { Account } from './accounts.ts'

export type EngineName = 'redis' | 'kafka'
export type RuntimeName = 'process' | 'kubernetes'
/** The host of instances that run in a cluster: every control plane can see it, so they belong to no machine. */
export const clusterHost = 'kubernetes'
/** Whether a control plane of `host` can look at what is there: its own nodes, and those of a cluster, which are nobody's alone. */
export function isWithin(place: string, host: string): boolean { return place === host || place === clusterHost }

/** `unknown` until the first creation ends; afterwards what the last operation or the observer saw. */
export type Health = 'unknown' | 'healthy' | 'unhealthy'

export interface Instance {
  readonly id: string
  readonly projectId: string
  readonly name: string
  readonly engine: EngineName
  /** The version the customer asked for, in the cloud's words: "6.0", "2.7", "3.x". */
  readonly version: string
  readonly runtime: RuntimeName
  /** The machine whose processes these are; another host never judges or restarts them. */
  readonly host: string
  readonly spec: Spec
  /** Addresses that belong to the instance and move between its nodes, by name: `{ service, readonly }`. Empty where clients use the nodes' own. */
  readonly endpoints: Readonly<Record<string, Endpoint>>
  /** What the engine granted at run time and must not forget: `{ master: <node id> }`. */
  readonly grants: Grants
  /** What a dialect must echo and nobody acts on: VPC, subnet, zones, windows, description. */
  readonly attributes: Attributes
  readonly tags: readonly Tag[]
  /** Raised by each change of what should run; nodes catch up with it. */
  readonly generation: number
  /** The oldest generation that a node may run: the newest one, unless a rolling change was cancelled half way. */
  readonly floor: number
  readonly health: Health
  /** Why the instance is not healthy, in one or more lines; null when it is. */
  readonly cause: string | null
  /** When the creation was proven done, epoch ms; null before that. */
  readonly readyAt: number | null
  readonly createdAt: number
  readonly updatedAt: number
  /** How often in a row its nodes died by themselves; counted anew after a minute without. */
  readonly crashes: number
}

export interface Spec {
  /** The flavor's code, as ordered: `redis.single.xu1.tiny.128`, `c6.2u4g.single`. */
  readonly flavor: string
  /** A ceiling, never a reservation. Bytes. */
  readonly memoryBytes: number
  /** The engine's name for how its nodes stand to each other: `single`, `ha`, `cluster`. */
  readonly topology: string
  /** Groups of nodes that each hold a part of the data; 1 where every node holds all of it. */
  readonly shards: number
  /** Nodes of each shard, its master included. */
  readonly replicas: number
  /** How many nodes the layout has. */
  readonly nodeCount: number
  /** The service port the customer asked for; null: the engine's standard one. */
  readonly port: number | null
  /** Engine parameters by their own names: `{ appendonly: 'yes' }`. */
  readonly parameters: Readonly<Record<string, string>>
  /** Renamed commands, old name in lower case to new name. */
  readonly renamedCommands: Readonly<Record<string, string>>
  /** The customer's password, sealed with the master key; null: no password. */
  readonly sealedPassword: string | null
  /** More users than the one with that password. Absent: none. */
  readonly accounts?: readonly Account[]
  /** Addresses and ranges of IPv4 that clients may come from: `10.0.0.1`, `10.0.0.0/24`. Absent or null: any. */
  readonly sources?: readonly string[] | null
  /** What its servers show to clients, who speak TLS then and nothing else. Absent or null: plain text. */
  readonly tls?: Certificate | null
}

/** A server's certificate and all that belongs to it. */
export interface Certificate {
  /** PEM. */
  readonly certificate: string
  /** PEM of who issued it. */
  readonly authority: string
  /** Its private key as PEM, sealed with the master key. */
  readonly sealedKey: string
  /** For which it was made. */
  readonly addresses: readonly string[]
  /** Epoch ms. */
  readonly expiresAt: number
}

export interface Endpoint { readonly address: string; readonly port: number }
export type Grants = Readonly<Record<string, string>>
export type Attributes = Readonly<Record<string, unknown>>
export interface Tag { readonly key: string; readonly value: string }

/** Where a node listens, as it sees itself. */
export interface Listening { readonly address: string; readonly ports: Readonly<Record<string, number>> }

/** One process or pod of an instance, as recorded when the instance was created. */
export interface NodeRecord {
  readonly id: string
  readonly instanceId: string
  /** 0, 1, 2 … in the order of the layout. */
  readonly ordinal: number
  readonly host: string
  /** Where everybody reaches it, clients and the other nodes alike; empty until its runtime has found it an address. */
  readonly address: string
  /** Ports by listener: `{ service: 6379 }`, `{ service: 9092, controller: 9093 }`. */
  readonly ports: Readonly<Record<string, number>>
  /** Where it listens, when that is not where it is reached. */
  readonly listen?: Listening
}

/** Where a node listens, as it sees itself. */
export function listening(node: Pick<NodeRecord, 'address' | 'ports' | 'listen'>): Listening { return node.listen ?? node }

/** By which it is kept among the grants that servers may listen on either of two service ports: the one before and the one after. */
export const leftPorts = 'left ports'
/** The shards, by number, that shall give all of their data to the others and go. */
export const closing = 'closing shards'

/** By which the names that commands had are kept among the grants, as JSON, until every node can start with the new ones. */
export const formerNames = 'former names'

/** By which it is kept among the grants that some servers may speak TLS and others not, until all have turned. */
export const turningTls = 'turning tls'

/** By which it is kept among the grants that servers may have other settings than the spec says: those of a change that failed, as JSON; until a recovery has proven that they have not. */
export const unsettled = 'unsettled'

/** Every address by which clients reach an instance and its nodes. */
export function addressesOf({ endpoints }: Pick<Instance, 'endpoints'>, nodes: readonly Pick<NodeRecord, 'address'>[]): readonly string[] {
  return [...new Set([...Object.values(endpoints), ...nodes].map(({ address }) => address))]
}

/** The service port that clients use. */
export function portOf({ endpoints }: Pick<Instance, 'endpoints'>, nodes: readonly Pick<NodeRecord, 'ports'>[]): number | null {
  return endpoints['service']?.port ?? nodes[0]?.ports['service'] ?? null
}
