/** Configuration parameters of an instance: shown, changed while it serves, and what was changed before. */
import { failureOf, instanceOf, unknown, wishOf, type Row } from './call.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { readPage } from './queries.ts'
import { readParameters, shown } from './parameters.ts'
import { refusalCode } from './batch.ts'
import { moment, statusWords } from './translate.ts'
import { noContent, ok, type Call, type Caller, type Reply } from '../http.ts'
import { planBody } from '../plan.ts'
import { uuid } from '../json.ts'
import type { ControlPlane, TaskView, View } from '../../core/control-plane.ts'

const configs = '/:project_id/instances/:instance_id/configs'
const histories = '/v2/:project_id/instances/:instance_id/config-histories'

export const configRows: readonly Row[] = [
  ['GET', `/v2${configs}`, 'dcs:instance:getConfiguration', (plane, call, caller) => list(plane, call, caller, {})],
  ['GET', `/v1.0${configs}`, 'dcs:instance:getConfiguration', (plane, call, caller) => list(plane, call, caller, { node_role: '' })],
  ['PUT', `/v2${configs}`, 'dcs:instance:modifyConfigureation', (plane, call, caller) => update(plane, call, caller, applied)],
  ['PUT', `/v1.0${configs}`, 'dcs:instance:modifyConfigureation', (plane, call, caller) => update(plane, call, caller, applied)],
  ['PUT', '/v2/:project_id/instances/:instance_id/async-configs', 'dcs:instance:modifyConfigureation', (plane, call, caller) => update(plane, call, caller, async (_plane, _caller, id) => ok({ job_id: id }))],
  ['GET', histories, 'dcs:instance:getConfiguration', listHistories],
  ['GET', `${histories}/:history_id`, 'dcs:instance:getConfiguration', showHistory],
]

const changesOf = (plane: ControlPlane, { projectId }: Caller, id: string, page: { readonly offset: number; readonly limit: number; readonly id?: string }) =>
  plane.tasks(projectId, 'redis', id, { ...page, action: 'configure' })

/** `more`: what each item has in an older edition besides. */
async function list(plane: ControlPlane, call: Call, caller: Caller, more: object): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const { instance, status } = view
  const last = (await changesOf(plane, caller, instance.id, { offset: 0, limit: 1 }))?.tasks[0]
  return ok({
    instance_id: instance.id, status: statusWords[status], ...'node_role' in more ? { cluster_v1: false } : {},
    config_status: last ? configStatus(last) : 'SUCCESS', config_time: moment(last?.operation.finishedAt ?? last?.operation.createdAt ?? instance.createdAt),
    redis_config: shown(plane.parameters('redis', instance)).map((one) => ({ ...one, ...more })),
  })
}

function configStatus({ operation }: TaskView): 'UPDATING' | 'SUCCESS' | 'FAILURE' {
  if (operation.finishedAt === null) return 'UPDATING'
  return operation.outcome === 'done' ? 'SUCCESS' : 'FAILURE'
}

/**
 * The answer that has no job in it comes when the values hold: gophertelekomcloud's acceptance tests delete the instance, and its
 * Terraform provider switches TLS, with the next request and without another try. Of one that takes longer, `config_status` tells.
 */
async function applied(plane: ControlPlane, caller: Caller, operationId: string): Promise<Reply | Refused> {
  const failure = await failureOf(plane, caller, operationId)
  return failure === null ? noContent : refused('DCS.4842', undefined, failure)
}

async function update(plane: ControlPlane, call: Call, caller: Caller, accepted: (plane: ControlPlane, caller: Caller, operationId: string) => Promise<Reply | Refused>): Promise<Reply | Refused> {
  const wish = wishOf(call)
  if (isRefused(wish)) return wish
  const { id, dryRun, body } = wish
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const parameters = readParameters(body['redis_config'], plane.parameters('redis', view.instance))
  if (isRefused(parameters)) return parameters
  const answer = await plane.change({
    caller, engine: 'redis', id, action: 'configure', spec: { parameters }, dryRun,
    detail: Object.entries(parameters).map(([name, value]) => `${name}=${value}`).join(' '), memo: { changed: JSON.stringify(changed(plane, view, parameters)) },
  })
  if ('plan' in answer) return ok({ plan: planBody(answer.plan) })
  return 'operation' in answer ? accepted(plane, caller, answer.operation.id) : refused(refusalCode('configure', answer.refusal), undefined, answer.refusal.kind === 'unsupported' ? answer.refusal.reason : undefined)
}

interface Changed { readonly name: string; readonly from: string; readonly to: string }

function changed(plane: ControlPlane, { instance }: View, to: Readonly<Record<string, string>>): Changed[] {
  return plane.parameters('redis', instance).filter(({ name }) => name in to).map(({ name, value }) => ({ name, from: value, to: to[name]! }))
}

/** A history's id is its operation's, in the form that DCS gives it. */
const historyId = (operationId: string): string => operationId.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')

async function listHistories(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const page = readPage(call.query)
  if (isRefused(page)) return page
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const found = await changesOf(plane, caller, view.instance.id, page)
  return found ? ok({ history_num: found.total, histories: found.tasks.map(history) }) : unknown
}

const history = (task: TaskView): object => ({ history_id: historyId(task.operation.id), type: 'config_param', created_at: moment(task.operation.createdAt), status: configStatus(task) })

async function showHistory(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const id = uuid(call.params['history_id'])?.replaceAll('-', '')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const [found] = id ? (await changesOf(plane, caller, view.instance.id, { offset: 0, limit: 1, id }))?.tasks ?? [] : []
  if (!found) return refused('DCS.4062', 'history_id')
  const changes = JSON.parse(String(found.operation.memo['changed'] ?? '[]')) as Changed[]
  return ok({ ...history(found), fail_reason: found.operation.cause, redis_config: changes.map(({ name, from, to }) => ({ param_name: name, old_value: from, new_value: to })) })
}
