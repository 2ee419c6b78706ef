/** One node that is always the master, on its own address. */
import { listens } from '../../core/listens.ts'
import { servedAt } from './replication.ts'
import { withSession } from './client.ts'
import { loads, words } from './headway.ts'
import type { Topology } from './topology.ts'

export const single: Topology = {
  ports: { service: 6379 }, endpoints: {},
  doors: (_instance, node) => [{ address: node.address, port: node.ports['service']! }],
  readdress: ({ endpoints }, nodes, port) => ({ endpoints, ports: servedAt(nodes, port) }),
  configuration: () => [],
  async probe({ nodes: [node], states: [state], reach }) {
    const target = reach(node!, state!)
    const [{ address, port }] = target.doors as [{ address: string; port: number }]
    // Cheaper than a client while the server is starting and this is asked every few milliseconds. With TLS it would be noted in the server's log each time.
    if (target.speaks === 'plain' && !await listens(address, port, target.from)) return { ok: false, reason: `nobody listens on ${address}:${port} yet` }
    try {
      return await withSession(target, async ({ info, refusal }) => {
        if (info('loading') !== '0') return { ok: false, reason: `node 0 is ${loads(info)}` }
        if (info('role') !== 'master') return { ok: false, reason: `node 0 has the role ${info('role')}, not master` }
        return refusal ? { ok: false, reason: `node 0 answers ${refusal.message}` } : { ok: true }
      })
    } catch (error) { return { ok: false, reason: `${address}:${port}: ${words(error)}` } }
  },
  async masters({ nodes }, key) { return [{ node: nodes[0]!, replicas: 0, key }] },
}
