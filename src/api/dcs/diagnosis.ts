/** Reports on the health of an instance's nodes, by what each says of itself. */
import { bodyOf, instanceOf, type Row } from './call.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { groupId } from './nodes.ts'
import { readPage } from './queries.ts'
import { surveyRefusal } from './surveys.ts'
import { isAbsent, uuid, type Body } from '../json.ts'
import { ok, type Call, type Caller, type Reply } from '../http.ts'
import type { ControlPlane, View } from '../../core/control-plane.ts'
import type { NodeDiagnosis, Survey } from '../../core/desk.ts'

const path = '/v2/:project_id/instances/:instance_id/diagnosis'

export const diagnosisRows: readonly Row[] = [
  ['POST', path, 'dcs:instance:diagnosis', create],
  ['GET', path, 'dcs:instance:diagnosis', list],
  ['DELETE', path, 'dcs:instance:diagnosis', remove],
  ['GET', '/v2/:project_id/diagnosis/:report_id', 'dcs:instance:diagnosis', show],
]

const [mostMs, weekMs] = [10 * 60_000, 7 * 24 * 3600_000]

function readInstant(value: unknown): number | null {
  const at = typeof value === 'string' && /^\d{13}$/.test(value) || typeof value === 'number' ? Number(value) : typeof value === 'string' ? Date.parse(value) : NaN
  return Number.isSafeInteger(at) ? at : null
}

async function create(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const body = bodyOf(call) as Body | Refused
  if (isRefused(body)) return body
  const [from, to] = [readInstant(body['begin_time']), readInstant(body['end_time'])]
  if (from === null) return refused('DCS.4062', 'begin_time')
  if (to === null) return refused('DCS.4062', 'end_time')
  if (to <= from) return refused('DCS.4025')
  if (to - from > mostMs) return refused('DCS.4028')
  if (from < Date.now() - weekMs) return refused('DCS.4030')
  if (from > Date.now()) return refused('DCS.4031')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const nodes = readNodes(view, body['node_ip_list'])
  if (isRefused(nodes)) return nodes
  const answer = await plane.surveys.start({ caller, id: view.instance.id, kind: 'diagnosis', how: { from, to, ...nodes ? { nodes } : {} } })
  if (answer === 'running') return refused('DCS.4017')
  return 'id' in answer ? ok({ report_id: answer.id }) : surveyRefusal(answer)
}

/** Nodes by their addresses, or by address and port; null: all. */
function readNodes(view: View, value: unknown): readonly string[] | null | Refused {
  if (isAbsent(value) || Array.isArray(value) && value.length === 0) return null
  const wrong = refused('DCS.4062', 'node_ip_list')
  if (!Array.isArray(value)) return wrong
  const chosen: string[] = []
  for (const one of value) {
    const found = view.nodes.filter((node) => [addressOf(view, node.id), `${node.address}:${node.ports['service']}`, node.address].some((place) => place === one || place?.split(':')[0] === one))
    if (found.length === 0) return wrong
    chosen.push(...found.map(({ id }) => id))
  }
  return [...new Set(chosen)]
}

/** Where a node is reached: `address:port`. */
function addressOf(view: View, id: string): string | null {
  const at = view.roles.get(id)?.at ?? null
  const node = view.nodes.find((one) => one.id === id)
  return at ? `${at.address}:${at.port}` : node ? `${node.address}:${node.ports['service']}` : null
}

async function list(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const page = readPage(call.query)
  if (isRefused(page)) return page
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const { total, surveys } = await plane.surveys.list(caller.projectId, view.instance.id, 'diagnosis', page)
  return ok({ total_num: total, diagnosis_report_list: surveys.map((one) => report(one, view)) })
}

const abnormal = ({ findings }: NodeDiagnosis): number => Object.values(findings).flat().filter((finding) => finding.abnormal).length

function sums({ result, status }: Survey): { readonly abnormal_item_sum: number; readonly failed_item_sum: number } {
  const nodes = result?.nodes ?? []
  return { abnormal_item_sum: nodes.reduce((sum, node) => sum + abnormal(node), 0), failed_item_sum: status === 'failed' ? 1 : nodes.filter((node) => node.silence !== null).length }
}

function report(survey: Survey, view: View): object {
  const { id, how, createdAt, finishedAt, result } = survey
  return {
    report_id: id, status: finishedAt === null ? 'diagnosing' : 'finished', begin_time: new Date(how.from!).toISOString(), end_time: new Date(how.to!).toISOString(),
    created_at: new Date(createdAt).toISOString(), node_num: result?.nodes?.length ?? how.nodes?.length ?? view.nodes.length, ...sums(survey), error_msg: survey.cause,
  }
}

async function show(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const id = uuid(call.params['report_id'])
  const survey = id ? await plane.surveys.get(caller.projectId, 'diagnosis', id) : null
  const view = survey ? await plane.get(caller.projectId, 'redis', survey.instanceId) : null
  if (!survey || !view) return refused('DCS.4062', 'report_id', 'this project has no such report')
  const zones = view.instance.attributes['azCodes'] as readonly string[] | undefined
  return ok({
    ...sums(survey), error_msg: survey.cause,
    diagnosis_node_report_list: (survey.result?.nodes ?? []).map((node) => {
      const record = view.nodes.find(({ id: nodeId }) => nodeId === node.nodeId)
      return {
        node_ip: addressOf(view, node.nodeId), az_code: record && zones ? zones[record.ordinal % zones.length] : null, group_name: `group-${node.shard}`, group_id: groupId(view.instance.id, node.shard), role: node.role === 'master' ? 'master' : 'slave',
        abnormal_sum: abnormal(node), failed_sum: node.silence === null ? 0 : 1, error_msg: node.silence,
        diagnosis_dimension_list: Object.entries(node.findings).map(([name, findings]) => ({
          name, abnormal_num: findings.filter((one) => one.abnormal).length, failed_num: 0,
          // The clouds number causes and advice in lists of their own; here the figures themselves say why.
          diagnosis_item_list: findings.map((one) => ({ name: one.name, result: one.abnormal ? 'abnormal' : 'normal', cause_ids: [], impact_ids: [], advice_ids: [], reason: one.reason })),
        })),
        command_time_taken_list: commandTimes(node),
      }
    }),
  })
}

/** Since the server's start, for it keeps no other figures. */
function commandTimes({ commands, silence }: NodeDiagnosis): object {
  const [calls, micros] = [commands.reduce((sum, one) => sum + one.calls, 0), commands.reduce((sum, one) => sum + one.micros, 0)]
  return {
    total_num: calls, total_usec_sum: micros, result: silence === null ? 'succeed' : 'failed',
    command_list: commands.map((one) => ({ command_name: one.name.replaceAll('|', ' '), calls_sum: one.calls, usec_sum: one.micros, per_usec: `${(micros > 0 ? one.micros / micros * 100 : 0).toFixed(2)}%`, average_usec: one.calls > 0 ? Math.round(one.micros / one.calls * 100) / 100 : 0 })),
  }
}

async function remove(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const body = bodyOf(call) as Body | Refused
  if (isRefused(body)) return body
  const ids = body['report_id_list']
  if (!Array.isArray(ids) || ids.length === 0 || ids.length > 100 || !ids.every((id) => uuid(id) !== null)) return refused('DCS.4062', 'report_id_list')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const results: object[] = []
  for (const id of ids) results.push({ id, result: await plane.surveys.remove({ caller, id: view.instance.id, kind: 'diagnosis', surveyId: uuid(id)! }) ? 'success' : 'failed' })
  return ok({ results })
}
