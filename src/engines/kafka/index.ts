/** Kafka queues: how they are laid out and asked. */
import { choose, inOrder } from './roll.ts'
import { clusterId, layout, nodeId } from './layout.ts'
import { describeCluster } from './admin.ts'
import { listens } from '../../core/listens.ts'
import type { Engine, NodeHealth } from '../../core/engine.ts'
import type { NodeRecord, RuntimeName } from '../../core/instance.ts'

/** What DMS offers; the installed release, which still speaks to the clients of all of them, serves each. */
const offered = ['1.1.0', '2.3.0', '2.7', '3.x'] as const

export function kafkaEngine(installed: (runtime: RuntimeName) => string | null): Engine {
  return {
    name: 'kafka',
    ports: () => ({ service: 9092, controller: 9093 }),
    endpoints: () => ({}),
    // Measured: 160 to 320 MiB resident, by flavor; three of the largest beside a Redis pair 960.
    leastMemoryBytes: 300 * 1024 * 1024,
    layout, choose,
    asked: async (plan, action) => action === 'soft_restart' && plan.nodes.length > 1 ? inOrder(plan) : plan,
    connection(_instance, nodes) {
      const [first] = nodes as readonly [NodeRecord]
      return { type: 'kafka', provider: 'sluice', host: first.address, port: String(first.ports['service']), 'bootstrap-servers': nodes.map((node) => `${node.address}:${node.ports['service']}`).join(',') }
    },
    async probe(instance, nodes, states) {
      for (const node of nodes) {
        const state = states.find((s) => s.id === node.id)
        if (state?.phase !== 'running') return { ok: false, reason: `broker ${nodeId(node)} does not run${state?.exit?.lastLines ? `; its last lines:\n${state.exit.lastLines}` : ''}` }
      }
      const open = await Promise.all(nodes.map((node) => listens(node.address, node.ports['service']!)))
      const silent = nodes.find((_, n) => !open[n])
      if (silent) return { ok: false, reason: `nobody listens on ${silent.address}:${silent.ports['service']} yet` }
      // One after the other: while a broker starts, the first answer says so already, and this is asked often then.
      for (const node of nodes) {
        const health = await probeBroker(instance.id, node.address, node.ports['service']!, nodes.map(nodeId))
        if (!health.ok) return health
      }
      return { ok: true }
    },
    async runsOn(version, runtime) {
      const found = installed(runtime)
      if (found === null) throw new Error('Apache Kafka is not installed: run "npm run engines"')
      return (offered as readonly string[]).includes(version) ? found : null
    },
  }
}

/** The cluster's id, which no other instance has, proves whose broker it is; a fenced broker is not in the list. */
async function probeBroker(instanceId: string, address: string, port: number, wanted: readonly number[]): Promise<NodeHealth> {
  const where = `${address}:${port}`
  try {
    const view = await describeCluster(address, port)
    if (view.clusterId !== clusterId(instanceId)) return { ok: false, reason: `another server answers on ${where}: its cluster is ${view.clusterId}, ours is ${clusterId(instanceId)}` }
    const missing = wanted.filter((id) => !view.brokers.includes(id))
    // Recovering its logs comes before registering, so nobody is ever stopped in the middle of that.
    if (missing.length > 0) return { ok: false, reason: `broker ${missing.join(', ')} is not registered yet, or fenced: it starts, or recovers its logs` }
    const leaderless = view.partitions.filter((partition) => partition.leader < 0)
    if (leaderless.length > 0) return { ok: false, reason: `${leaderless.length} partitions have no leader, ${leaderless[0]!.name} among them` }
    return { ok: true }
  } catch (error) { return { ok: false, reason: `${where}: ${(error as Error).message}` } }
}
