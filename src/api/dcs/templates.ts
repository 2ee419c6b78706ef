/** Templates of parameters: the ones that are always there, one for each version and type, and a project's own. */
import { bodyOf, type Row } from './call.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { readPage } from './queries.ts'
import { readParams, shown } from './parameters.ts'
import { moment } from './translate.ts'
import { redisVersions } from './flavors.ts'
import { ok, type Call, type Caller, type Reply } from '../http.ts'
import { isAbsent, isObject, isText, type Body } from '../json.ts'
import type { ControlPlane, CreateWish } from '../../core/control-plane.ts'
import type { Parameter } from '../../core/engine.ts'
import type { Template } from '../../core/templates.ts'

export const templateRows: readonly Row[] = [
  ['GET', '/v2/:project_id/config-templates', 'dcs:template:list', list],
  ['POST', '/v2/:project_id/config-templates', 'dcs:template:create', create],
  ['GET', '/v2/:project_id/config-templates/:template_id', 'dcs:template:get', show],
  ['PUT', '/v2/:project_id/config-templates/:template_id', 'dcs:template:modify', update],
  ['DELETE', '/v2/:project_id/config-templates/:template_id', 'dcs:template:delete', remove],
]

type Kept = Template & { readonly type: 'sys' | 'user' }

/** Numbered in the order of versions and types; they hold what an instance has that nobody set anything of. */
const standard: readonly Kept[] = redisVersions.flatMap((version) => (version === '3.0' ? ['single', 'ha'] : ['single', 'ha', 'cluster']).map((topology) => ({ version, topology })))
  .map(({ version, topology }, n) => ({
    id: String(n + 1), type: 'sys', engine: 'redis', name: `Default-Redis-${version}-${topology}-generic-DRAM`, description: `What every Redis ${version} of the type ${topology} has`,
    version, topology, parameters: {}, createdAt: 0,
  }))

async function all(plane: ControlPlane, { projectId }: Caller): Promise<readonly Kept[]> {
  return [...standard, ...(await plane.templates.list(projectId, 'redis')).map((one): Kept => ({ ...one, type: 'user' }))]
}

const body = ({ id, type, name, description, version, topology, createdAt }: Kept): object => ({
  template_id: id, name, description, type, engine: 'Redis', engine_version: version, cache_mode: topology, product_type: 'generic', storage_type: 'DRAM', created_at: type === 'sys' ? null : moment(createdAt),
})

/** As large as any; what a smaller instance does not take is refused when it is created. */
function offered(plane: ControlPlane, { version, topology, parameters }: Pick<Template, 'version' | 'topology' | 'parameters'>): readonly Parameter[] {
  return plane.parameters('redis', { version, spec: { flavor: '', memoryBytes: 64 * 1024 ** 3, topology, shards: 1, replicas: 1, nodeCount: 1, port: null, parameters, renamedCommands: {}, sealedPassword: null } })
}

const unknown = refused('DCS.4062', 'template_id', 'there is no such template')

async function list(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const page = readPage(call.query)
  if (isRefused(page)) return page
  const type = call.query.get('type')
  if (type !== 'sys' && type !== 'user') return refused('DCS.4062', 'type', 'it must be sys or user')
  const [engine, name, description] = ['engine', 'name', 'description'].map((field) => call.query.get(field)?.toLowerCase() ?? '') as [string, string, string]
  const exact = { engine_version: 'version', cache_mode: 'topology', template_id: 'id' } as const
  const found = (await all(plane, caller)).filter((one) => one.type === type && (engine === '' || engine === 'redis') && one.name.toLowerCase().includes(name) && one.description.toLowerCase().includes(description)
    && Object.entries(exact).every(([field, key]) => !call.query.get(field) || call.query.get(field) === one[key]))
  return ok({ template_num: found.length, templates: found.slice(page.offset, page.offset + page.limit).map(body) })
}

async function show(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const found = await templateOf(plane, caller, call.params['template_id']!)
  return found ? ok({ ...body(found), params: shown(offered(plane, found)) }) : unknown
}

