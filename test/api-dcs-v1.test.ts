/** v1.0 of DCS on the wire, and what both versions say without an instance. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { projectId, type Ground } from './support/api-double.ts'
import { dcsGround, refusedAs, send, v2, wish } from './support/dcs-wire.ts'

let g: Ground
dcsGround((ground) => { g = ground })

const v1 = `/v1.0/${projectId}/instances`
/** As gophertelekomcloud and the Terraform provider write it. */
const wishV1 = (more: object = {}) => ({ name: 'cache-v1', engine: 'Redis', engine_version: '5.0', capacity: 0.125, product_id: 'redis.ha.xu1.tiny.r2.128-h', available_zones: ['eu-de-01'], vpc_id: randomUUID(), subnet_id: randomUUID(), password: 'Hungarian_rapsody', security_group_id: 'dummy-sg-id', no_password_access: '', ...more })
const policy = { backup_type: 'manual', save_days: 1, periodical_backup_plan: { begin_at: '00:00-01:00', period_type: 'weekly', backup_at: [4] } }

test('v1.0 creates, lists and shows with its own names', async () => {
  const r = await send('POST', v1, wishV1({ instance_backup_policy: policy, port: '6380' }))
  assert.equal(r.status, 200, r.text)
  const id = r.json.instance_id
  assert.deepEqual(r.json.instances, [{ instance_id: id, instance_name: 'cache-v1' }])
  const shown = (await send('GET', `${v1}/${id}`)).json
  assert.deepEqual([shown.resource_spec_code, shown.product_id, shown.available_zones, shown.maintain_begin, shown.maintain_end], ['redis.ha.xu1.tiny.r2.128', 'redis.ha.xu1.tiny.r2.128-h', ['eu-de-01'], '02:00:00', '06:00:00'])
  assert.deepEqual([shown.capacity, shown.capacity_minor, shown.no_password_access, shown.port, shown.security_group_id, shown.is_free, shown.domainName], [0, '.125', 'false', 6379, null, false, null])
  assert.deepEqual(shown.instance_backup_policy.policy, { ...policy, periodical_backup_plan: { timezone_offset: null, ...policy.periodical_backup_plan } })
  const { instances: [item], instance_num: count } = (await send('GET', `${v1}?id=${id}&isExactMatchName=true&name=cache-v1&start=1&limit=2000`)).json
  assert.deepEqual([count, item.instance_id, item.resource_spec_code, item.update_at], [1, id, 'redis.ha.xu1.tiny.r2.128', item.updated_at])
  assert.equal((await send('GET', `${v1}?start=2&id=${id}`)).json.instances.length, 0)
  for (const query of ['start=0', 'limit=2001']) assert.equal((await send('GET', `${v1}?${query}`)).json.error.code, '111400062')
  // As OpenStack's command line orders, which names no zone.
  for (const [product_id, version, capacity, flavor] of [['OTC_DCS_SINGLE', '3.0', 2, 'dcs.single_node'], ['OTC_DCS_SINGLE', '5.0', 2, 'redis.single.xu1.large.2'], ['OTC_DCS_MS', '4.0', 8, 'redis.ha.xu1.large.r2.8']] as const) {
    const old = await send('POST', v1, wishV1({ product_id, engine_version: version, capacity, available_zones: undefined, security_group_id: undefined }))
    assert.equal(old.status, 200, old.text)
    const { spec_code: code, az_codes: zones } = (await send('GET', `${v2}/${old.json.instance_id}`)).json
    assert.deepEqual([code, zones], [flavor, ['eu-de-01']])
  }
  const free = await send('POST', v1, wishV1({ password: undefined, no_password_access: 'true', product_id: undefined, spec_code: 'redis.single.xu1.tiny.128' }))
  assert.equal((await send('GET', `${v2}/${free.json.instance_id}`)).json.no_password_access, 'true')
})

test('v1.0 refuses in its own envelope', async () => {
  for (const [more, code] of [[{ product_id: 'x' }, '111400009'], [{ product_id: undefined }, '111400009'], [{ available_zones: [] }, '111400062'], [{ product_id: 'OTC_DCS_CL', engine_version: '3.0', capacity: 64 }, '111400009'], [{ private_ips: ['10.0.0.1', '10.0.0.2'] }, '111400062'], [{ engine: 'x' }, '111400007'], [{ password: 'x' }, '111400019'], [{ instance_backup_policy: { backup_type: 'daily' } }, '111400073']] as const) {
    const { status, json } = await send('POST', v1, wishV1(more))
    assert.deepEqual([status, Object.keys(json), json.error.code], [400, ['error'], code], JSON.stringify(more))
  }
  assert.equal((await send('GET', `${v1}/${randomUUID()}`)).json.error.code, '111404022')
})

