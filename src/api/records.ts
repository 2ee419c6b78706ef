/** Networks as records: what clients create before a cache, and look up. Nothing of it is ever enforced. */
import type { Caller } from '../core/control-plane.ts'
import type { Tag } from '../core/instance.ts'

export type Kind = 'vpc' | 'subnet' | 'security_group' | 'rule' | 'public_ip' | 'bandwidth'
export type Fields = Readonly<Record<string, unknown>>

export interface NetworkRecord {
  /** A UUID. */
  readonly id: string
  readonly kind: Kind
  /** The VPC of a subnet, the group of a rule, the public IP of a bandwidth; empty for the others. */
  readonly parent: string
  readonly name: string
  /** Whatever else the API shows of it. */
  readonly fields: Fields
  readonly tags: readonly Tag[]
  /** Epoch ms. */
  readonly createdAt: number
}

export type NewRecord = Pick<NetworkRecord, 'id' | 'kind' | 'parent' | 'name' | 'fields'>

/** Each project has one VPC, one subnet and one security group from its first look on. Each change is audited. */
export interface Records {
  /** Oldest first. */
  list(projectId: string, kind: Kind): Promise<readonly NetworkRecord[]>
  get(projectId: string, kind: Kind, id: string): Promise<NetworkRecord | null>
  /** VPCs, subnets and security groups by id, as they were at most two seconds ago, with every change of this control plane; nothing is made for who never looked. */
  known(projectId: string): Promise<ReadonlyMap<string, NetworkRecord>>
  /** All of them or none; the first is the one that was asked for. A public IP without an address is given one; null: none is left. */
  create(caller: Caller, records: readonly NewRecord[]): Promise<readonly NetworkRecord[] | null>
  /** Null when there is none such. */
  update(caller: Caller, kind: Kind, id: string, change: { readonly name?: string; readonly fields?: Fields; readonly tags?: readonly Tag[] }): Promise<NetworkRecord | null>
  /** With what belongs to it; `in use`: a VPC with subnets. */
  remove(caller: Caller, kind: Kind, id: string): Promise<'removed' | 'unknown' | 'in use'>
}
