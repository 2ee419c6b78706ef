/** What people and schedules know of an instance: its name, its description, its window, its tags. No server is touched. */
import { bodyOf } from './call.ts'
import { maintainWindow, readTags } from './create.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { refusalCode } from './batch.ts'
import { noContent, ok, type Call, type Caller, type Reply } from '../http.ts'
import { isAbsent, isText, uuid, type Body } from '../json.ts'
import type { Attributes } from '../../core/instance.ts'
import type { ControlPlane } from '../../core/control-plane.ts'

/** 204. Terraform sends `{}` where only tags changed; an empty description clears it. */
export async function update(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const id = uuid(call.params['instance_id'])
  if (id === null) return refused('DMS.00400061')
  const body = bodyOf(call)
  if (isRefused(body)) return body
  if (!await plane.get(caller.projectId, 'kafka', id)) return refused('DMS.00404022')
  const words = readWords(body as Body)
  if (isRefused(words)) return words
  const refusal = await plane.update({ caller, engine: 'kafka', id, ...words })
  return refusal ? refused(refusalCode('restart', refusal)) : noContent
}

const here = 'this release of Sluice cannot do it, and will not pretend to'

function readWords(body: Body): { readonly name?: string; readonly attributes: Attributes } | Refused {
  const { name, description, security_group_id: group, retention_policy: policy, enterprise_project_id: enterprise } = body
  if (!isAbsent(name) && (!isText(name, 64) || !/^[A-Za-z][A-Za-z0-9_-]{3,63}$/.test(name))) return refused('DMS.00400010')
  if (typeof description === 'string' && description.length > 1024) return refused('DMS.00400011')
  if (!isAbsent(description) && !isText(description, 1024)) return refused('DMS.00400062', 'description')
  if (!isAbsent(group) && uuid(group) === null) return refused('DMS.00400046')
  if (!isAbsent(policy) && policy !== 'produce_reject' && policy !== 'time_base') return refused('DMS.00400062', 'retention_policy')
  if (!isAbsent(enterprise) && (typeof enterprise === 'object' || !isText(String(enterprise), 64))) return refused('DMS.00400062', 'enterprise_project_id')
  if (body['enable_publicip'] === true || !isAbsent(body['publicip_id'])) return refused('DMS.00400128', here)
  const window = isAbsent(body['maintain_begin']) && isAbsent(body['maintain_end']) ? {} : maintainWindow(body)
  if (isRefused(window)) return window
  return {
    ...isAbsent(name) ? {} : { name: name as string },
    attributes: {
      ...typeof description === 'string' ? { description } : {}, ...isAbsent(group) ? {} : { securityGroupId: uuid(group) }, ...isAbsent(policy) ? {} : { retentionPolicy: policy as string },
      ...isAbsent(enterprise) ? {} : { enterpriseProjectId: String(enterprise) }, ...window,
    },
  }
}

/** 204. `create` adds, or gives a known key another value; `delete` needs keys that are there. */
export async function changeTags(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const id = uuid(call.params['instance_id'])
  if (id === null) return refused('DMS.00400061')
  const body = bodyOf(call)
  if (isRefused(body)) return body
  const { action, tags: given } = body as Body
  if (action !== 'create' && action !== 'delete') return refused('DMS.10240040')
  const tags = readTags(given)
  if (isRefused(tags)) return tags
  const view = await plane.get(caller.projectId, 'kafka', id)
  if (!view) return refused('DMS.00404022')
  if (tags.length === 0) return refused('DMS.00400062', 'tags')
  if (action === 'delete' && tags.some(({ key }) => !view.instance.tags.some((tag) => tag.key === key))) return refused('DMS.10240426')
  const answer = await plane.tag({ caller, engine: 'kafka', id, add: action === 'create' ? tags : [], remove: action === 'delete' ? tags : [] })
  if (answer === 'unknown') return refused('DMS.00404022')
  return answer === 'too many' ? refused('DMS.00400062', 'tags: at most 20') : noContent
}

export async function showTags(plane: ControlPlane, call: Call, { projectId }: Caller): Promise<Reply | Refused> {
  const id = uuid(call.params['instance_id'])
  if (id === null) return refused('DMS.00400061')
  const view = await plane.get(projectId, 'kafka', id)
  return view ? ok({ tags: view.instance.tags }) : refused('DMS.00404022')
}

/** Every key of the project with its values. */
export async function listTags(plane: ControlPlane, _call: Call, { projectId }: Caller): Promise<Reply> {
  const byKey = Map.groupBy(await plane.projectTags(projectId, 'kafka'), (tag) => tag.key)
  return ok({ tags: [...byKey].map(([key, tags]) => ({ key, values: [...new Set(tags.map((tag) => tag.value))] })) })
}
