/** Switchover, shards, nodes, priorities: the routes of instances with several nodes. */
import { declines, dryRunOf, bodyOf, idOf, instanceOf, unknown, type Row } from './call.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { deletable, findNode, groups, logicalNode, monitored, replication, topologyNode } from './nodes.ts'
import { lastReplicas } from './resize.ts'
import { readPage } from './queries.ts'
import { refusalCode } from './batch.ts'
import { noContent, ok, type Call, type Caller, type Reply } from '../http.ts'
import { planBody } from '../plan.ts'
import { wholeNumber } from '../json.ts'
import type { ControlPlane, NodeView, View } from '../../core/control-plane.ts'
import type { Body } from '../json.ts'

export const topologyRows: readonly Row[] = [
  ['POST', '/v2/:project_id/instances/:instance_id/swap', 'dcs:instance:swap', (plane, call, caller) => swap(plane, call, caller, () => noContent)],
  ['PUT', '/v2/:project_id/instances/:instance_id/async-swap', 'dcs:instance:swap', (plane, call, caller) => swap(plane, call, caller, (operationId) => ok({ job_id: operationId }))],
  ['GET', '/v2/:project_id/instance/:instance_id/groups', 'dcs:instance:get', listGroups],
  ['GET', '/v2/:project_id/instances-logical-nodes', 'dcs:instance:list', listNodesOfAll],
  ['GET', '/v2/:project_id/instances/:instance_id/logical-nodes', 'dcs:instance:get', listNodes],
  ['GET', '/v2/:project_id/instances/:instance_id/nodes', 'dcs:instance:get', showTopology],
  ['POST', '/v2/:project_id/instances/:instance_id/groups/:group_id/replications/:node_id/slave-priority', 'dcs:instance:modify', setPriority],
  ['POST', '/v2/:project_id/instance/:instance_id/groups/:group_id/replications/:node_id/async-switchover', 'dcs:instance:swap', switchOver],
  ['GET', '/v2/:project_id/instance/:instance_id/groups/:group_id/group-nodes-state', 'dcs:instance:get', listReplications],
  ['GET', '/v2/:project_id/instances/:instance_id/deletable-replication', 'dcs:instance:get', listDeletable],
  ['DELETE', '/v2/:project_id/instances/:instance_id/groups/:group_id/replications/:node_id/remove-ip', 'dcs:instance:modify', declines('DCS.4840', 'readers use an address, and whoever answers there is a replica that is up to date: set a priority, or remove the replica')],
  ['GET', '/v2/:project_id/dims/monitored-objects', 'dcs:instance:list', listMonitored],
  ['GET', '/v2/:project_id/dims/monitored-objects/:instance_id', 'dcs:instance:get', listMonitoredNodes],
]

/** Master and a replica change places. */
async function swap(plane: ControlPlane, call: Call, caller: Caller, accepted: (operationId: string) => Reply): Promise<Reply | Refused> {
  const [id, dryRun] = [idOf(call), dryRunOf(call)]
  if (isRefused(id)) return id
  if (isRefused(dryRun)) return dryRun
  const [answer] = await plane.submit({ caller, engine: 'redis', action: 'swap', ids: [id], dryRun })
  if (!answer) return unknown
  if ('plan' in answer) return ok({ plan: planBody(answer.plan) })
  if ('operation' in answer) return accepted(answer.operation.id)
  return refused(refusalCode('swap', answer.refusal), undefined, 'reason' in answer.refusal ? answer.refusal.reason : undefined)
}

async function nodesOf(plane: ControlPlane, call: Call, caller: Caller): Promise<NodeView[] | Refused> {
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  // Nothing is shown of what is being created, says the document.
  return view.status === 'creating' ? [] : plane.nodes(caller.projectId, { engine: 'redis', instanceId: view.instance.id })
}

async function listGroups(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const { instance } = view
  if (instance.version === '3.0' || instance.spec.nodeCount === 1) return refused('DCS.4027', undefined, 'only instances with replicas or shards, of 4.0 and later, have groups')
  const nodes = await nodesOf(plane, call, caller)
  return isRefused(nodes) ? nodes : ok(groups(nodes))
}

async function listNodes(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const nodes = await nodesOf(plane, call, caller)
  return isRefused(nodes) ? nodes : ok({ instance_id: idOf(call), total: nodes.length, nodes: nodes.map(logicalNode) })
}

async function showTopology(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const nodes = await nodesOf(plane, call, caller)
  return isRefused(nodes) ? nodes : ok({ redis_server: nodes.map((node) => topologyNode(node, nodes)), cluster_lvs: [], cluster_admin: [], cluster_proxy: [], master: [], vpcendpoint: [], elb: [] })
}

