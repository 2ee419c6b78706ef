/** An instance's nodes in DCS's words: shards, replicas, logical nodes. */
import { createHash } from 'node:crypto'
import type { NodeView, View } from '../../core/control-plane.ts'
import type { NodeRole } from '../../core/engine.ts'
import type { NodeRecord } from '../../core/instance.ts'

/** 32 hexadecimal digits, always the same for this node. */
export function nodeId(node: Pick<NodeRecord, 'id'>): string { return digest(`node ${node.id}`) }

/** A UUID for each shard, always the same. */
export function groupId(instanceId: string, shard: number): string { return asUuid(digest(`group ${instanceId} ${shard}`)) }

function digest(text: string): string { return createHash('sha256').update(text).digest('hex').slice(0, 32) }

/** A UUID, always the same for this text. */
export function stableId(text: string): string { return asUuid(digest(text)) }

function asUuid(hex: string): string { return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20)].join('-') }

const alone = (node: NodeRecord): NodeRole => ({ role: 'master', shard: 0, priority: 100, at: { address: node.address, port: node.ports['service']! } })

/** The shard of a group id and the node of a node id, as far as the instance has them. */
export function findNode({ instance, nodes, roles }: View, group: string, id: string): { readonly shard: number | null; readonly node: NodeRecord | null } {
  const shards = [...new Set([...roles.values()].map(({ shard }) => shard))]
  const shard = shards.find((one) => groupId(instance.id, one) === group.toLowerCase()) ?? null
  return { shard, node: nodes.find((node) => nodeId(node) === id.toLowerCase() && roles.get(node.id)?.shard === shard) ?? null }
}

/** Of a node on another host the instance tells what is known. */
const lastKnown: Readonly<Partial<Record<View['status'], string>>> = { unknown: 'Unknown', error: 'Inactive', createfailed: 'Inactive', creating: 'Creating' }

/** The view, the node, its role, and where it listens: everything that the shapes below are made of. */
function facts({ view, node, role, leaving, report }: NodeView): { readonly instanceId: string; readonly own: NodeRole; readonly id: string; readonly ip: string; readonly port: string; readonly type: 'master' | 'slave'; readonly status: string; readonly az: string | null; readonly dimensions: readonly object[] } {
  const own = role ?? alone(node)
  const zones = view.instance.attributes['azCodes'] as readonly string[] | undefined
  const coming = view.open?.action === 'create' || view.open?.action === 'extend'
  return {
    instanceId: view.instance.id, own, id: nodeId(node), ip: own.at?.address ?? node.address, port: String(own.at?.port ?? node.ports['service']),
    type: own.role === 'master' ? 'master' : 'slave',
    status: leaving ? 'Deleting' : report.phase === 'unknown' ? lastKnown[view.status] ?? 'Active' : report.phase === 'running' ? 'Active' : coming ? 'Creating' : 'Inactive',
    az: zones?.[node.ordinal % zones.length] ?? null,
    dimensions: [{ name: 'dcs_instance_id', value: view.instance.id }, { name: 'dcs_cluster_redis_node', value: digest(`metric ${node.id}`) }],
  }
}

/** GET …/instance/{instance_id}/groups. */
export function groups(all: readonly NodeView[]): object {
  const shards = [...Map.groupBy(all, (one) => facts(one).own.shard)].toSorted(([a], [b]) => a - b)
  return {
    group_count: shards.length,
    group_list: shards.map(([shard, nodes]) => ({
      group_id: groupId(nodes[0]!.view.instance.id, shard), group_name: `group-${shard}`,
      replication_list: nodes.map(replication),
    })),
  }
}

/** One node of a shard. */
export function replication(one: NodeView): object {
  const { id, ip, type, status, az, dimensions } = facts(one)
  // Which replicas were there from the start is not on record.
  return { replication_role: type, replication_ip: ip, is_replication: null, replication_id: replicationId(one), node_id: id, status: status === 'Active' ? 'Active' : 'Inactive', az_code: az, dimensions }
}

/** The same as an entry of GET …/deletable-replication. */
export function deletable(one: NodeView): object {
  const { instanceId, own, id, ip, az } = facts(one)
  return { replication_id: replicationId(one), node_id: id, replication_ip: ip, group_id: groupId(instanceId, own.shard), group_name: `group-${own.shard}`, available_zone: az }
}

/** The same as an entry of GET …/dims/monitored-objects/{instance_id}. */
export function monitored(one: NodeView): object {
  const { instanceId, ip, status, dimensions } = facts(one)
  return { dcs_instance_id: instanceId, name: ip, dcs_cluster_redis_node: (dimensions[1] as { value: string }).value, status: status === 'Active' ? 'Normal' : 'Abnormal' }
}

/** A UUID for what a node holds of its shard, always the same. */
export function replicationId({ node }: { readonly node: Pick<NodeRecord, 'id'> }): string { return asUuid(digest(`replication ${node.id}`)) }

/** One entry of GET …/logical-nodes. */
export function logicalNode(one: NodeView): object {
  const { instanceId, own, id, ip, port, type, status, az, dimensions } = facts(one)
  return {
    logical_node_id: digest(`logical ${one.node.id}`), name: `(${type === 'master' ? 'master' : 'replica'})${ip}`, status, az_code: az, node_role: 'redis-server', node_type: type,
    node_ip: ip, node_port: port, node_id: id, priority_weight: own.priority, is_access: own.at !== null,
    group_id: groupId(instanceId, own.shard), group_name: `group-${own.shard}`, is_remove_ip: false, replication_id: replicationId(one), dimensions,
  }
}

/** One entry of GET …/nodes. */
export function topologyNode(one: NodeView, all: readonly NodeView[]): object {
  const { instanceId, own, id, ip, port, type, status } = facts(one)
  const { spec } = one.view.instance
  // A replica is related to its master.
  const master = type === 'slave' ? all.map(facts).find((other) => other.type === 'master' && other.own.shard === own.shard) : undefined
  return {
    node_id: id, node_name: one.node.id, ip, port, node_type: type, status, group_id: groupId(instanceId, own.shard),
    max_memory: String(Math.floor(spec.memoryBytes / spec.shards / 1024 ** 2)), used_memory: null, qps: null, bandwidth: null, db_num: null, dbs: null, dims: null,
    relation_ip: master?.ip ?? null, relation_port: master?.port ?? null,
  }
}
