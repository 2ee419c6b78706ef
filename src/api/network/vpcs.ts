/** VPCs and their subnets on v1: records. */
import { randomUUID } from 'node:crypto'
import { isIPv4 } from 'node:net'
import { bodyOf, filtered, isCidr, isDescription, isName, paged, type Row } from './call.ts'
import { badRequest, conflict, notFound } from './errors.ts'
import { noContent, ok, type Call, type Caller, type Reply } from '../http.ts'
import type { Body } from '../json.ts'
import type { Fields, NetworkRecord, Records } from '../records.ts'

export const vpcRows: readonly Row[] = [
  ['POST', '/v1/:project_id/vpcs', 'vpc:vpcs:create', createVpc],
  ['GET', '/v1/:project_id/vpcs', 'vpc:vpcs:list', async (records, call, { projectId }) => ok({ vpcs: filtered(call, paged(call, await records.list(projectId, 'vpc')).map((record) => vpcBody(record)), ['id', 'name']) })],
  ['GET', '/v1/:project_id/vpcs/:id', 'vpc:vpcs:get', async (records, call, { projectId }) => {
    const record = await records.get(projectId, 'vpc', call.params['id']!)
    return record ? ok({ vpc: vpcBody(record) }) : notFound(call.path, 'VPC', call.params['id']!)
  }],
  ['PUT', '/v1/:project_id/vpcs/:id', 'vpc:vpcs:update', updateVpc],
  ['DELETE', '/v1/:project_id/vpcs/:id', 'vpc:vpcs:delete', async (records, call, caller) => {
    const answer = await records.remove(caller, 'vpc', call.params['id']!)
    return answer === 'unknown' ? notFound(call.path, 'VPC', call.params['id']!) : answer === 'in use' ? conflict(call.path, 'The VPC has subnets.') : noContent
  }],
  ['POST', '/v1/:project_id/subnets', 'vpc:subnets:create', createSubnet],
  ['GET', '/v1/:project_id/subnets', 'vpc:subnets:list', async (records, call, { projectId }) => ok({ subnets: filtered(call, paged(call, await records.list(projectId, 'subnet')).map(subnetBody), ['vpc_id', 'id', 'name']) })],
  ['GET', '/v1/:project_id/subnets/:id', 'vpc:subnets:get', async (records, call, { projectId }) => {
    const record = await records.get(projectId, 'subnet', call.params['id']!)
    return record ? ok({ subnet: subnetBody(record) }) : notFound(call.path, 'Subnet', call.params['id']!)
  }],
  ['PUT', '/v1/:project_id/vpcs/:vpc_id/subnets/:id', 'vpc:subnets:update', updateSubnet],
  ['DELETE', '/v1/:project_id/vpcs/:vpc_id/subnets/:id', 'vpc:subnets:delete', async (records, call, caller) => {
    const record = await subnetOf(records, call, caller)
    if (!record) return notFound(call.path, 'Subnet', call.params['id']!)
    await records.remove(caller, 'subnet', record.id)
    return noContent
  }],
]

function vpcBody({ id, name, fields }: NetworkRecord, status = 'OK'): object {
  return { id, name, description: fields['description'] ?? '', cidr: fields['cidr'], status, routes: [], enable_shared_snat: fields['enable_shared_snat'] ?? false, enterprise_project_id: '0' }
}

/** A subnet is a network of Neutron's by the same id; Neutron's subnet has one of its own. */
export function subnetBody({ id, name, parent, fields }: NetworkRecord): object {
  const [first, second] = [fields['primary_dns'] ?? '', fields['secondary_dns'] ?? '']
  return {
    id, name, description: fields['description'] ?? '', cidr: fields['cidr'], gateway_ip: fields['gateway_ip'], dhcp_enable: fields['dhcp_enable'] ?? true,
    primary_dns: first, secondary_dns: second, dnsList: fields['dnsList'] ?? [first, second].filter((one) => one !== ''),
    availability_zone: fields['availability_zone'] ?? '', vpc_id: parent, status: 'ACTIVE', ipv6_enable: false, extra_dhcp_opts: fields['extra_dhcp_opts'] ?? [],
    neutron_network_id: id, neutron_subnet_id: fields['neutron_subnet_id'],
  }
}

async function createVpc(records: Records, call: Call, caller: Caller): Promise<Reply> {
  const body = bodyOf(call, 'vpc')
  if ('reply' in body) return body.reply
  const { name = '', cidr = '', description } = body.value
  const problem = vpcProblem({ name, cidr, description })
  if (problem || !isDescription(description)) return badRequest(call.path, problem ?? '')
  const made = await records.create(caller, [{ id: randomUUID(), kind: 'vpc', parent: '', name: name as string, fields: { cidr, ...(description === undefined ? {} : { description }) } }])
  return ok({ vpc: vpcBody(made![0]!, 'CREATING') })
}

