/** What the data of an instance is made of, read from a copy: of a backup, or of a node as it is. */
import { bodyOf, instanceOf, type Row } from './call.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { nodeId } from './nodes.ts'
import { readPage } from './queries.ts'
import { surveyRefusal } from './surveys.ts'
import { isAbsent, uuid, type Body } from '../json.ts'
import { ok, type Call, type Caller, type Reply } from '../http.ts'
import type { ControlPlane, View } from '../../core/control-plane.ts'
import type { Survey, SurveyHow } from '../../core/desk.ts'

const path = '/v2/:project_id/instances/:instance_id/offline/key-analysis'
const action = 'dcs:instance:analyze'

export const analysisRows: readonly Row[] = [
  ['POST', path, action, create],
  ['GET', path, action, list],
  ['GET', `${path}/:task_id`, action, show],
  ['DELETE', `${path}/:task_id`, action, remove],
]

const missing = refused('DCS.4062', 'task_id', 'this instance has no such analysis')

async function create(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const body = bodyOf(call) as Body | Refused
  if (isRefused(body)) return body
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const how = await readHow(plane, caller, view, body)
  if (isRefused(how)) return how
  const answer = await plane.surveys.start({ caller, id: view.instance.id, kind: 'analysis', how })
  if (answer === 'running') return refused('DCS.4017')
  return 'id' in answer ? ok({ task_id: answer.id }) : surveyRefusal(answer)
}

async function readHow(plane: ControlPlane, caller: Caller, view: View, { node_id: wanted, backup_id: given }: Body): Promise<SurveyHow | Refused> {
  if (!isAbsent(given)) {
    const id = uuid(given)
    const backup = id ? await plane.backups.get(caller.projectId, view.instance.id, id) : null
    if (!backup) return refused('DCS.4062', 'backup_id')
    const away = plane.backups.away(backup)
    if (backup.outcome !== 'done' || away !== null) return refused('DCS.4087', undefined, away ?? undefined)
    return { backup: backup.id }
  }
  const node = view.nodes.find((one) => nodeId(one) === wanted)
  return node ? { nodes: [node.id] } : refused('DCS.3053')
}

const moment = (at: number | null): string | null => at === null ? null : new Date(at).toISOString()

async function list(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const page = readPage(call.query)
  if (isRefused(page)) return page
  const wanted = call.query.get('status')
  const status = (['waiting', 'running', 'success', 'failed'] as const).find((one) => one === wanted)
  if (wanted && !status) return refused('DCS.4062', 'status')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const { total, surveys } = await plane.surveys.list(caller.projectId, view.instance.id, 'analysis', { ...page, ...status ? { status } : {} })
  const records = surveys.map(({ id, status: now, progress, createdAt, startedAt, finishedAt, cause }) => ({ id, status: now, progress, created_at: moment(createdAt), started_at: moment(startedAt), finished_at: moment(finishedAt), error_msg: cause }))
  return ok({ instance_id: view.instance.id, total, records })
}

async function find(plane: ControlPlane, call: Call, caller: Caller): Promise<{ readonly view: View; readonly survey: Survey } | Refused> {
  const id = uuid(call.params['task_id'])
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const survey = id ? await plane.surveys.get(caller.projectId, 'analysis', id) : null
  return survey?.instanceId === view.instance.id ? { view, survey } : missing
}

async function show(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const found = await find(plane, call, caller)
  if (isRefused(found)) return found
  const { view, survey: { id, how, status, progress, startedAt, finishedAt, cause, result } } = found
  const node = view.nodes.find((one) => how.nodes?.includes(one.id))
  const role = node ? view.roles.get(node.id) : undefined
  const analysis = result?.analysis
  const types = Object.entries(analysis?.types ?? {})
  return ok({
    id, instance_id: view.instance.id, status, progress, error_msg: cause, node_id: node ? nodeId(node) : null, backup_id: how.backup ?? null, analysis_type: how.backup === undefined ? 'new_backup' : 'old_backup',
    group_name: role ? `group-${role.shard}` : null, node_ip: node?.address ?? null, node_ipv6: null, node_type: role ? { master: 'master', replica: 'slave' }[role.role] : null,
    started_at: moment(startedAt), finished_at: moment(finishedAt), total_bytes: analysis?.bytes ?? null, total_num: analysis?.keys ?? null,
    largest_keys: (analysis?.largest ?? []).map((one) => ({ key: one.name, type: one.type, bytes: one.bytes, num_of_elem: one.elements })),
    largest_key_prefixes: (analysis?.prefixes ?? []).map((one) => ({ key_prefix: one.prefix, type: one.type, bytes: one.bytes, num: one.keys })),
    type_bytes: types.map(([type, { bytes }]) => ({ type, bytes })), type_num: types.map(([type, { keys }]) => ({ type, num: keys })),
  })
}

async function remove(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const found = await find(plane, call, caller)
  if (isRefused(found)) return found
  const dropped = await plane.surveys.remove({ caller, id: found.view.instance.id, kind: 'analysis', surveyId: found.survey.id })
  return dropped ? ok({ task_id: dropped.id }) : missing
}
