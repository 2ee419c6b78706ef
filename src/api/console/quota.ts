/** How many instances of DCS a project may have, and how much memory; set by whoever may do so in all projects. */
import { gateway } from '../gateway.ts'
import { ok, type Call, type Problem, type Reply, type Route, type Who } from '../http.ts'
import { isAbsent, readJson, wholeNumber, type Body } from '../json.ts'
import type { ControlPlane } from '../../core/control-plane.ts'

/** `GET` shows those of the token's project; `PUT` sets them, or with `project_id` another one's; null: any amount. */
export function quotaRoutes(plane: ControlPlane, refuse: (problem: Problem) => Reply): Route[] {
  return [
    { method: 'GET', path: '/v1/quota', access: 'user', action: 'sluice:quota:get', handle: (_call, who) => who.projectId === null ? refuse('other project') : show(plane, who.projectId) },
    { method: 'PUT', path: '/v1/quota', access: 'domain', action: 'sluice:quota:set', handle: (call, who) => set(plane, call, who, refuse) },
  ]
}

async function show(plane: ControlPlane, projectId: string): Promise<Reply> {
  const { limit, used } = await plane.quota(projectId, 'redis')
  return ok({ project_id: projectId, instances: limit?.instances ?? null, memory_gb: limit?.memoryGb ?? null, used: { instances: used.instances, memory_gb: used.memoryGb } })
}

async function set(plane: ControlPlane, call: Call, who: Who, refuse: (problem: Problem) => Reply): Promise<Reply> {
  const body = readJson(call.body, call.headers['content-type'] as string | undefined)
  const wrong = (message: string): Reply => ({ status: 400, body: { error_code: gateway.malformed.code, error_msg: message } })
  if (typeof body === 'string') return wrong('the body must be a JSON object')
  const { instances, memory_gb: memoryGb, project_id: given } = body as Body
  if ([instances, memoryGb].some((value) => !isAbsent(value) && wholeNumber(value, 0, 2 ** 31 - 1) === null)) return wrong('instances and memory_gb must be whole numbers from 0 on, or null')
  if (!isAbsent(given) && (typeof given !== 'string' || !/^[0-9a-f]{32}$/i.test(given))) return wrong('project_id must be 32 hexadecimal digits')
  const projectId = typeof given === 'string' && given !== '' ? given.toLowerCase() : who.projectId
  if (projectId === null) return refuse('other project')
  await plane.setQuota({ caller: { projectId, userId: who.user.id, userName: who.user.name }, engine: 'redis', projectId, quota: { instances: (instances ?? null) as number | null, memoryGb: (memoryGb ?? null) as number | null } })
  return show(plane, projectId)
}
