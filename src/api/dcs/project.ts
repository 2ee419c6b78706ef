/** What a project has of DCS: its quota, its tags, the figures of its running instances. */
import { bodyOf, idOf, instanceOf, unknown, type Row, type Site } from './call.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { readTags } from './fields.ts'
import { ok, noContent, type Call, type Caller, type Reply } from '../http.ts'
import type { Body } from '../json.ts'
import type { ControlPlane } from '../../core/control-plane.ts'
import type { Facts } from '../../core/engine.ts'

export const projectRows: readonly Row[] = [
  ['GET', '/v2/:project_id/quota', 'dcs:instance:get', (plane, _call, caller) => showQuota(plane, caller, null)],
  ['GET', '/v1.0/:project_id/quota', 'dcs:instance:get', (plane, _call, caller, site) => showQuota(plane, caller, site)],
  ['GET', '/v2/:project_id/instances/statistic', 'dcs:instance:list', listStatistics],
  ['GET', '/v1.0/:project_id/instances/statistic', 'dcs:instance:list', listStatistics],
  ['POST', '/v2/:project_id/dcs/:instance_id/tags/action', 'dcs:instance:modify', changeTags],
  ['GET', '/v2/:project_id/instances/:instance_id/tags', 'dcs:instance:get', showTags],
  ['GET', '/v1.0/:project_id/instances/:instance_id/tags', 'dcs:instance:get', showTags],
  ['GET', '/v2/:project_id/dcs/tags', 'dcs:instance:list', listTags],
]

/** The wire has no word for "any number": the largest that every client can hold stands for it. */
const anyNumber = 2 ** 31 - 1

async function showQuota(plane: ControlPlane, { projectId }: Caller, v1: Site | null): Promise<Reply> {
  const { limit, used } = await plane.quota(projectId, 'redis')
  const resource = (type: string, unit: string | null, quota: number | null, count: number): object => ({ type, unit, min: 1, max: quota ?? anyNumber, quota: quota ?? anyNumber, used: count })
  return ok({
    quotas: { resources: [resource('instance', null, limit?.instances ?? null, used.instances), resource('ram', 'GB', limit?.memoryGb ?? null, Math.ceil(used.memoryGb))] },
    ...v1 ? { resource_user: { tenant_id: projectId, tenant_name: await v1.projectName(projectId) } } : {},
  })
}

async function listStatistics(plane: ControlPlane, _call: Call, { projectId }: Caller): Promise<Reply> {
  const all = await plane.statistics(projectId, 'redis')
  return ok({ statistics: all.map(({ view, facts }) => statistic(view.instance.id, facts, view.instance.spec.memoryBytes)) })
}

function statistic(id: string, facts: Facts, memoryBytes: number): object {
  return {
    instance_id: id, keys: facts.keys, used_memory: Math.round(facts.usedBytes / 1024 ** 2), max_memory: Math.floor(memoryBytes / 1024 ** 2),
    cmd_get_count: facts.gets, cmd_set_count: facts.sets, used_cpu: facts.cpuSeconds.toFixed(2), input_kbps: facts.inKbps.toFixed(2), output_kbps: facts.outKbps.toFixed(2),
  }
}

/** `create` adds, or gives a known key another value; `delete` needs the keys alone. */
async function changeTags(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const id = idOf(call)
  if (isRefused(id)) return id
  const body = bodyOf(call)
  if (isRefused(body)) return body
  const { action, tags: given } = body as Body
  if (action !== 'create' && action !== 'delete') return refused('DCS.4062', 'action')
  const tags = readTags(given)
  if (isRefused(tags)) return tags
  if (tags.length === 0) return refused('DCS.4062', 'tags')
  const answer = await plane.tag({ caller, engine: 'redis', id, add: action === 'create' ? tags : [], remove: action === 'delete' ? tags : [] })
  if (answer === 'unknown') return unknown
  return answer === 'too many' ? refused('DCS.4062', 'tags', 'an instance has at most 20') : noContent
}

async function showTags(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  return isRefused(view) ? view : ok({ tags: view.instance.tags })
}

/** Every key of the project with its values. */
async function listTags(plane: ControlPlane, _call: Call, { projectId }: Caller): Promise<Reply> {
  const byKey = Map.groupBy(await plane.projectTags(projectId, 'redis'), (tag) => tag.key)
  return ok({ tags: [...byKey].map(([key, tags]) => ({ key, values: [...new Set(tags.map((tag) => tag.value))] })) })
}
