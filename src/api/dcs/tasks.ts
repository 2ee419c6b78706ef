/** The records of what was done: tasks of an instance and of a project, and jobs. */
import { instanceOf, unknown, type Row } from './call.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { readPage, readSpan } from './queries.ts'
import { job, progressBody, task } from './translate.ts'
import { ok, type Call, type Caller, type Reply } from '../http.ts'
import type { ControlPlane } from '../../core/control-plane.ts'

export const taskRows: readonly Row[] = [
  ['GET', '/v2/:project_id/instances/:instance_id/tasks', 'dcs:instance:getBackgroundTask', listTasks],
  ['DELETE', '/v2/:project_id/instances/:instance_id/tasks/:task_id', 'dcs:instance:deleteBackgroundTask', dropTask],
  ['GET', '/v2/:project_id/instances/:instance_id/tasks/:task_id/progress', 'dcs:instance:getBackgroundTask', showProgress],
  ['GET', '/v2/:project_id/tasks', 'dcs:instance:getBackgroundTask', listCentre],
  ['DELETE', '/v2/:project_id/tasks/:task_id', 'dcs:instance:deleteBackgroundTask', dropFromCentre],
  ['GET', '/v2/:project_id/jobs/:job_id', 'dcs:job:get', showJob],
]

async function listTasks(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const [page, span] = [readPage(call.query), readSpan(call.query)]
  if (isRefused(page)) return page
  if (isRefused(span)) return span
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const { id, attributes } = view.instance
  const found = await plane.tasks(caller.projectId, 'redis', id, { ...page, ...span })
  return found ? ok({ task_count: String(found.total), tasks: found.tasks.map((one) => task(one, { id: attributes['userId'], name: attributes['userName'] })) }) : unknown
}

const taskId = /^[0-9a-f]{32}$/

/** What became of an asynchronous call. */
async function showJob(plane: ControlPlane, call: Call, { projectId }: Caller): Promise<Reply | Refused> {
  const id = call.params['job_id']!.toLowerCase()
  if (!taskId.test(id)) return refused('DCS.4070')
  const [found] = await plane.operations(projectId, { id, engine: 'redis', openOnly: false, limit: 1 })
  return found ? ok(job(found)) : refused('DCS.4070', undefined, 'this project has no such job')
}

/** Drops the record of a task that has ended. It ends no task. */
async function dropTask(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const operationId = call.params['task_id']!.toLowerCase()
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  if (!taskId.test(operationId)) return refused('DCS.4070')
  const answer = await plane.forget({ caller, engine: 'redis', id: view.instance.id, operationId })
  if (answer === 'open') return refused('DCS.4957')
  return answer === 'unknown' ? refused('DCS.4070', undefined, 'this instance has no such task') : ok({ message: '' })
}

// No document has a code for an unknown task. That of an unknown address would be taken for an unknown route.
const noSuchTask = refused('DCS.4070', undefined, 'this project has no such task')

/** How far it is, node by node. */
async function showProgress(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const id = call.params['task_id']!.toLowerCase()
  if (!taskId.test(id)) return refused('DCS.4070')
  const [found] = await plane.operations(caller.projectId, { id, instanceId: view.instance.id, engine: 'redis', openOnly: false, limit: 1 })
  if (!found) return noSuchTask
  return ok(progressBody(found, found.operation.finishedAt === null ? await plane.nodes(caller.projectId, { engine: 'redis', instanceId: view.instance.id }) : []))
}

/** Of every instance, those that are gone too. */
async function listCentre(plane: ControlPlane, call: Call, { projectId, userId, userName }: Caller): Promise<Reply | Refused> {
  const [page, span] = [readPage(call.query), readSpan(call.query)]
  if (isRefused(page)) return page
  if (isRefused(span)) return span
  const { total, tasks } = await plane.projectTasks(projectId, 'redis', { ...page, ...span })
  return ok({ task_count: String(total), tasks: tasks.map((one) => ({ ...task(one, { id: userId, name: userName }), instance_id: one.operation.instanceId, error_code: null, job_id: one.operation.id })) })
}

async function dropFromCentre(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const operationId = call.params['task_id']!.toLowerCase()
  if (!taskId.test(operationId)) return refused('DCS.4070')
  const answer = await plane.dropTask({ caller, engine: 'redis', operationId })
  if (answer === 'open') return refused('DCS.4957')
  return answer === 'unknown' ? noSuchTask : ok({ message: '' })
}
