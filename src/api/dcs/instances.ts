/** Instances: created, listed, shown, deleted, restarted, flushed, counted. */
import { onlyRefusal, readIds, readStatusChange, refusalCode, results, type BatchAction, type Ids } from './batch.ts'
import { bodyOf, dryRunOf, idOf, instanceOf, type Row, type Site } from './call.ts'
import { zonesOf } from './catalogue.ts'
import { fromV1, readCreate } from './create.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { readList, readListV1 } from './queries.ts'
import { fromTemplate } from './templates.ts'
import { detail, listItem, listNames, names } from './translate.ts'
import { detailV1, listItemV1 } from './v1.ts'
import { noContent, ok, type Call, type Caller, type Reply } from '../http.ts'
import { planBody } from '../plan.ts'
import type { Body } from '../json.ts'
import type { ControlPlane } from '../../core/control-plane.ts'
import type { Status } from '../../core/status.ts'

export const instanceRows: readonly Row[] = [
  ['POST', '/v2/:project_id/instances', 'dcs:instance:create', create],
  ['GET', '/v2/:project_id/instances', 'dcs:instance:list', list],
  ['DELETE', '/v2/:project_id/instances', 'dcs:instance:delete', deleteMany],
  ['PUT', '/v2/:project_id/instances/status', 'dcs:instance:modifyStatus', (plane, call, caller) => changeStatus(plane, call, caller, ['restart', 'soft_restart', 'flush'])],
  ['GET', '/v2/:project_id/instances/status', 'dcs:instance:list', countStatuses],
  ['PUT', '/v1.0/:project_id/instances/status', 'dcs:instance:modifyStatus', (plane, call, caller) => changeStatus(plane, call, caller, ['restart', 'flush'])],
  ['GET', '/v2/:project_id/instances/:instance_id', 'dcs:instance:get', show],
  ['DELETE', '/v2/:project_id/instances/:instance_id', 'dcs:instance:delete', deleteOne],
  ['POST', '/v1.0/:project_id/instances', 'dcs:instance:create', create],
  ['GET', '/v1.0/:project_id/instances', 'dcs:instance:list', list],
  ['DELETE', '/v1.0/:project_id/instances', 'dcs:instance:delete', deleteMany],
  ['GET', '/v1.0/:project_id/instances/status', 'dcs:instance:list', countStatuses],
  ['GET', '/v1.0/:project_id/instances/:instance_id', 'dcs:instance:get', show],
  ['DELETE', '/v1.0/:project_id/instances/:instance_id', 'dcs:instance:delete', deleteOne],
]

const isV1 = (call: Call): boolean => call.path.startsWith('/v1.0/')

const uncreated = { 'no room': 'DCS.4911', 'no version': 'DCS.4008', 'instance quota': 'DCS.4035', 'memory quota': 'DCS.4036', address: 'DCS.4062', 'no tls': 'DCS.4062' } as const

async function create(plane: ControlPlane, call: Call, caller: Caller, site: Site): Promise<Reply | Refused> {
  const body = bodyOf(call)
  if (isRefused(body)) return body
  const v1 = isV1(call)
  const plain = readCreate(v1 ? fromV1(body as Body, zonesOf(site)) : body as Body, caller, v1)
  const wish = isRefused(plain) ? plain : await fromTemplate(plane, body as Body, plain)
  if (isRefused(wish)) return wish
  const views = await plane.create(wish)
  if ('kind' in views) return refused(uncreated[views.kind], { address: 'private_ip', 'no tls': 'enable_ssl' }[String(views.kind)], views.reason)
  // The first id stands by itself as well: the only one that v1.0's clients read.
  return ok({ ...v1 ? { instance_id: views[0]!.instance.id } : {}, instances: views.map(({ instance }) => ({ instance_id: instance.id, instance_name: instance.name })) })
}