async function templateOf(plane: ControlPlane, caller: Caller, id: string): Promise<Kept | undefined> { return (await all(plane, caller)).find((one) => one.id === id.toLowerCase()) }

/** Name and description, as far as they are there. */
function readWords(given: Body): { readonly name?: string; readonly description?: string } | Refused {
  const { name, description } = given
  if (!isAbsent(name) && (!isText(name, 64) || !/^[A-Za-z0-9][A-Za-z0-9_.-]{3,}$/.test(name))) return refused('DCS.4062', 'name')
  if (!isAbsent(description) && !isText(description, 1024)) return refused('DCS.4062', 'description')
  return { ...isAbsent(name) ? {} : { name: name as string }, ...typeof description === 'string' ? { description } : {} }
}

async function create(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const given = bodyOf(call)
  if (isRefused(given)) return given
  const { template_id: from, params } = given as Body
  const words = readWords(given as Body)
  if (isRefused(words)) return words
  if (words.name === undefined) return refused('DCS.4062', 'name')
  const basis = typeof from === 'string' || typeof from === 'number' ? await templateOf(plane, caller, String(from)) : undefined
  if (!basis) return unknown
  for (const [field, key] of [['engine_version', 'version'], ['cache_mode', 'topology']] as const) if (!isAbsent((given as Body)[field]) && (given as Body)[field] !== basis[key]) return refused('DCS.4062', field, 'the template that it comes from has another one')
  const parameters = readParams(params, offered(plane, basis))
  if (isRefused(parameters)) return parameters
  const { engine, version, topology } = basis
  const template = { engine, version, topology, name: words.name, description: words.description ?? '', parameters: { ...basis.parameters, ...parameters } }
  const id = await plane.templates.create({ projectId: caller.projectId, userName: caller.userName, template })
  return id === null ? refused('DCS.4062', 'name', 'the project has a template of this name, or a hundred of them') : ok({ id })
}

async function update(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const given = bodyOf(call)
  if (isRefused(given)) return given
  const words = readWords(given as Body)
  if (isRefused(words)) return words
  const found = await templateOf(plane, caller, call.params['template_id']!)
  if (!found || found.type === 'sys') return found ? refused('DCS.4062', 'template_id', 'a template of the system does not change') : unknown
  const { params } = given as Body
  const parameters = isAbsent(params) ? undefined : readParams(params, offered(plane, found))
  if (isRefused(parameters)) return parameters
  const change = { ...words, ...parameters === undefined ? {} : { parameters: { ...found.parameters, ...parameters } } }
  return await plane.templates.update({ projectId: caller.projectId, userName: caller.userName, id: found.id, change }) ? ok({ result: 'success' }) : refused('DCS.4062', 'name', 'the project has a template of this name')
}

async function remove(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const found = await templateOf(plane, caller, call.params['template_id']!)
  if (!found || found.type === 'sys') return found ? refused('DCS.4062', 'template_id', 'a template of the system stays') : unknown
  return await plane.templates.remove({ projectId: caller.projectId, userName: caller.userName, id: found.id }) ? ok({ result: 'success' }) : unknown
}

/** The wish with what a template sets of it; what the request says itself comes first. */
export async function fromTemplate(plane: ControlPlane, given: Body, wish: CreateWish): Promise<CreateWish | Refused> {
  const id = given['template_id']
  if (isAbsent(id)) return wish
  const found = await templateOf(plane, wish.caller, String(id))
  if (!found) return unknown
  if (found.version !== wish.version || found.topology !== wish.spec.topology) return refused('DCS.4062', 'template_id', `it is for Redis ${found.version} of the type ${found.topology}`)
  const { password: _, ...spec } = wish.spec
  const problem = readParams(found.parameters, plane.parameters('redis', { version: wish.version, spec: { ...spec, sealedPassword: null } }))
  if (isRefused(problem)) return problem
  const items = Array.isArray(given['redis_config']) ? given['redis_config'] : []
  const said = Object.fromEntries(Object.entries(spec.parameters).filter(([name]) => items.some((item) => isObject(item) && item['param_name'] === name)))
  return { ...wish, spec: { ...wish.spec, parameters: { ...spec.parameters, ...found.parameters, ...said } } }
}
