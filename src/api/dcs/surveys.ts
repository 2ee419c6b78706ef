/** Looks through the keys of an instance, and reports on its health: asked for, planned, listed, dropped. */
import { bodyOf, idOf, instanceOf, type Row } from './call.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { refusalCode } from './batch.ts'
import { readPage } from './queries.ts'
import { isAbsent, numberIn, uuid, wholeNumber, type Body } from '../json.ts'
import { ok, type Call, type Caller, type Reply } from '../http.ts'
import { planName, type SurveyPlan } from '../../core/surveys.ts'
import type { ControlPlane, View } from '../../core/control-plane.ts'
import type { FoundKey, Survey, SurveyKind } from '../../core/desk.ts'
import type { Refusal } from '../../core/refusal.ts'

const instance = '/v2/:project_id/instances/:instance_id'
const analyze = 'dcs:instance:analyze'
type Keys = 'bigkey' | 'hotkey'

const keyRows = (kind: Keys): readonly Row[] => [
  ['POST', `${instance}/${kind}-task`, analyze, (plane, call, caller) => create(plane, call, caller, kind)],
  ['GET', `${instance}/${kind}-tasks`, analyze, (plane, call, caller) => list(plane, call, caller, kind)],
  ['GET', `${instance}/${kind}-task/:survey_id`, analyze, (plane, call, caller) => show(plane, call, caller, kind)],
  ['DELETE', `${instance}/${kind}-task/:survey_id`, analyze, (plane, call, caller) => remove(plane, call, caller, kind)],
  ['GET', `${instance}/${kind}/autoscan`, analyze, (plane, call, caller) => showPlan(plane, call, caller, kind)],
  ['PUT', `${instance}/${kind}/autoscan`, analyze, (plane, call, caller) => setPlan(plane, call, caller, kind)],
]

export const surveyRows: readonly Row[] = [
  ...keyRows('bigkey'),
  ...keyRows('hotkey'),
  ['POST', `${instance}/hotkey/:survey_id/export`, analyze, exportHot],
  ['POST', `${instance}/scan-expire-keys-task`, analyze, (plane, call, caller) => create(plane, call, caller, 'expire')],
  ['POST', `${instance}/auto-expire/scan`, analyze, (plane, call, caller) => create(plane, call, caller, 'expire')],
  ['GET', `${instance}/auto-expire/histories`, analyze, (plane, call, caller) => list(plane, call, caller, 'expire')],
  ['GET', `${instance}/scan-expire-keys/autoscan-config`, analyze, (plane, call, caller) => showPlan(plane, call, caller, 'expire')],
  ['PUT', `${instance}/scan-expire-keys/autoscan-config`, analyze, setExpirePlan],
]

const moment = (at: number): string => new Date(at).toISOString()

export function surveyRefusal(refusal: Refusal): Refused {
  return refused(refusalCode('survey', refusal), undefined, refusal.kind === 'unsupported' ? refusal.reason : undefined)
}

async function create(plane: ControlPlane, call: Call, caller: Caller, kind: SurveyKind): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const how = kind === 'expire' ? planOf(view, kind)?.how ?? {} : {}
  const answer = await plane.surveys.start({ caller, id: view.instance.id, kind, how })
  if (answer === 'running') return refused('DCS.4918')
  return 'id' in answer ? ok(record(answer, false)) : surveyRefusal(answer)
}

const statuses = ['waiting', 'running', 'success', 'failed'] as const

async function list(plane: ControlPlane, call: Call, caller: Caller, kind: SurveyKind): Promise<Reply | Refused> {
  const page = readPage(call.query)
  if (isRefused(page)) return page
  const wanted = call.query.get('status')
  const status = statuses.find((one) => one === wanted)
  if (wanted && !status) return refused('DCS.4062', 'status')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const found = await plane.surveys.list(caller.projectId, view.instance.id, kind, { ...page, ...status ? { status } : {} })
  const records = found.surveys.map((one) => kind === 'expire' ? { ...record(one, false), num: one.result?.expired ?? 0 } : short(one))
  return ok({ instance_id: view.instance.id, count: kind === 'expire' ? records.length : found.total, ...kind === 'expire' ? { total: found.total } : {}, records })
}

async function find(plane: ControlPlane, call: Call, caller: Caller, kind: Keys): Promise<Survey | Refused> {
  const missing = refused(kind === 'bigkey' ? 'DCS.4942' : 'DCS.4941')
  const [id, surveyId] = [idOf(call), uuid(call.params['survey_id'])]
  if (isRefused(id)) return id
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const found = surveyId ? await plane.surveys.get(caller.projectId, kind, surveyId) : null
  return found?.instanceId === id ? found : missing
}

async function show(plane: ControlPlane, call: Call, caller: Caller, kind: Keys): Promise<Reply | Refused> {
  const found = await find(plane, call, caller, kind)
  return isRefused(found) ? found : ok(record(found, true))
}

async function remove(plane: ControlPlane, call: Call, caller: Caller, kind: Keys): Promise<Reply | Refused> {
  const found = await find(plane, call, caller, kind)
  if (isRefused(found)) return found
  const dropped = await plane.surveys.remove({ caller, id: found.instanceId, kind, surveyId: found.id })
  return dropped ? ok(record(dropped, true)) : refused(kind === 'bigkey' ? 'DCS.4942' : 'DCS.4941')
}

