/** What is measured, in Prometheus' own client: requests and operations as they end, everything else when somebody asks. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { everyInstance, nodesOf, tally } from './store/instances.ts'
import { heardHosts } from './store/control-planes.ts'
import { queue } from './store/operations.ts'
import { statusOf } from './core/status.ts'
import type { Database } from './store/database.ts'
import type { Engine } from './core/engine.ts'
import { clusterHost, isWithin, type EngineName, type RuntimeName } from './core/instance.ts'
import type { Metrics, Target } from './api/console/metrics.ts'
import type { Operation, Outcome } from './core/operation.ts'
import type { Runtime } from './core/runtime.ts'

export interface MetricsParts {
  readonly db: Database
  readonly engines: Readonly<Record<EngineName, Engine>>
  readonly runtimes: Readonly<Record<RuntimeName, Runtime>>
  /** Nodes of other hosts are theirs to report; those of a cluster anybody's. */
  readonly host: string
}

export interface Meter extends Metrics {
  /** Counts an operation that this control plane brought to its end. */
  ended(engine: EngineName, operation: Pick<Operation, 'action' | 'createdAt'>, outcome: Outcome): void
}

/** Seconds: a soft restart of an empty Redis takes a tenth, a creation may take two minutes. */
const operationBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 600]
const requestBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5]

export function meter({ db, engines, runtimes, host }: MetricsParts): Meter {
  const register = new Registry()
  const registers = [register]
  const requests = new Counter({ registers, name: 'sluice_http_requests_total', help: 'Answers, by service, route and status.', labelNames: ['service', 'method', 'route', 'status'] as const })
  const seconds = new Histogram({ registers, name: 'sluice_http_request_duration_seconds', help: 'Time to answer.', labelNames: ['service'] as const, buckets: requestBuckets })
  const ended = new Counter({ registers, name: 'sluice_operations_total', help: 'Operations that this control plane ended.', labelNames: ['engine', 'action', 'outcome'] as const })
  const took = new Histogram({ registers, name: 'sluice_operation_duration_seconds', help: 'From acceptance to the end.', labelNames: ['engine', 'action'] as const, buckets: operationBuckets })
  const open = new Gauge({ registers, name: 'sluice_operations_open', help: 'Operations that are accepted and not ended.', labelNames: ['engine', 'action'] as const })
  const age = new Gauge({ registers, name: 'sluice_operation_queue_age_seconds', help: 'How long the oldest operation that is due waits for a worker; 0: none waits.' })
  const instances = new Gauge({ registers, name: 'sluice_instances', help: 'Instances, by status.', labelNames: ['engine', 'status'] as const })
  const up = new Gauge({ registers, name: 'sluice_node_up', help: '1 while the process of a node of this host runs.', labelNames: ['node', 'instance', 'name', 'engine', 'project'] as const })
  const resident = new Gauge({ registers, name: 'sluice_node_resident_bytes', help: 'Memory of the process of a node.', labelNames: ['node', 'instance', 'name', 'engine', 'project'] as const })

  /** Measuring the event loop wakes the process up a hundred times a second: more than all else that it does at rest. So only where somebody reads it. */
  let isRead = false

  async function look(): Promise<void> {
    const now = Date.now()
    for (const gauge of [open, instances, up, resident]) gauge.reset()
    const waiting = await queue(db, now)
    for (const group of waiting) open.set({ engine: group.engine, action: group.action }, group.count)
    age.set(Math.max(0, ...waiting.map(({ oldestDue }) => oldestDue === null ? 0 : (now - oldestDue) / 1000)))
    const heard = [host, clusterHost, ...await heardHosts(db, now)]
    for (const engine of Object.keys(engines) as EngineName[]) {
      for (const group of await tally(db, null, engine, heard)) instances.inc({ engine, status: statusOf(group, group.open && { action: group.open }, group.silent) }, group.count)
    }
    const all = await everyInstance(db)
    const nodes = await nodesOf(db, all.map((instance) => instance.id))
    await Promise.all(all.flatMap((instance) => (nodes.get(instance.id) ?? []).filter((node) => isWithin(node.host, host)).map(async (node) => {
      const report = await runtimes[instance.runtime].report(instance.id, node.id)
      const labels = { node: node.id, instance: instance.id, name: instance.name, engine: instance.engine, project: instance.projectId }
      up.set(labels, report.phase === 'running' ? 1 : 0)
      if (report.residentBytes !== null) resident.set(labels, report.residentBytes)
    })))
  }

  return {
    answered(service, method, route, status, ms) {
      requests.inc({ service, method, route, status: String(status) })
      seconds.observe({ service }, ms / 1000)
    },
    ended(engine, { action, createdAt }, outcome) {
      ended.inc({ engine, action, outcome })
      took.observe({ engine, action }, Math.max(0, Date.now() - createdAt) / 1000)
    },
    async text() {
      if (!isRead) collectDefaultMetrics({ register })
      isRead = true
      await look()
      return register.metrics()
    },
    async targets() {
      const all = await everyInstance(db)
      const nodes = await nodesOf(db, all.map((instance) => instance.id))
      return all.flatMap((instance) => {
        const mine = nodes.get(instance.id) ?? []
        const roles = engines[instance.engine].roles?.(instance, mine)
        // One that has no address yet cannot be asked.
        return mine.filter((node) => node.address !== '').map((node): Target => {
          const role = roles?.get(node.id)
          // A replica that has left its own port for the readers' is found there.
          const { address, port } = role?.at ?? { address: node.address, port: node.ports['service']! }
          return {
            targets: [`${address.includes(':') ? `[${address}]` : address}:${port}`],
            labels: {
              __meta_sluice_instance_id: instance.id, __meta_sluice_instance_name: instance.name, __meta_sluice_project_id: instance.projectId, __meta_sluice_engine: instance.engine,
              __meta_sluice_version: instance.version, __meta_sluice_node_id: node.id, __meta_sluice_role: role?.role ?? 'node', __meta_sluice_shard: String(role?.shard ?? 0),
            },
          }
        })
      })
    },
  }
}