/** Both may be left out, as the clouds allow it. */
function vpcProblem({ name, cidr, description }: Body): string | null {
  if (name !== '' && !isName(name)) return 'vpc.name must be at most 64 characters'
  if (cidr !== '' && !isCidr(cidr)) return 'vpc.cidr must be a network, like 192.168.0.0/16'
  return isDescription(description) ? null : 'vpc.description must be at most 255 characters'
}

async function updateVpc(records: Records, call: Call, caller: Caller): Promise<Reply> {
  const body = bodyOf(call, 'vpc')
  if ('reply' in body) return body.reply
  const { name, cidr, description, enable_shared_snat: snat } = body.value
  const problem = vpcProblem({ name: name ?? '', cidr: cidr ?? '', description })
  if (problem) return badRequest(call.path, problem)
  const record = await records.update(caller, 'vpc', call.params['id']!, { ...(name === undefined ? {} : { name: name as string }), fields: given({ cidr, description, enable_shared_snat: snat }) })
  return record ? ok({ vpc: vpcBody(record) }) : notFound(call.path, 'VPC', call.params['id']!)
}

async function createSubnet(records: Records, call: Call, caller: Caller): Promise<Reply> {
  const body = bodyOf(call, 'subnet')
  if ('reply' in body) return body.reply
  const { name, cidr, gateway_ip: gateway, vpc_id: vpcId } = body.value
  if (!isName(name)) return badRequest(call.path, 'subnet.name must be 1 to 64 characters')
  if (!isCidr(cidr)) return badRequest(call.path, 'subnet.cidr must be a network, like 192.168.0.0/24')
  if (typeof gateway !== 'string' || !isIPv4(gateway)) return badRequest(call.path, 'subnet.gateway_ip must be an IPv4 address')
  const problem = subnetProblem(body.value)
  if (problem) return badRequest(call.path, problem)
  const vpc = typeof vpcId === 'string' ? await records.get(caller.projectId, 'vpc', vpcId) : null
  if (!vpc) return notFound(call.path, 'VPC', String(vpcId))
  const made = await records.create(caller, [{ id: randomUUID(), kind: 'subnet', parent: vpc.id, name, fields: { ...subnetFields(body.value), cidr, gateway_ip: gateway, neutron_subnet_id: randomUUID() } }])
  return ok({ subnet: { ...subnetBody(made![0]!), status: 'UNKNOWN' } })
}

async function updateSubnet(records: Records, call: Call, caller: Caller): Promise<Reply> {
  const body = bodyOf(call, 'subnet')
  if ('reply' in body) return body.reply
  const { name } = body.value
  if (name !== undefined && !isName(name)) return badRequest(call.path, 'subnet.name must be 1 to 64 characters')
  const problem = subnetProblem(body.value)
  if (problem) return badRequest(call.path, problem)
  if (!await subnetOf(records, call, caller)) return notFound(call.path, 'Subnet', call.params['id']!)
  const record = await records.update(caller, 'subnet', call.params['id']!, { ...(name === undefined ? {} : { name }), fields: subnetFields(body.value) })
  return record ? ok({ subnet: { id: record.id, status: 'ACTIVE' } }) : notFound(call.path, 'Subnet', call.params['id']!)
}

async function subnetOf(records: Records, call: Call, { projectId }: Caller): Promise<NetworkRecord | null> {
  const record = await records.get(projectId, 'subnet', call.params['id']!)
  return record?.parent === call.params['vpc_id']!.toLowerCase() ? record : null
}

function subnetProblem({ description, dhcp_enable: dhcp, primary_dns: first, secondary_dns: second, dnsList: list, availability_zone: zone }: Body): string | null {
  if (!isDescription(description)) return 'subnet.description must be at most 255 characters'
  if (dhcp !== undefined && typeof dhcp !== 'boolean') return 'subnet.dhcp_enable must be true or false'
  if ([first, second].some((one) => one !== undefined && one !== '' && (typeof one !== 'string' || !isIPv4(one)))) return 'primary_dns and secondary_dns must be IPv4 addresses'
  if (list !== undefined && (!Array.isArray(list) || list.length > 5 || list.some((one) => typeof one !== 'string' || !isIPv4(one)))) return 'dnsList must hold at most 5 IPv4 addresses'
  return isDescription(zone) ? null : 'availability_zone must be a text'
}

function subnetFields({ description, dhcp_enable, primary_dns, secondary_dns, dnsList, availability_zone, extra_dhcp_opts }: Body): Fields {
  return given({ description, dhcp_enable, primary_dns, secondary_dns, dnsList, availability_zone, extra_dhcp_opts: Array.isArray(extra_dhcp_opts) && extra_dhcp_opts.length <= 10 ? extra_dhcp_opts : undefined })
}

function given(fields: Fields): Fields { return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) }
