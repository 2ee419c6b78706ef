/** The network and compute facades as Terraform's provider and OpenStack's clients use them: records, which are kept and audited. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { makeServer, sibling, type Answer, type Server, type Service } from './support/server.ts'

for (const database of ['SQLite', 'PostgreSQL'] as const) describe(`networks, on ${database}`, { concurrency: false }, () => {
  let server: Server
  let other: Server
  before(async () => {
    server = await makeServer({ SLUICE_SUBNET: 'my-subnet', ...database === 'SQLite' ? { SLUICE_DATABASE_URL: '' } : { SLUICE_TEST_DATABASE: 'postgres' } })
    await server.start()
    other = database === 'SQLite' ? server : await sibling(server, { SLUICE_SUBNET: 'my-subnet' })
    if (other !== server) await other.start()
  })
  after(async () => { if (other !== server) await other?.destroy(); await server?.destroy() })
  const call = (method: string, path: string, body?: unknown, on = server, service: Service = 'network'): Promise<Answer> => on.call(service, method, path, body)
  const v1 = (path: string): string => `/v1/${server.project}${path}`

  test('the catalog leads to them, and each project has one network from the first look on, the same everywhere', async () => {
    const { catalog } = (await server.call('iam', 'GET', '/v3/auth/catalog')).json
    const url = (type: string): string => catalog.find((entry: any) => entry.type === type).endpoints[0].url
    assert.deepEqual([url('network'), url('vpc'), url('compute')], [`http://127.0.0.1:${server.base + 3}`, `http://127.0.0.1:${server.base + 3}/v1/${server.project}`, `http://127.0.0.1:${server.base + 4}/v2.1/${server.project}`])
    const looks = await Promise.all([server, other].flatMap((plane) => [call('GET', v1('/vpcs'), undefined, plane), call('GET', v1('/vpcs'), undefined, plane)]))
    assert.equal(new Set(looks.map((look) => look.json.vpcs.map((vpc: any) => vpc.id).join())).size, 1)
    const [subnet] = (await call('GET', v1('/subnets'))).json.subnets
    assert.deepEqual([subnet.name, subnet.vpc_id, subnet.status], ['my-subnet', looks[0]!.json.vpcs[0].id, 'ACTIVE'])
    assert.deepEqual((await call('GET', '/v2.0/security-groups?name=default')).json.security_groups.map((group: any) => group.security_group_rules.length), [4])
    assert.deepEqual((await call('GET', '/v2.0/networks?name=admin_external_net')).json.networks.map((network: any) => network['router:external']), [true])
    assert.equal((await call('GET', `/v2.0/subnets/${subnet.neutron_subnet_id}`)).json.subnet.network_id, subnet.id)
    assert.equal((await call('GET', '/')).json.versions.at(-1).id, 'v2.0')
  })

  test('a VPC and a subnet are made, changed, tagged and deleted, in this order only', async () => {
    const made = await call('POST', v1('/vpcs'), { vpc: { name: 'cache-vpc', cidr: '10.0.0.0/8' } })
    assert.equal(made.status, 200, made.text)
    const vpc = made.json.vpc.id
    assert.equal((await call('GET', v1(`/vpcs/${vpc}`), undefined, other)).json.vpc.status, 'OK')
    assert.equal((await call('PUT', v1(`/vpcs/${vpc}`), { vpc: { name: 'renamed', enable_shared_snat: true } })).json.vpc.enable_shared_snat, true)
    const subnet = (await call('POST', v1('/subnets'), { subnet: { name: 'cache-subnet', cidr: '10.1.0.0/16', gateway_ip: '10.1.0.1', vpc_id: vpc, dnsList: ['1.1.1.1'] } })).json.subnet
    assert.match(subnet.neutron_subnet_id, /^[0-9a-f-]{36}$/)
    assert.equal((await call('GET', v1(`/subnets/${subnet.id}`))).json.subnet.status, 'ACTIVE')
    const tags = `/v2.0/${server.project}/subnets/${subnet.id}/tags`
    assert.equal((await call('POST', `${tags}/action`, { action: 'create', tags: [{ key: 'a', value: '1' }, { key: 'b', value: '2' }] })).status, 204)
    assert.equal((await call('POST', `${tags}/action`, { action: 'delete', tags: [{ key: 'a' }] })).status, 204)
    assert.deepEqual((await call('GET', tags)).json, { tags: [{ key: 'b', value: '2' }] })
    assert.equal((await call('DELETE', v1(`/vpcs/${vpc}`))).status, 409)
    const place = v1(`/vpcs/${vpc}/subnets/${subnet.id}`)
    assert.equal((await call('PUT', place, { subnet: { name: 'other', dhcp_enable: false } })).status, 200)
    assert.deepEqual([(await call('DELETE', place)).status, (await call('DELETE', place)).status, (await call('DELETE', v1(`/vpcs/${vpc}`))).status, (await call('GET', v1(`/vpcs/${vpc}`), undefined, other)).status], [204, 404, 204, 404])
    for (const [path, body] of [['/vpcs', { vpc: { cidr: '10.0.0.0/99' } }], ['/subnets', { subnet: { name: 'x', cidr: '10.0.0.0/8', gateway_ip: 'no', vpc_id: vpc } }], ['/vpcs', {}]] as const) assert.deepEqual([(await call('POST', v1(path), body)).status, (await call('POST', v1(path), body)).json.code], [400, 'VPC.0002'])
  })

  test('a security group with rules, in the shapes of Neutron and Nova', async () => {
    const group = (await call('POST', '/v2.0/security-groups', { security_group: { name: 'web', description: 'd' } })).json.security_group
    const rule = await call('POST', '/v2.0/security-group-rules', { security_group_rule: { security_group_id: group.id, direction: 'ingress', ethertype: 'IPv4', protocol: 'tcp', port_range_min: 6379, port_range_max: 6379, remote_ip_prefix: '10.0.0.0/8' } })
    assert.equal(rule.status, 201, rule.text)
    const nova = (await call('GET', `/v2.1/${server.project}/os-security-groups/${group.id}`, undefined, server, 'compute')).json.security_group
    assert.deepEqual(nova.rules.find((one: any) => one.ip_protocol === 'tcp').ip_range, { cidr: '10.0.0.0/8' })
    const second = await call('POST', `/v2.1/${server.project}/os-security-group-rules`, { security_group_rule: { parent_group_id: group.id, ip_protocol: 'tcp', from_port: 80, to_port: 81, cidr: '0.0.0.0/0' } }, server, 'compute')
    assert.equal(second.status, 200, second.text)
    assert.equal((await call('GET', `/v2.0/security-groups/${group.id}`)).json.security_group.security_group_rules.length, 6)
    assert.equal((await call('DELETE', `/v2.0/security-group-rules/${rule.json.security_group_rule.id}`)).status, 204)
    assert.equal((await call('POST', '/v2.0/security-group-rules', { security_group_rule: { security_group_id: group.id, direction: 'sideways' } })).json.NeutronError.type, 'HTTPBadRequest')
    assert.equal((await call('DELETE', `/v2.0/security-groups/${group.id}`)).status, 204)
    assert.equal((await call('GET', `/v2.0/security-group-rules?security_group_id=${group.id}`)).json.security_group_rules.length, 0)
    const missing = await call('GET', `/v2.1/${server.project}/os-security-groups/${group.id}`, undefined, server, 'compute')
    assert.deepEqual([missing.status, missing.json.itemNotFound.code], [404, 404])
    assert.deepEqual((await call('GET', `/v2.1/${server.project}/os-availability-zone/detail`, undefined, server, 'compute')).json.availabilityZoneInfo.map((zone: any) => zone.zoneName), ['eu-de-01', 'eu-de-02', 'eu-de-03'])
  })

  test('public IPs are addresses of examples, each given once, with a bandwidth; a list ends after its last', async () => {
    const wish = { publicip: { type: '5_bgp' }, bandwidth: { name: 'bw', size: 8, share_type: 'PER', charge_mode: 'traffic' } }
    const made = await Promise.all([server, other, server, other].map((plane) => call('POST', v1('/publicips'), wish, plane)))
    assert.deepEqual(made.map((one) => one.status), [200, 200, 200, 200])
    assert.equal(new Set(made.map((one) => one.json.publicip.public_ip_address)).size, 4)
    const ip = (await call('GET', v1(`/publicips/${made[0]!.json.publicip.id}`))).json.publicip
    assert.deepEqual([ip.status, ip.bandwidth_size], ['DOWN', 8])
    assert.equal((await call('PUT', v1(`/bandwidths/${ip.bandwidth_id}`), { bandwidth: { size: 20 } })).json.bandwidth.size, 20)
    const all = (await call('GET', v1('/publicips'))).json.publicips
    assert.deepEqual((await call('GET', v1(`/publicips?marker=${all.at(-1).id}`))).json.publicips, [])
    const floating = await call('POST', '/v2.0/floatingips', { floatingip: { floating_network_id: '0a2228f2-7f8a-45f1-8e09-9039e1d09975' } })
    assert.equal(floating.status, 201, floating.text)
    assert.equal((await call('GET', '/v2.0/floatingips')).json.floatingips.length, 5)
    assert.deepEqual([(await call('DELETE', `/v2.0/floatingips/${floating.json.floatingip.id}`)).status, (await call('DELETE', v1(`/publicips/${ip.id}`))).status, (await call('GET', v1(`/bandwidths/${ip.bandwidth_id}`))).status], [204, 204, 404])
  })

  test("another project has its own; what was deleted stays so after kill -9; a reader only reads", async () => {
    const [seed] = (await call('GET', '/v2.0/security-groups?name=default')).json.security_groups
    assert.equal((await call('DELETE', `/v2.0/security-groups/${seed.id}`)).status, 204)
    await server.end('SIGKILL')
    await server.start()
    assert.deepEqual((await call('GET', '/v2.0/security-groups?name=default')).json.security_groups, [])
    const project = (await server.call('iam', 'POST', '/v3/projects', { project: { name: 'second' } })).json.project.id
    await server.call('console', 'POST', '/v1/users', { name: 'reader', password: 'Readers-Passw0rd', roles: [{ role: 'readonly', project_id: project }] })
    const token = (await server.call('iam', 'POST', '/v3/auth/tokens', { auth: { identity: { methods: ['password'], password: { user: { name: 'reader', password: 'Readers-Passw0rd', domain: { name: 'sluice' } } } }, scope: { project: { id: project } } } })).headers.get('x-subject-token')!
    const reader = { 'x-auth-token': token }
    const [vpc] = (await server.call('network', 'GET', `/v1/${project}/vpcs`, undefined, reader)).json.vpcs
    assert.equal((await call('GET', v1(`/vpcs/${vpc.id}`))).status, 404, "another project's")
    assert.equal((await server.call('network', 'POST', `/v1/${project}/vpcs`, { vpc: {} }, reader)).json.code, 'VPC.0010')
    assert.equal((await server.call('network', 'POST', '/v2.0/security-groups', { security_group: { name: 'x' } }, reader)).json.NeutronError.type, 'PolicyNotAuthorized')
    assert.equal((await server.call('compute', 'POST', `/v2.1/${project}/os-security-groups`, { security_group: { name: 'x' } }, reader)).json.forbidden.code, 403)
  })
})
