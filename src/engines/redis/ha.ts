/** One master, one to four replicas, one address for writers that follows the master, and one for readers. */
import { arrange, choose, promote, swap, vacate } from './failover.ts'
import { copying, nobody, servedAt } from './replication.ts'
import { judge, lookAtAll, sharesHost } from './views.ts'
import { closeAll } from './seen.ts'
import type { Endpoint } from '../../core/instance.ts'
import type { Topology } from './topology.ts'

export const ha: Topology = {
  ports: { service: 6379 }, endpoints: { service: 6379, readonly: 6379 },
  doors({ endpoints }, node) {
    const own = { address: node.address, port: node.ports['service']! }
    // With an address of its own a node always listens there; on a shared host it leaves its port for the instance's.
    return sharesHost(node, endpoints['service']) ? [own, endpoints['service']!, endpoints['readonly']!] : [own]
  },
  readdress({ endpoints }, nodes, port) {
    // On a shared host the service alone moves: nodes keep the ports that are their own.
    if (sharesHost(nodes[0]!, endpoints['service'])) return { endpoints: { ...endpoints, service: { ...endpoints['service']!, port } }, ports: {} }
    return { endpoints: Object.fromEntries(Object.entries(endpoints).map(([name, { address }]) => [name, { address, port }])), ports: servedAt(nodes, port) }
  },
  configuration: (_instance, node) => [
    // It keeps its data, takes no write, and waits to be told what it is.
    `replicaof ${nobody(node).join(' ')}`, `replica-announce-ip ${node.address}`, `replica-announce-port ${node.ports['service']}`,
    ...copying(),
  ],
  roles({ endpoints, grants }, nodes) {
    const master = nodes.find((node) => node.id === grants['master']) ?? nodes[0]
    const [service, readonly] = [endpoints['service'], endpoints['readonly']]
    return new Map(nodes.map((node): [string, { role: 'master' | 'replica'; shard: number; at: Endpoint | null }] => {
      const own = { address: node.address, port: node.ports['service']! }
      if (node === master) return [node.id, { role: 'master', shard: 0, at: sharesHost(node, service) ? service! : own }]
      // On a shared host one replica has left its port for the readers' address; of several, which one is not on record.
      return [node.id, { role: 'replica', shard: 0, at: !sharesHost(node, readonly) ? own : nodes.length === 2 ? readonly! : null }]
    }))
  },
  async probe(ground) {
    const views = await lookAtAll(ground)
    try { return judge(ground, views) } finally { closeAll(views) }
  },
  arrange, choose, swap, promote, vacate,
  resizes: ['replicas'], appends: true,
  async masters({ nodes, instance }, key) {
    return [{ node: nodes.find((node) => node.id === instance.grants['master'])!, replicas: nodes.length - 1, key }]
  },
}