async function list(plane: ControlPlane, call: Call, { projectId }: Caller, { networks }: Site): Promise<Reply | Refused> {
  const query = (isV1(call) ? readListV1 : readList)(call.query)
  if (isRefused(query)) return query
  const { filter, nothing } = query
  if (nothing) return ok({ instance_num: 0, instances: [] })
  const [{ total, views }, known] = await Promise.all([plane.list(projectId, filter), networks.known(projectId)])
  const form = isV1(call) ? listItemV1 : listItem
  return ok({ instance_num: total, instances: views.map((view) => Object.assign(form(view), listNames(view, known))) })
}

async function show(plane: ControlPlane, call: Call, caller: Caller, { networks }: Site): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  return ok(Object.assign((isV1(call) ? detailV1 : detail)(view), names(view, await networks.known(caller.projectId))))
}

async function deleteOne(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const [id, dryRun] = [idOf(call), dryRunOf(call)]
  if (isRefused(id)) return id
  if (isRefused(dryRun)) return dryRun
  const [answer] = await plane.submit({ caller, engine: 'redis', action: 'delete', ids: [id], dryRun })
  if (answer && 'plan' in answer) return ok({ plan: planBody(answer.plan) })
  return answer && 'refusal' in answer ? refused(refusalCode('delete', answer.refusal)) : noContent
}

async function deleteMany(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const name = isV1(call) ? 'allFailure' : 'all_failure'
  const all = call.query.get(name) ?? 'false'
  if (all !== 'true' && all !== 'false' && all !== '') return refused('DCS.4062', name)
  const body = all === 'true' && call.body.length === 0 ? {} : bodyOf(call)
  if (isRefused(body)) return body
  const { instances } = body as Body
  if (all !== 'true') {
    const ids = readIds(instances)
    return isRefused(ids) ? ids : submit(plane, call, caller, 'delete', ids)
  }
  const dryRun = dryRunOf(call)
  if (isRefused(dryRun)) return dryRun
  // Together they leave open which of the two is meant, and what is deleted is gone.
  if (Array.isArray(instances) ? instances.length > 0 : instances !== undefined && instances !== null) return refused('DCS.4062', name)
  const answers = await plane.deleteFailed({ caller, engine: 'redis', dryRun })
  return isV1(call) && !dryRun ? noContent : ok(results('delete', answers, null, isV1(call)))
}

async function changeStatus(plane: ControlPlane, call: Call, caller: Caller, actions: readonly BatchAction[]): Promise<Reply | Refused> {
  const body = bodyOf(call)
  if (isRefused(body)) return body
  const wish = readStatusChange(body as Body, actions)
  return isRefused(wish) ? wish : submit(plane, call, caller, wish.action, wish.ids)
}

async function submit(plane: ControlPlane, call: Call, caller: Caller, action: BatchAction, ids: Ids): Promise<Reply | Refused> {
  const dryRun = dryRunOf(call)
  if (isRefused(dryRun)) return dryRun
  const answers = await plane.submit({ caller, engine: 'redis', action, ids: [...ids.keys()], dryRun })
  return onlyRefusal(action, answers) ?? ok(results(action, answers, ids, isV1(call)))
}

const counted = ['paying', 'migrating', 'flushing', 'upgrading', 'restoring', 'extending', 'creating', 'running', 'error', 'freezing', 'frozen', 'createfailed', 'restarting', 'deleting', 'closed', 'starting', 'closing'] as const

async function countStatuses(plane: ControlPlane, call: Call, { projectId }: Caller): Promise<Reply> {
  const includeFailed = call.query.get('include_failure') === 'true' || call.query.get('includeFailure') === 'true'
  const found = await plane.count(projectId, 'redis')
  const counts = Object.fromEntries(counted.map((name) => [`${name}_count`, name === 'createfailed' && !includeFailed ? 0 : found.get(name as Status) ?? 0]))
  // No document has a silent host; whoever has one must not miss instances in the sum.
  const silent = found.get('unknown') ?? 0
  const all = silent > 0 ? { ...counts, unknown_count: silent } : counts
  return ok({ ...all, redis: all })
}