test('v1.0 deletes one, a batch, and every failed creation with an empty 204', async () => {
  const [one, two] = [g.seed('redis'), g.seed('redis')]
  assert.equal((await send('DELETE', `${v1}/${one}`)).status, 204)
  assert.deepEqual((await send('DELETE', v1, { instances: [two] })).json.results.map((result: any) => result.result), ['success'])
  const failed = g.seed('redis', { status: 'createfailed' })
  const r = await send('DELETE', `${v1}?allFailure=true`)
  assert.deepEqual([r.status, r.text], [204, ''])
  assert.equal((await send('GET', `${v2}/${failed}`)).status, 404)
  assert.equal((await send('DELETE', `${v1}?allFailure=yes`, { instances: [two] })).json.error.code, '111400062')
  const counts = (await send('GET', `${v1}/status`)).json
  assert.equal(counts.deleting_count, counts.redis.deleting_count)
})

test('a backup policy is kept as it came, and refused field by field', async () => {
  const ha = { spec_code: 'redis.ha.xu1.tiny.r2.128' }
  const auto = { backup_type: 'auto', save_days: 3, periodical_backup_plan: { begin_at: '23:00-24:00', period_type: 'weekly', backup_at: ['1', 7], timezone_offset: '+0800' } }
  const id = (await send('POST', v2, wish({ ...ha, instance_backup_policy: auto }))).json.instances[0].instance_id
  const { policy: shown, tenant_id: tenant } = (await send('GET', `${v2}/${id}`)).json.instance_backup_policy
  assert.deepEqual([tenant, shown.backup_type, shown.save_days, shown.periodical_backup_plan], [projectId, 'auto', 3, { timezone_offset: '+0800', backup_at: [1, 7], period_type: 'weekly', begin_at: '23:00-00:00' }])
  // gophertelekomcloud's acceptance test sends an empty type, and wants its plan back.
  const vague = (await send('POST', v2, wish({ ...ha, instance_backup_policy: { ...auto, backup_type: '' } }))).json.instances[0].instance_id
  assert.equal((await send('GET', `${v2}/${vague}`)).json.instance_backup_policy.policy.save_days, 3)
  const plan = (more: object) => ({ ...auto, periodical_backup_plan: { ...auto.periodical_backup_plan, ...more } })
  for (const [given, code] of [
    ['auto', 'DCS.4073'], [{ backup_type: 'weekly' }, 'DCS.4073'], [{ ...auto, save_days: 8 }, 'DCS.4072'], [{ ...auto, save_days: null }, 'DCS.4072'], [plan({ period_type: 'daily' }), 'DCS.4074'],
    [plan({ backup_at: [0] }), 'DCS.4075'], [plan({ backup_at: [1, 1] }), 'DCS.4075'], [{ ...auto, periodical_backup_plan: null }, 'DCS.4075'], [plan({ begin_at: '01:00-03:00' }), 'DCS.4076'], [plan({ begin_at: '01:30-02:30' }), 'DCS.4076'],
  ] as const) refusedAs(await send('POST', v2, wish({ ...ha, instance_backup_policy: given })), 400, code)
})

test('versions are told to everybody, zones, windows and products to those who sign in', async () => {
  const nobody = { 'x-auth-token': '' }
  const { versions } = (await send('GET', '/', undefined, nobody)).json
  assert.deepEqual(versions.map((one: any) => [one.id, one.status, one.links]), [['v1.0', 'DEPRECATED', [{ href: `http://127.0.0.1:${g.base + 1}/v1.0`, rel: 'self' }]], ['v2', 'CURRENT', [{ href: `http://127.0.0.1:${g.base + 1}/v2`, rel: 'self' }]]])
  assert.equal((await send('GET', '/v2', undefined, nobody)).json.version.id, 'v2')
  refusedAs(await send('GET', '/v3', undefined, nobody), 404, 'DCS.4001')
  refusedAs(await send('GET', '/v2/available-zones', undefined, nobody), 401, 'DCS.1003')
  for (const path of ['/v2/available-zones', '/v1.0/availableZones']) {
    const { json } = await send('GET', path)
    assert.deepEqual([json.region_id, json.regionId, json.available_zones.map((zone: any) => [zone.id, zone.code, zone.port])], ['eu-de', 'eu-de', [1, 2, 3].map((n) => [`eu-de-0${n}`, `eu-de-0${n}`, '8002'])])
  }
  const windows = async (version: string) => (await send('GET', `/${version}/instances/maintain-windows`)).json.maintain_windows
  const [old, now] = [await windows('v1.0'), await windows('v2')]
  assert.deepEqual([old.length, old[0], old[1].default], [6, { seq: 1, begin: '22', end: '02', default: false }, true])
  assert.deepEqual([now.length, now[0], new Set(now.map((one: any) => one.begin)).size], [24, { seq: 1, begin: '18', end: '19', default: true }, 24])
  const { products } = (await send('GET', '/v1.0/products')).json
  const product = products.find((one: any) => one.spec_code === 'redis.ha.xu1.tiny.r2.128')
  assert.deepEqual([product.product_id, product.details.capacity, product.details.max_memory, product.details.tenant_ip_count], ['redis.ha.xu1.tiny.r2.128-h', 0.125, 128, 2])
  assert.ok(products.some((one: any) => one.spec_code === 'dcs.single_node'))
})

