/** Health and administration, for the CLI and the console. */
import { Readable } from 'node:stream'
import { auditRoutes, type AuditParts } from './audit.ts'
import { refuseConsole } from './errors.ts'
import { gateway } from '../gateway.ts'
import { ok, type Call, type Reply, type Service, type Who } from '../http.ts'
import { uuid, numberIn } from '../json.ts'
import { metricsRoutes, type Metrics } from './metrics.ts'
import { hostRoutes } from './hosts.ts'
import { quotaRoutes } from './quota.ts'
import { peopleRoutes, type PeopleParts } from './people.ts'
import type { ControlPlane, TaskView } from '../../core/control-plane.ts'

export interface ConsoleParts {
  readonly plane: ControlPlane
  /** Every service's address. */
  readonly urls: object
  readonly ready: () => boolean
  /** Stops every node, then the server; answers before it has happened. */
  readonly down: () => void
  /** The state as lines, passwords sealed, for a backup; absent: it is no route. */
  readonly state?: () => AsyncIterable<string>
  readonly metrics?: Metrics & { readonly token: string | null }
  readonly people?: PeopleParts
  readonly audit?: AuditParts
}

/** What Sluice says of itself: readiness, its addresses, its nodes, its operations. */
export function consoleService({ plane, urls, ready, down, state, metrics, people, audit }: ConsoleParts): Service {
  return {
    name: 'console', refuse: refuseConsole,
    routes: [
      { method: 'GET', path: '/', access: 'open', handle: () => ok({ name: 'sluice', description: 'A self-hosted control plane for Redis and Apache Kafka that speaks the DCS and DMS instance APIs.', endpoints: urls }) },
      { method: 'GET', path: '/healthz', access: 'open', handle: () => ready() ? ok({ status: 'ready' }) : { status: 503, body: { status: 'not ready' } } },
      { method: 'GET', path: '/v1/nodes', access: 'user', action: 'sluice:node:list', handle: (_call, who) => listNodes(plane, who) },
      { method: 'GET', path: '/v1/operations', access: 'user', action: 'sluice:operation:list', handle: (call, who) => listOperations(plane, call, who) },
      { method: 'DELETE', path: '/v1/operations/:operation_id', access: 'user', action: 'sluice:operation:cancel', handle: (call, who) => cancel(plane, call, who) },
      { method: 'GET', path: '/v1/instances/:instance_id/log', access: 'user', action: 'sluice:instance:getLog', handle: (call, who) => showLog(plane, call, who) },
      { method: 'POST', path: '/v1/down', access: 'domain', action: 'sluice:server:stop', handle: () => { setImmediate(down); return { status: 202, body: { status: 'stopping' } } } },
      ...state ? [{ method: 'GET', path: '/v1/state', access: 'domain', action: 'sluice:server:backUp', handle: () => ({ status: 200, stream: Readable.from(state()) }) } as const] : [],
      ...quotaRoutes(plane, refuseConsole),
      ...audit ? auditRoutes(audit) : [],
      ...hostRoutes(plane),
      ...people ? peopleRoutes(people) : [],
      ...metrics ? metricsRoutes(metrics) : [],
    ],
  }
}

async function listNodes(plane: ControlPlane, who: Who): Promise<Reply> {
  if (who.projectId === null) return refuseConsole('other project')
  const all = await plane.nodes(who.projectId)
  return ok({
    nodes: all.map(({ view, node, role, report }) => ({
      id: node.id, instance_id: view.instance.id, name: view.instance.name, engine: view.instance.engine, version: view.instance.version,
      runs_on: view.runsOn, status: view.status, host: node.host, address: node.address, ports: node.ports,
      role: role?.role ?? null, shard: role?.shard ?? null, priority: role?.priority ?? null,
      phase: report.phase, pid: report.identity?.pid ?? null, started_at: report.identity?.startedAt ?? null,
      generation: view.instance.generation, observed_generation: report.observedGeneration,
      resident_bytes: report.residentBytes, log_path: report.logPath, exit: report.exit ?? null,
    })),
  })
}

/** `?instance=ID&open=true&limit=N`: newest first; none for an instance that this project does not have. */
async function listOperations(plane: ControlPlane, call: Call, who: Who): Promise<Reply> {
  if (who.projectId === null) return refuseConsole('other project')
  const [id, limit] = [call.query.get('instance'), numberIn(call.query.get('limit') || '100', 1, 1000)]
  if ((id !== null && uuid(id) === null) || limit === null) return { status: 400, body: { error_code: gateway.malformed.code, error_msg: 'instance must be an instance ID, limit a number from 1 to 1000' } }
  const tasks = await plane.operations(who.projectId, { ...(id === null ? {} : { instanceId: uuid(id)! }), openOnly: call.query.get('open') === 'true', limit })
  return ok({ operations: tasks.map(operationBody) })
}

/** Asks for the end of an operation that can be left half done; 202: it ends as soon as the instance is healthy. */
async function cancel(plane: ControlPlane, call: Call, who: Who): Promise<Reply> {
  if (who.projectId === null) return refuseConsole('other project')
  const answer = await plane.cancel({ projectId: who.projectId, userId: who.user.id, userName: who.user.name }, call.params['operation_id']!.toLowerCase())
  if (answer === 'requested') return { status: 202, body: { status: 'cancelling' } }
  const [status, code, message] = uncancelled[answer]
  return { status, body: { error_code: code, error_msg: message } }
}

const uncancelled = {
  unknown: [404, 'SLUICE.0404', 'This project has no such operation.'],
  ended: [409, 'SLUICE.0409', 'The operation has ended already.'],
  impossible: [409, 'SLUICE.0410', 'This operation cannot be left half done: only a soft restart can be cancelled.'],
} as const

/** `?lines=200&follow=true`: the servers' own words, as plain text. */
async function showLog(plane: ControlPlane, call: Call, who: Who): Promise<Reply> {
  if (who.projectId === null) return refuseConsole('other project')
  const [id, lines] = [uuid(call.params['instance_id']), numberIn(call.query.get('lines') || '200', 1, 10_000)]
  const leave = new AbortController()
  const chunks = id === null || lines === null ? null : await plane.logs(who.projectId, id, { lines, follow: call.query.get('follow') === 'true', signal: leave.signal })
  if (!chunks) return { status: 404, body: { error_code: gateway.noRoute.code, error_msg: 'This project has no such instance.' } }
  if (chunks === 'elsewhere') return { status: 409, body: { error_code: 'SLUICE.0411', error_msg: 'Another host runs this instance and has its log: ask a control plane there.' } }
  const stream = Readable.from(chunks)
  stream.once('close', () => leave.abort())
  return { status: 200, stream }
}

function operationBody({ operation, progress, nodes }: TaskView): object {
  return {
    id: operation.id, instance_id: operation.instanceId, action: operation.action, generation: operation.generation, actor: operation.actor,
    created_at: operation.createdAt, started_at: operation.startedAt, finished_at: operation.finishedAt, outcome: operation.outcome, cause: operation.cause, progress, nodes,
  }
}
