/** Elastic IPs with their bandwidths on v1, and the same as Neutron's floating IPs: records, of addresses that lead nowhere. */
import { randomUUID } from 'node:crypto'
import { bodyOf, filtered, isName, paged, type Row } from './call.ts'
import { badRequest, conflict, notFound } from './errors.ts'
import { externalNetwork } from './neutron.ts'
import { noContent, ok, type Call, type Caller, type Reply } from '../http.ts'
import { isAbsent, isObject, isText, numberIn, readJson } from '../json.ts'
import type { NetworkRecord, Records } from '../records.ts'

export const addressRows: readonly Row[] = [
  ['POST', '/v1/:project_id/publicips', 'vpc:publicIps:create', apply],
  ['GET', '/v1/:project_id/publicips', 'vpc:publicIps:list', async (records, call, { projectId }) => {
    const bandwidths = await records.list(projectId, 'bandwidth')
    return ok({ publicips: paged(call, await records.list(projectId, 'public_ip')).map((ip) => publicIpBody(ip, bandwidths, projectId)) })
  }],
  ['GET', '/v1/:project_id/publicips/:id', 'vpc:publicIps:get', async (records, call, { projectId }) => shown(records, call, projectId, await records.get(projectId, 'public_ip', call.params['id']!))],
  ['PUT', '/v1/:project_id/publicips/:id', 'vpc:publicIps:update', async (records, call, caller) => {
    const body = bodyOf(call, 'publicip')
    return 'reply' in body ? body.reply : bind(records, call, caller, body.value['port_id'], (ip) => shown(records, call, caller.projectId, ip))
  }],
  ['DELETE', '/v1/:project_id/publicips/:id', 'vpc:publicIps:delete', release],
  ['GET', '/v1/:project_id/bandwidths', 'vpc:bandwidths:list', async (records, call, { projectId }) => {
    const ips = await records.list(projectId, 'public_ip')
    return ok({ bandwidths: paged(call, await records.list(projectId, 'bandwidth')).map((one) => bandwidthBody(one, ips, projectId)) })
  }],
  ['GET', '/v1/:project_id/bandwidths/:id', 'vpc:bandwidths:get', async (records, call, { projectId }) => {
    const one = await records.get(projectId, 'bandwidth', call.params['id']!)
    return one ? ok({ bandwidth: bandwidthBody(one, await records.list(projectId, 'public_ip'), projectId) }) : notFound(call.path, 'Bandwidth', call.params['id']!)
  }],
  ['PUT', '/v1/:project_id/bandwidths/:id', 'vpc:bandwidths:update', resizeBandwidth],
  ['POST', '/v2.0/floatingips', 'vpc:publicIps:create', createFloating],
  ['GET', '/v2.0/floatingips', 'vpc:publicIps:list', async (records, call, { projectId }) => ok({ floatingips: filtered(call, paged(call, await records.list(projectId, 'public_ip')).map((ip) => floatingBody(ip, projectId)), ['id', 'floating_ip_address', 'status', 'port_id', 'floating_network_id']) })],
  ['GET', '/v2.0/floatingips/:id', 'vpc:publicIps:get', async (records, call, { projectId }) => {
    const ip = await records.get(projectId, 'public_ip', call.params['id']!)
    return ip ? ok({ floatingip: floatingBody(ip, projectId) }) : notFound(call.path, 'Floating IP', call.params['id']!)
  }],
  ['PUT', '/v2.0/floatingips/:id', 'vpc:publicIps:update', async (records, call, caller) => {
    const body = bodyOf(call, 'floatingip')
    return 'reply' in body ? body.reply : bind(records, call, caller, body.value['port_id'], (ip) => ok({ floatingip: floatingBody(ip, caller.projectId) }))
  }],
  ['DELETE', '/v2.0/floatingips/:id', 'vpc:publicIps:delete', release],
]

async function apply(records: Records, call: Call, caller: Caller): Promise<Reply> {
  const body = readJson(call.body, call.headers['content-type'] as string | undefined)
  const [ip, bandwidth] = typeof body === 'string' ? [] : [body['publicip'], body['bandwidth']]
  if (!isObject(ip) || !isObject(bandwidth)) return badRequest(call.path, 'the body must be a JSON object with publicip and bandwidth')
  if (!isText(ip['type'], 36) || ip['type'] === '') return badRequest(call.path, 'publicip.type is missing')
  if (!isAbsent(ip['ip_address'])) return badRequest(call.path, 'publicip.ip_address cannot be chosen here')
  const size = numberIn(bandwidth['size'] ?? 1, 1, 2000)
  const { name = 'bandwidth', share_type: share, charge_mode: charge = 'traffic' } = bandwidth
  if (share !== 'PER' && share !== 'WHOLE') return badRequest(call.path, 'bandwidth.share_type must be PER or WHOLE')
  if (!isName(name) || size === null || !isText(charge, 20)) return badRequest(call.path, 'bandwidth needs a name of 1 to 64 characters and a size from 1 to 2000')
  const id = randomUUID()
  const made = await records.create(caller, [
    { id, kind: 'public_ip', parent: '', name: '', fields: { type: ip['type'] } },
    { id: randomUUID(), kind: 'bandwidth', parent: id, name, fields: { size, share_type: share, charge_mode: charge || 'traffic' } },
  ])
  return made ? ok({ publicip: { ...publicIpBody(made[0]!, made, caller.projectId), status: 'PENDING_CREATE' } }) : noneLeft(call)
}