async function listNodesOfAll(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const page = readPage(call.query)
  if (isRefused(page)) return page
  const { total, views } = await plane.list(caller.projectId, { engine: 'redis', includeFailed: false, ...page })
  const byInstance = Map.groupBy(await plane.nodes(caller.projectId, { engine: 'redis' }), (one) => one.view.instance.id)
  return ok({
    count: total,
    instances: views.map(({ instance, status }) => {
      const nodes = status === 'creating' ? [] : byInstance.get(instance.id) ?? []
      return { instance_id: instance.id, node_count: nodes.length, nodes: nodes.map(logicalNode) }
    }),
  })
}

/** Which replica becomes master first: 1 before 100, 0 never. */
async function setPriority(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const id = idOf(call)
  if (isRefused(id)) return id
  const body = bodyOf(call)
  if (isRefused(body)) return body
  const priority = wholeNumber((body as Body)['slave_priority_weight'], 0, 100)
  if (priority === null) return refused('DCS.4939')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  if (view.instance.spec.replicas === 1) return refused('DCS.4027', undefined, 'an instance without replicas has nobody to promote')
  const { shard, node } = findNode(view, call.params['group_id']!, call.params['node_id']!)
  if (shard === null) return refused('DCS.4062', 'group_id')
  if (node === null) return refused('DCS.3053')
  const refusal = await plane.prefer({ caller, engine: 'redis', id, nodeId: node.id, priority })
  if (refusal === null) return { status: 204 }
  return typeof refusal === 'string' ? refused('DCS.4253', undefined, refusal) : refused(refusalCode('swap', refusal))
}

/** This node becomes the master of its shard. */
async function switchOver(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const dryRun = dryRunOf(call)
  if (isRefused(dryRun)) return dryRun
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const { shard, node } = findNode(view, call.params['group_id']!, call.params['node_id']!)
  if (view.instance.spec.replicas > 1) {
    if (shard === null) return refused('DCS.4062', 'group_id')
    if (node === null) return refused('DCS.3053')
    const role = view.roles.get(node.id)!
    if (role.role === 'master') return refused('DCS.4855', undefined, 'it is the master already')
    if (role.priority === 0) return refused('DCS.4855', undefined, 'its priority is 0, so it may never be master')
  }
  const [answer] = await plane.submit({ caller, engine: 'redis', action: 'swap', ids: [view.instance.id], memo: { to: node?.id ?? '' }, dryRun })
  if (!answer) return unknown
  if ('plan' in answer) return ok({ plan: planBody(answer.plan) })
  if ('operation' in answer) return ok({ job_id: answer.operation.id })
  return refused(refusalCode('swap', answer.refusal), undefined, 'reason' in answer.refusal ? answer.refusal.reason : undefined)
}

/** One shard as it is now: a list by itself. */
async function listReplications(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const { shard } = findNode(view, call.params['group_id']!, '')
  if (shard === null) return refused('DCS.4062', 'group_id')
  const nodes = await nodesOf(plane, call, caller)
  return isRefused(nodes) ? nodes : ok(nodes.filter(({ role }) => role?.shard === shard).map(replication))
}

/** Which replicas go when each shard loses one. */
async function listDeletable(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const nodes = await nodesOf(plane, call, caller)
  if (isRefused(nodes)) return nodes
  const last = view.instance.spec.replicas > 1 ? lastReplicas({ replicas: view.instance.spec.replicas - 1 }, view).map((node) => node.id) : []
  const going = nodes.filter(({ node }) => last.includes(node.id)).map(deletable)
  return ok({ check_result: going.length > 0, available_zone: null, replication_list: going })
}

const router = (...names: string[]): object => ({ router: names, children: [{ dim_name: 'dcs_cluster_redis_node', dim_route: 'dcs_instance_id,dcs_cluster_redis_node' }] })
const dimension = (call: Call): Refused | null => call.query.get('dim_name') === 'dcs_instance_id' ? null : refused('DCS.4062', 'dim_name')
const object = ({ instance, status }: View): object => ({ dcs_instance_id: instance.id, name: instance.name, status: status === 'running' ? 'Normal' : 'Abnormal' })

async function listMonitored(plane: ControlPlane, call: Call, { projectId }: Caller): Promise<Reply | Refused> {
  const page = readPage(call.query)
  if (isRefused(page)) return page
  const wrong = dimension(call)
  if (wrong) return wrong
  const { total, views } = await plane.list(projectId, { engine: 'redis', includeFailed: false, ...page })
  return ok({ ...router('dcs_instance_id'), instances: views.map(object), total })
}

async function listMonitoredNodes(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const wrong = dimension(call)
  if (wrong) return wrong
  const nodes = await nodesOf(plane, call, caller)
  return isRefused(nodes) ? nodes : ok({ ...router('dcs_instance_id'), instances: [object(view)], dcs_cluster_redis_node: nodes.map(monitored), dcs_cluster_proxy_node: [], dcs_cluster_proxy2_node: [], total: 1 })
}
