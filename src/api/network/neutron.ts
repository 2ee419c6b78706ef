/** What Neutron's clients look up: the same records as networks, subnets and routers; and the versions they ask for first. */
import { filtered, paged, type Row } from './call.ts'
import { notFound } from './errors.ts'
import { ok, type Reply, type Route } from '../http.ts'
import type { Fields, NetworkRecord } from '../records.ts'

/** Where floating IPs come from, by the id and name that it has in Open Telekom Cloud. */
export const externalNetwork = { id: '0a2228f2-7f8a-45f1-8e09-9039e1d09975', name: 'admin_external_net' } as const

/** Open to everybody: clients ask before they sign in. */
export function neutronVersions(url: string): Route[] {
  const v2 = { id: 'v2.0', status: 'CURRENT', links: [{ rel: 'self', href: `${url}/v2.0/` }] }
  const v1 = { id: 'v1', status: 'CURRENT', links: [{ rel: 'self', href: `${url}/v1/` }] }
  const open = (path: string, body: object): Route => ({ method: 'GET', path, access: 'open', handle: () => ok(body) })
  return [open('/', { versions: [v1, v2] }), ...['/v2.0', '/v2.0/'].map((path) => open(path, { resources: [] }))]
}

export const neutronRows: readonly Row[] = [
  ['GET', '/v2.0/extensions', 'vpc:networks:list', () => ok({ extensions: [] })],
  ['GET', '/v2.0/networks', 'vpc:networks:list', async (records, call, { projectId }) => {
    const own = (await records.list(projectId, 'subnet')).map((record) => networkBody(record, projectId))
    return ok({ networks: filtered(call, call.query.get('marker') ? [] : [...own, externalBody()], ['id', 'name', 'router:external', 'status']) })
  }],
  ['GET', '/v2.0/networks/:id', 'vpc:networks:get', async (records, call, { projectId }) => {
    const id = call.params['id']!
    if (id === externalNetwork.id) return ok({ network: externalBody() })
    const record = await records.get(projectId, 'subnet', id)
    return record ? ok({ network: networkBody(record, projectId) }) : notFound(call.path, 'Network', id)
  }],
  ['GET', '/v2.0/subnets', 'vpc:subnets:list', async (records, call, { projectId }) => ok({ subnets: filtered(call, paged(call, await records.list(projectId, 'subnet')).map((record) => subnetBody(record, projectId)), ['id', 'name', 'network_id', 'cidr']) })],
  ['GET', '/v2.0/subnets/:id', 'vpc:subnets:get', async (records, call, { projectId }): Promise<Reply> => {
    const record = (await records.list(projectId, 'subnet')).find((one) => one.fields['neutron_subnet_id'] === call.params['id'])
    return record ? ok({ subnet: subnetBody(record, projectId) }) : notFound(call.path, 'Subnet', call.params['id']!)
  }],
  ['GET', '/v2.0/routers', 'vpc:vpcs:list', async (records, call, { projectId }) => ok({ routers: filtered(call, paged(call, await records.list(projectId, 'vpc')).map((record) => routerBody(record, projectId)), ['id', 'name']) })],
  ['GET', '/v2.0/routers/:id', 'vpc:vpcs:get', async (records, call, { projectId }) => {
    const record = await records.get(projectId, 'vpc', call.params['id']!)
    return record ? ok({ router: routerBody(record, projectId) }) : notFound(call.path, 'Router', call.params['id']!)
  }],
  // Caches have no ports: their addresses are this machine's.
  ['GET', '/v2.0/ports', 'vpc:ports:list', () => ok({ ports: [] })],
]

function networkBody({ id, name, fields }: NetworkRecord, projectId: string): object {
  return { ...network(id, name), subnets: [fields['neutron_subnet_id']], tenant_id: projectId, project_id: projectId, 'router:external': false, shared: false }
}

function externalBody(): object { return { ...network(externalNetwork.id, externalNetwork.name), subnets: [], tenant_id: '', project_id: '', 'router:external': true, shared: false } }

function network(id: string, name: string): Fields {
  return { id, name, status: 'ACTIVE', admin_state_up: true, port_security_enabled: false, availability_zones: [], availability_zone_hints: [], 'provider:network_type': 'vxlan', description: '', mtu: 1500, tags: [] }
}

function subnetBody({ id, name, fields }: NetworkRecord, projectId: string): object {
  const dns = (fields['dnsList'] as string[] | undefined) ?? [fields['primary_dns'], fields['secondary_dns']].filter(Boolean)
  return {
    id: fields['neutron_subnet_id'], name, network_id: id, cidr: fields['cidr'], gateway_ip: fields['gateway_ip'], enable_dhcp: fields['dhcp_enable'] ?? true, dns_nameservers: dns, ip_version: 4, ipv6_address_mode: null, ipv6_ra_mode: null,
    allocation_pools: [], host_routes: [], subnetpool_id: null, tenant_id: projectId, project_id: projectId, description: '', tags: [],
  }
}

function routerBody({ id, name, fields }: NetworkRecord, projectId: string): object {
  return { id, name, status: 'ACTIVE', admin_state_up: true, routes: [], external_gateway_info: { network_id: externalNetwork.id, enable_snat: fields['enable_shared_snat'] ?? false }, distributed: false, ha: false, tenant_id: projectId, project_id: projectId, description: fields['description'] ?? '', tags: [] }
}