/** A table that spreadsheets read. */
async function exportHot(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const found = await find(plane, call, caller, 'hotkey')
  if (isRefused(found)) return found
  const lines = [['key', 'type', 'shard', 'database', 'size', 'unit', 'frequency'], ...(found.result?.keys ?? []).map((one) => [one.name, one.type, one.shard ?? '', one.database, one.size, unit(one), one.frequency ?? ''])]
  const text = lines.map((line) => line.map(cell).join(',')).join('\r\n')
  return { status: 200, text: `${text}\r\n`, headers: { 'content-type': 'text/csv; charset=utf-8', 'content-disposition': `attachment; filename="hotkey-${found.id}.csv"` } }
}

/** Quoted; and what a spreadsheet would take for a formula is text. */
function cell(value: string | number): string {
  const text = /^[=+\-@\t\r]/.test(String(value)) && typeof value === 'string' ? `'${value}` : String(value)
  return `"${text.replaceAll('"', '""')}"`
}

const unit = ({ type }: FoundKey): 'byte' | 'count' => type === 'string' ? 'byte' : 'count'

/** `progress`, in per cent, is an addition of ours. */
function short({ id, status, progress, scan, createdAt, startedAt, finishedAt, cause }: Survey): object {
  return { id, status, progress, scan_type: scan, created_at: moment(createdAt), started_at: startedAt === null ? null : moment(startedAt), finished_at: finishedAt === null ? null : moment(finishedAt), ...cause === null ? {} : { error_msg: cause } }
}

/** What is not known before the end is left out, as the clouds do. */
function record(survey: Survey, keys: boolean): object {
  const { id, instanceId, status, progress, scan, createdAt, startedAt, finishedAt, result, cause } = survey
  return {
    id, instance_id: instanceId, status, progress, scan_type: scan, created_at: moment(createdAt), num: result?.keys?.length ?? 0,
    ...finishedAt === null ? {} : { started_at: moment(startedAt ?? createdAt), finished_at: moment(finishedAt) },
    ...keys && finishedAt !== null ? { keys: (result?.keys ?? []).map((one) => ({ name: one.name, type: one.type, shard: one.shard, db: one.database, size: one.size, unit: unit(one), ...one.frequency === undefined ? {} : { freq: one.frequency } })) } : {},
    ...cause === null ? {} : { error_msg: cause },
  }
}

function planOf(view: View, kind: SurveyKind): SurveyPlan | null { return (view.instance.attributes[planName(kind)] ?? null) as SurveyPlan | null }

async function showPlan(plane: ControlPlane, call: Call, caller: Caller, kind: SurveyKind): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  return isRefused(view) ? view : ok(planBody(view.instance.id, kind, planOf(view, kind)))
}

function planBody(instanceId: string, kind: SurveyKind, plan: SurveyPlan | null): object {
  const common = { instance_id: instanceId, enable_auto_scan: plan?.enabled ?? false, updated_at: plan ? moment(plan.updatedAt) : null }
  if (kind !== 'expire') return { ...common, schedule_at: plan?.at ?? [] }
  return { ...common, first_scan_at: plan?.first === undefined ? null : moment(plan.first), interval: plan?.intervalS ?? null, timeout: plan?.how.timeoutMs === undefined ? null : plan.how.timeoutMs / 1000, scan_keys_count: plan?.how.count ?? null }
}

async function keepPlan(plane: ControlPlane, call: Call, caller: Caller, kind: SurveyKind, plan: SurveyPlan): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const refusal = await plane.surveys.plan({ caller, id: view.instance.id, kind, plan })
  return refusal ? surveyRefusal(refusal) : ok(planBody(view.instance.id, kind, plan))
}

/** Twenty-four times a day is often enough. */
const mostTimes = 24

async function setPlan(plane: ControlPlane, call: Call, caller: Caller, kind: Keys): Promise<Reply | Refused> {
  const body = bodyOf(call) as Body | Refused
  if (isRefused(body)) return body
  const { enable_auto_scan: enabled, schedule_at: at } = body
  if (typeof enabled !== 'boolean') return refused('DCS.4062', 'enable_auto_scan')
  const times = Array.isArray(at) ? at : null
  if (!times || times.length > mostTimes || enabled && times.length === 0 || !times.every((time) => typeof time === 'string' && /^([01]\d|2[0-3]):[0-5]\d$/.test(time)) || new Set(times).size < times.length) return refused('DCS.4062', 'schedule_at')
  return keepPlan(plane, call, caller, kind, { enabled, at: times as string[], how: {}, updatedAt: Date.now() })
}

async function setExpirePlan(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const body = bodyOf(call) as Body | Refused
  if (isRefused(body)) return body
  const { enable_auto_scan: enabled, first_scan_at: first, interval, timeout, scan_keys_count: count } = body
  if (typeof enabled !== 'boolean') return refused('DCS.4062', 'enable_auto_scan')
  const now = Date.now()
  const at = typeof first === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?Z?$/.test(first) ? Date.parse(first.endsWith('Z') ? first : `${first}Z`) : NaN
  if (Number.isNaN(at) && (enabled || !isAbsent(first)) || enabled && at <= now) return refused('DCS.4819')
  const every = isAbsent(interval) && !enabled ? 0 : numberIn(interval, 0, 31_536_000)
  if (every === null) return refused('DCS.4820')
  const seconds = isAbsent(timeout) && !enabled ? Math.max(2, every * 2) : numberIn(timeout, 1, 63_072_000)
  if (seconds === null || seconds < every * 2 || seconds <= 1) return refused('DCS.4821')
  const keys = isAbsent(count) && !enabled ? 100 : wholeNumber(count, 10, 1000)
  if (keys === null) return refused('DCS.4822')
  return keepPlan(plane, call, caller, 'expire', { enabled, ...Number.isNaN(at) ? {} : { first: at }, intervalS: every, how: { count: keys, timeoutMs: seconds * 1000 }, updatedAt: now })
}
