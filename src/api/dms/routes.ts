/** DMS for Kafka: the routes, and what each does with the control plane. */
import { onlyRefusal, readBatch, readDry, refusalCode, results, type Form } from './batch.ts'
import { bodyOf } from './call.ts'
import { catalogueRows } from './catalogue.ts'
import { readCreate } from './create.ts'
import { changeTags, listTags, showTags, update } from './describe.ts'
import { dmsError, isRefused, refuseDms, refused, type Refused } from './errors.ts'
import { readExtend } from './extend.ts'
import { readList, readTaskPage } from './queries.ts'
import { instanceBody, task } from './translate.ts'
import { noContent, ok, type Call, type Caller, type IamAction, type Method, type Reply, type Route, type Service } from '../http.ts'
import { planBody } from '../plan.ts'
import { uuid, type Body } from '../json.ts'
import type { ControlPlane } from '../../core/control-plane.ts'

type Handle = (plane: ControlPlane, call: Call, caller: Caller) => Promise<Reply | Refused>

/** The v2 and v1.0 instance API of DMS for Kafka in front of a control plane. */
export function dmsService(plane: ControlPlane, region: string): Service {
  const free = catalogueRows.map(([method, path, handle]): Route => ({ method, path, access: 'user', action: null, handle: async (call: Call) => handle(call, region) }))
  const routes: Route[] = rows.map(([method, path, action, handle]) => ({
    method, path, action, access: 'project',
    handle: async (call, caller) => {
      const reply = await handle(plane, call, caller)
      return isRefused(reply) ? dmsError(reply) : reply
    },
  }))
  return { name: 'DMS', routes: [...free, ...routes], refuse: refuseDms }
}

/** `soft_restart` is an extension of ours, on v2 only: rolling. */
const v2: Form = { actions: ['restart', 'delete', 'soft_restart'], allFailure: 'all_failure' }
const v1: Form = { actions: ['restart', 'delete'], allFailure: 'allFailure' }

/** Restarting and deleting share a route, and not a right. */
const acting: IamAction = {
  among: ['dms:instance:modifyStatus', 'dms:instance:delete'],
  of: (call) => {
    const body = bodyOf(call)
    return !isRefused(body) && (body as Body)['action'] === 'delete' ? 'dms:instance:delete' : 'dms:instance:modifyStatus'
  },
}

const rows: readonly (readonly [Method, string, IamAction, Handle])[] = [
  ['POST', '/v2/kafka/:project_id/instances', 'dms:instance:create', (plane, call, caller) => create(plane, call, caller, { old: false })],
  ['POST', '/v2/:project_id/kafka/instances', 'dms:instance:create', (plane, call, caller) => create(plane, call, caller, { old: false })],
  ['POST', '/v2/:project_id/instances', 'dms:instance:create', (plane, call, caller) => create(plane, call, caller, { old: true })],
  ['GET', '/v2/:project_id/instances', 'dms:instance:list', list],
  ['POST', '/v2/:project_id/instances/action', acting, (plane, call, caller) => act(plane, call, caller, v2)],
  ['POST', '/v1.0/:project_id/instances/action', acting, (plane, call, caller) => act(plane, call, caller, v1)],
  ['GET', '/v2/:project_id/instances/:instance_id', 'dms:instance:get', show],
  ['PUT', '/v2/:project_id/instances/:instance_id', 'dms:instance:modify', update],
  ['DELETE', '/v2/:project_id/instances/:instance_id', 'dms:instance:delete', deleteOne],
  ['POST', '/v2/:project_id/kafka/:instance_id/tags/action', 'dms:instance:modify', changeTags],
  ['GET', '/v2/:project_id/kafka/:instance_id/tags', 'dms:instance:get', showTags],
  ['GET', '/v2/:project_id/kafka/tags', 'dms:instance:list', listTags],
  ['POST', '/v2/kafka/:project_id/instances/:instance_id/extend', 'dms:instance:scale', extend],
  ['POST', '/v2/:project_id/kafka/instances/:instance_id/extend', 'dms:instance:scale', extend],
  ['POST', '/v2/:project_id/instances/:instance_id/extend', 'dms:instance:scale', extend],
  ['GET', '/v2/:project_id/instances/:instance_id/tasks', 'dms:instance:getBackgroundTask', listTasks],
  ['GET', '/v2/:project_id/instances/:instance_id/tasks/:task_id', 'dms:instance:getBackgroundTask', showTask],
]

const unknown = refused('DMS.00404022')