test('flavors: exact filters; what is listed can be ordered', async () => {
  const flavors = async (query: string) => (await send('GET', `/v2/${projectId}/flavors?${query}`)).json.flavors
  const [one, ...none] = await flavors('spec_code=redis.ha.xu1.tiny.r2.128')
  assert.deepEqual([none.length, one.capacity, one.engine_version, one.replica_count, one.flavors_available_zones[0].az_codes.length], [0, ['0.125'], '4.0;5.0;6.0;7.0', 2, 3])
  assert.equal((await flavors('spec_code=redis.ha.xu1.tiny.r2.12')).length, 0)
  assert.ok((await flavors('cache_mode=cluster&engine=Redis&engine_version=7.0&cpu_type=x86_64&capacity=4')).every((row: any) => row.cache_mode === 'cluster' && row.capacity[0] === '4'))
  assert.deepEqual((await flavors('engine_version=3.0')).map((row: any) => [row.spec_code, row.pricing_type, row.capacity.length]), [['dcs.single_node', 'tier', 6], ['dcs.master_standby', 'tier', 6]])
  assert.equal((await flavors('cpu_type=aarch64')).length, 0)
  // What an instance of two nodes and 128 MB can become: more or fewer nodes, or more or less memory, one at a time.
  const codes = (await flavors(`instance_id=${g.seed('redis', { replicas: 2 })}`)).map((row: any) => row.spec_code)
  assert.deepEqual(['redis.ha.xu1.tiny.r3.128', 'redis.ha.xu1.tiny.r2.256', 'redis.ha.xu1.large.r2.64'].filter((code) => !codes.includes(code)), [])
  assert.deepEqual(codes.filter((code: string) => /single|cluster|r2\.128$|r3\.256/.test(code)), [])
  refusedAs(await send('GET', `/v2/${projectId}/flavors?instance_id=${randomUUID()}`), 404, 'DCS.3022')
  for (const { spec_code, capacity, engine_version } of await flavors('')) {
    for (const size of capacity) assert.equal((await send('POST', v2, wish({ spec_code, capacity: Number(size), engine_version: engine_version.split(';').at(-1) }))).status, 200, spec_code)
  }
})

test('the list of instances is exported as a file, for whoever has its link', async () => {
  const [a, b] = [g.seed('redis', { name: '=cmd()', version: '6.0' }), g.seed('redis', { name: 'plain "one"', version: '5.0' })]
  const job = (await send('POST', `${v2}/export`, { included_instances: [a, b], engine_version: '6.0' })).json.job_id
  const { status, link, file_name: name } = (await send('GET', `${v2}/export-job?job_id=${job}`)).json
  assert.equal(status, 'SUCCESS')
  const path = link.replace(/^http:\/\/[^/]+/, '')
  const file = await send('GET', path, undefined, { 'x-auth-token': '' })
  assert.equal(file.headers['content-disposition'], `attachment; filename="${name}"`)
  const rows = file.text.trim().split('\r\n')
  assert.equal(rows.length, 2)
  assert.ok(rows[1]!.startsWith(`"${a}","'=cmd()","RUNNING","single","Redis","6.0"`), rows[1])
  const all = (await send('POST', `${v2}/export`, { name: 'plain' })).json.job_id
  assert.match((await send('GET', (await send('GET', `${v2}/export-job?job_id=${all}`)).json.link.replace(/^http:\/\/[^/]+/, ''))).text, /"plain ""one"""/)
  refusedAs(await send('GET', path.replace(/signature=./, 'signature=_')), 404, 'DCS.4001')
  refusedAs(await send('GET', `${v2}/export-job?job_id=x`), 400, 'DCS.4062')
  refusedAs(await send('POST', `${v2}/export`, { status: 'asleep' }), 400, 'DCS.4062')
  refusedAs(await send('POST', `${v2}/export`, { included_instances: ['x'] }), 400, 'DCS.4061')
})
