/** Who is master and who is replica, as granted. Pure: it asks no server. */
import { priorityGrant } from './succession.ts'
import { topologyOf } from './topology.ts'
import type { NodeRole } from '../../core/engine.ts'
import type { Grants, Instance, NodeRecord } from '../../core/instance.ts'

const usual = 100

export function rolesOf(instance: Instance, nodes: readonly NodeRecord[]): Map<string, NodeRole> {
  const own = topologyOf(instance.spec).roles?.(instance, nodes)
  return new Map(nodes.map((node, n): [string, NodeRole] => {
    const granted = own?.get(node.id) ?? { role: n % instance.spec.replicas === 0 ? 'master' : 'replica', shard: Math.floor(n / instance.spec.replicas), at: { address: node.address, port: node.ports['service']! } }
    return [node.id, { ...granted, priority: Number(instance.grants[priorityGrant(node.id)] ?? usual) }]
  }))
}

/**
 * The grants with this priority; null when fewer than two nodes of its shard may be master then. With two, whoever is
 * master has somebody to hand its role to, whatever failovers and switchovers come before.
 */
export function prefer(instance: Instance, nodes: readonly NodeRecord[], nodeId: string, priority: number): Grants | null {
  const roles = rolesOf(instance, nodes)
  const fit = nodes.filter((node) => roles.get(node.id)!.shard === roles.get(nodeId)!.shard && (node.id === nodeId ? priority : roles.get(node.id)!.priority) > 0)
  return fit.length < 2 ? null : { ...instance.grants, [priorityGrant(nodeId)]: String(priority) }
}