async function create(plane: ControlPlane, call: Call, caller: Caller, form: { readonly old: boolean }): Promise<Reply | Refused> {
  const body = bodyOf(call)
  if (isRefused(body)) return body
  const wish = readCreate(body as Body, caller, form)
  if (isRefused(wish)) return wish
  const views = await plane.create(wish)
  if ('kind' in views) return refused(views.kind !== 'no version' ? 'DMS.00400055' : 'DMS.00400008', views.reason)
  return ok({ instance_id: views[0]!.instance.id })
}

async function list(plane: ControlPlane, call: Call, { projectId }: Caller): Promise<Reply | Refused> {
  const filter = readList(call.query)
  if (isRefused(filter)) return filter
  if (!filter) return ok({ instances: [], instance_num: 0 })
  const { total, views } = await plane.list(projectId, filter)
  return ok({ instances: views.map(instanceBody), instance_num: total })
}

async function show(plane: ControlPlane, call: Call, { projectId }: Caller): Promise<Reply | Refused> {
  const id = uuid(call.params['instance_id'])
  if (id === null) return refused('DMS.00400061')
  const view = await plane.get(projectId, 'kafka', id)
  return view ? ok(instanceBody(view)) : unknown
}

async function deleteOne(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const id = uuid(call.params['instance_id'])
  if (id === null) return refused('DMS.00400061')
  const dryRun = readDry(call.query)
  if (isRefused(dryRun)) return dryRun
  const [answer] = await plane.submit({ caller, engine: 'kafka', action: 'delete', ids: [id], dryRun })
  if (answer && 'plan' in answer) return ok({ plan: planBody(answer.plan) })
  return answer && 'refusal' in answer ? refused(refusalCode('delete', answer.refusal)) : noContent
}

async function extend(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const id = uuid(call.params['instance_id'])
  if (id === null) return refused('DMS.00400061')
  const body = bodyOf(call)
  if (isRefused(body)) return body
  const view = await plane.get(caller.projectId, 'kafka', id)
  if (!view) return unknown
  const brokers = readExtend(body as Body, view)
  if (isRefused(brokers)) return brokers
  const dryRun = readDry(call.query)
  if (isRefused(dryRun)) return dryRun
  const answer = await plane.resize({ caller, engine: 'kafka', id, shards: 1, replicas: brokers as number, leaving: [], dryRun })
  if (typeof answer === 'string') return refused('DMS.00400055', answer)
  if ('plan' in answer) return ok({ plan: planBody(answer.plan) })
  // While another job runs as well: it is the code on which clients wait and try again.
  return 'refusal' in answer ? refused(answer.refusal.kind === 'unknown' ? 'DMS.00404022' : 'DMS.00400026') : ok({ job_id: answer.operation.id })
}

async function act(plane: ControlPlane, call: Call, caller: Caller, form: Form): Promise<Reply | Refused> {
  const body = bodyOf(call)
  if (isRefused(body)) return body
  const wish = readBatch(body as Body, form)
  if (isRefused(wish)) return wish
  const dryRun = readDry(call.query)
  if (isRefused(dryRun)) return dryRun
  if (wish.kind === 'failed creations') {
    const answers = await plane.deleteFailed({ caller, engine: 'kafka', dryRun })
    return form === v1 && !dryRun ? noContent : ok(results('delete', answers, null))
  }
  const answers = await plane.submit({ caller, engine: 'kafka', action: wish.action, ids: [...wish.ids.keys()], dryRun })
  return onlyRefusal(wish.action, answers) ?? ok(results(wish.action, answers, wish.ids))
}

async function listTasks(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const id = uuid(call.params['instance_id'])
  if (id === null) return refused('DMS.00400061')
  const page = readTaskPage(call.query)
  return isRefused(page) ? page : tasksOf(plane, caller, id, page)
}

/** The same envelope with one entry. */
async function showTask(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const [id, taskId] = [uuid(call.params['instance_id']), call.params['task_id']!.toLowerCase()]
  if (id === null) return refused('DMS.00400061')
  if (!/^[0-9a-f]{32}$/.test(taskId)) return refused('DMS.00400070')
  return tasksOf(plane, caller, id, { offset: 0, limit: 1, id: taskId })
}

async function tasksOf(plane: ControlPlane, { projectId }: Caller, id: string, page: Parameters<ControlPlane['tasks']>[3]): Promise<Reply | Refused> {
  const [view, found] = [await plane.get(projectId, 'kafka', id), await plane.tasks(projectId, 'kafka', id, page)]
  if (!view || !found) return unknown
  // No document has a code for an unknown task; its address does not exist.
  if (page.id !== undefined && found.total === 0) return refused('DMS.00404001')
  const { attributes } = view.instance
  return ok({ task_count: String(found.total), tasks: found.tasks.map((one) => task(one, { id: attributes['userId'], name: attributes['userName'] })) })
}