async function createFloating(records: Records, call: Call, caller: Caller): Promise<Reply> {
  const body = bodyOf(call, 'floatingip')
  if ('reply' in body) return body.reply
  const { floating_network_id: network, port_id: port } = body.value
  if (network !== externalNetwork.id) return notFound(call.path, 'Network', String(network))
  if (!isAbsent(port)) return notFound(call.path, 'Port', String(port))
  const id = randomUUID()
  const made = await records.create(caller, [
    { id, kind: 'public_ip', parent: '', name: '', fields: { type: '5_bgp' } },
    { id: randomUUID(), kind: 'bandwidth', parent: id, name: 'bandwidth', fields: { size: 5, share_type: 'PER', charge_mode: 'traffic' } },
  ])
  return made ? { status: 201, body: { floatingip: floatingBody(made[0]!, caller.projectId) } } : noneLeft(call)
}

function noneLeft(call: Call): Reply { return conflict(call.path, 'No address is left.') }

/** There are no ports, so nothing can be bound; unbinding what is not bound is done. */
async function bind(records: Records, call: Call, { projectId }: Caller, port: unknown, answer: (ip: NetworkRecord) => Promise<Reply> | Reply): Promise<Reply> {
  const ip = await records.get(projectId, 'public_ip', call.params['id']!)
  if (!ip) return notFound(call.path, 'Public IP', call.params['id']!)
  return isAbsent(port) ? answer(ip) : notFound(call.path, 'Port', String(port))
}

async function release(records: Records, call: Call, caller: Caller): Promise<Reply> {
  return await records.remove(caller, 'public_ip', call.params['id']!) === 'unknown' ? notFound(call.path, 'Public IP', call.params['id']!) : noContent
}

async function resizeBandwidth(records: Records, call: Call, caller: Caller): Promise<Reply> {
  const body = bodyOf(call, 'bandwidth')
  if ('reply' in body) return body.reply
  const { name, size } = body.value
  if ((name !== undefined && !isName(name)) || (size !== undefined && numberIn(size, 1, 2000) === null)) return badRequest(call.path, 'bandwidth needs a name of 1 to 64 characters and a size from 1 to 2000')
  const one = await records.update(caller, 'bandwidth', call.params['id']!, { ...(name === undefined ? {} : { name: name as string }), fields: size === undefined ? {} : { size: Number(size) } })
  return one ? ok({ bandwidth: bandwidthBody(one, await records.list(caller.projectId, 'public_ip'), caller.projectId) }) : notFound(call.path, 'Bandwidth', call.params['id']!)
}

async function shown(records: Records, call: Call, projectId: string, ip: NetworkRecord | null): Promise<Reply> {
  return ip ? ok({ publicip: publicIpBody(ip, await records.list(projectId, 'bandwidth'), projectId) }) : notFound(call.path, 'Public IP', call.params['id']!)
}

function publicIpBody({ id, fields, createdAt }: NetworkRecord, bandwidths: readonly NetworkRecord[], projectId: string): object {
  const bandwidth = bandwidths.find((one) => one.parent === id)
  return {
    id, status: 'DOWN', type: fields['type'], public_ip_address: fields['public_ip_address'], private_ip_address: '', port_id: '', tenant_id: projectId, create_time: new Date(createdAt).toISOString().slice(0, 19).replace('T', ' '),
    bandwidth_id: bandwidth?.id ?? '', bandwidth_name: bandwidth?.name ?? '', bandwidth_size: bandwidth?.fields['size'] ?? 0, bandwidth_share_type: bandwidth?.fields['share_type'] ?? '', ip_version: 4, enterprise_project_id: '0',
  }
}

function bandwidthBody({ id, name, parent, fields }: NetworkRecord, ips: readonly NetworkRecord[], projectId: string): object {
  const ip = ips.find((one) => one.id === parent)
  return {
    id, name, size: fields['size'], share_type: fields['share_type'], charge_mode: fields['charge_mode'], tenant_id: projectId, bandwidth_type: 'bgp', billing_info: '', status: 'NORMAL', enterprise_project_id: '0',
    publicip_info: ip ? [{ publicip_id: ip.id, publicip_address: ip.fields['public_ip_address'], publicip_type: ip.fields['type'], ip_version: 4 }] : [],
  }
}

function floatingBody({ id, fields, createdAt }: NetworkRecord, projectId: string): object {
  const at = new Date(createdAt).toISOString().slice(0, 19)
  return {
    id, floating_ip_address: fields['public_ip_address'], floating_network_id: externalNetwork.id, fixed_ip_address: null, port_id: null, router_id: null, status: 'DOWN', tenant_id: projectId, project_id: projectId,
    description: 'a record: the address leads nowhere', dns_name: '', dns_domain: '', created_at: at, updated_at: at, revision_number: 1, tags: [],
  }
}
