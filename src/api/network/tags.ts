/** Tags of VPCs, subnets and public IPs, which Terraform reads at every refresh. */
import { badRequest, notFound } from './errors.ts'
import { isObject, isText, readJson } from '../json.ts'
import { noContent, ok, type Call, type Caller, type Reply } from '../http.ts'
import type { Row } from './call.ts'
import type { Kind, Records } from '../records.ts'
import type { Tag } from '../../core/instance.ts'

const kinds: Readonly<Record<string, Kind>> = { vpcs: 'vpc', subnets: 'subnet', publicips: 'public_ip' }
/** As many as the clouds allow. */
const most = 20

export const tagRows: readonly Row[] = Object.entries(kinds).flatMap(([resource, kind]): Row[] => {
  const path = `/v2.0/:project_id/${resource}/:id/tags`
  return [
    ['GET', path, `vpc:${kind === 'public_ip' ? 'publicIp' : kind}Tags:get`, async (records, call, { projectId }) => {
      const record = await records.get(projectId, kind, call.params['id']!)
      return record ? ok({ tags: record.tags }) : notFound(call.path, 'Resource', call.params['id']!)
    }],
    ['POST', `${path}/action`, `vpc:${kind === 'public_ip' ? 'publicIp' : kind}Tags:modify`, (records, call, caller) => change(records, call, caller, kind)],
  ]
})

async function change(records: Records, call: Call, caller: Caller, kind: Kind): Promise<Reply> {
  const body = readJson(call.body, call.headers['content-type'] as string | undefined)
  const { action, tags } = typeof body === 'string' ? { action: undefined, tags: undefined } : body
  if ((action !== 'create' && action !== 'delete') || !Array.isArray(tags) || tags.length > most) return badRequest(call.path, `the body needs an action, create or delete, and at most ${most} tags`)
  const given = tags.map((tag): Tag | null => isObject(tag) && isText(tag['key'], 36) && tag['key'] !== '' && (tag['value'] === undefined || isText(tag['value'], 43)) ? { key: tag['key'], value: (tag['value'] as string | undefined) ?? '' } : null)
  if (given.includes(null)) return badRequest(call.path, 'a tag needs a key of 1 to 36 characters and a value of at most 43')
  const record = await records.get(caller.projectId, kind, call.params['id']!)
  if (!record) return notFound(call.path, 'Resource', call.params['id']!)
  const others = record.tags.filter((tag) => !given.some((one) => one!.key === tag.key))
  const next = action === 'create' ? [...others, ...given as Tag[]] : others
  if (next.length > most) return badRequest(call.path, `a resource has at most ${most} tags`)
  await records.update(caller, kind, record.id, { tags: next })
  return noContent
}
