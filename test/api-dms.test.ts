/** DMS on the wire: the order of checks, codes, forms and fields. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { otherProjectId, projectId, type Ground } from './support/api-double.ts'
import { dmsGround, refusedAs, send, v2, wish } from './support/dms-wire.ts'

let g: Ground
dmsGround((ground) => { g = ground })

const act = (body: unknown, version = 'v2') => send('POST', `/${version}/${projectId}/instances/action`, body)

test('checks come in the order of the policy: the first thing wrong decides', async () => {
  const path = `${v2}/action`
  const big = 'x'.repeat(1024 * 1024 + 1)
  const nobody = { 'x-auth-token': '' }
  refusedAs(await send('POST', `/v3/${projectId}/instances/action`, big, nobody), 404, 'DMS.00404001')
  refusedAs(await send('PUT', path, big, nobody), 405, 'DMS.00405001')
  refusedAs(await send('GET', path, undefined, nobody), 405, 'DMS.00405001')
  refusedAs(await send('POST', path, big, nobody), 413, 'APIGW.0201')
  refusedAs(await send('POST', '/v2/x/instances/action', '', nobody), 401, 'DMS.10240103')
  refusedAs(await send('POST', path, '', { 'x-auth-token': 'forged' }), 401, 'DMS.10240101')
  refusedAs(await send('POST', '/v2/x/instances/action', ''), 400, 'DMS.00400002')
  refusedAs(await send('POST', `/v2/${otherProjectId}/instances/action`, ''), 401, 'DMS.10240104')
  refusedAs(await act(''), 400, 'DMS.00400004')
  refusedAs(await act('{nope'), 400, 'DMS.00400005')
  refusedAs(await act({ all_failure: 'rabbitmq' }), 400, 'DMS.00400064')
  refusedAs(await act({ action: 'flush' }), 400, 'DMS.00400064')
  refusedAs(await act({ action: 'delete', all_failure: 'x', instances: [] }), 400, 'DMS.00400062')
  for (const instances of [undefined, null, [], 'x', {}]) refusedAs(await act({ action: 'restart', instances }), 400, 'DMS.00400065')
  const bad = Array.from({ length: 51 }, () => 'x')
  refusedAs(await act({ action: 'restart', instances: bad }), 400, 'DMS.00400100')
  refusedAs(await act({ action: 'restart', instances: bad.slice(1) }), 400, 'DMS.00400061')
  const id = randomUUID()
  refusedAs(await act({ action: 'restart', instances: [id, id.toUpperCase()] }), 400, 'DMS.00400082')
  g.clock.now += 86_400_001
  refusedAs(await act(''), 401, 'DMS.10240102')
  g.clock.now -= 86_400_001
})

test('a batch: results in the caller\'s order, unknown and foreign ids alike', async () => {
  const [a, unknown, foreign, redis, busy] = [g.seed('kafka'), randomUUID(), g.seed('kafka', { project: otherProjectId }), g.seed('redis'), g.seed('kafka', { open: 'create' })]
  const r = await act({ action: 'delete', force_delete: true, instances: [unknown, a.toUpperCase(), foreign, redis, busy] })
  assert.equal(r.status, 200)
  assert.deepEqual(r.json.results.map((one: any) => [one.instance, one.result, one.error_code]), [
    [unknown, 'failed', 'DMS.00404022'], [a.toUpperCase(), 'success', undefined], [foreign, 'failed', 'DMS.00404022'], [redis, 'failed', 'DMS.00404022'], [busy, 'failed', 'DMS.00400099'],
  ])
  assert.equal((await act({ action: 'restart', instances: [unknown] })).json.results[0].result, 'failed')
})

test('a busy or wrong state of the only id is a 400 with its own code', async () => {
  const rows = [
    ['restart', { open: 'create' }, 'DMS.00400026'], ['restart', { open: 'restart' }, 'DMS.00400026'], ['restart', { status: 'createfailed' }, 'DMS.00400026'], ['restart', { open: 'delete' }, 'DMS.00400026'],
    ['delete', { open: 'create' }, 'DMS.00400099'], ['delete', { open: 'restart' }, 'DMS.00400099'], ['delete', { open: 'delete' }, 'DMS.00400026'],
  ] as const
  for (const [action, state, code] of rows) {
    const id = g.seed('kafka', state)
    refusedAs(await act({ action, instances: [id] }), 400, code)
    if (action === 'delete') refusedAs(await send('DELETE', `${v2}/${id}`), 400, code)
  }
  assert.equal((await act({ action: 'soft_restart', instances: [g.seed('kafka')] })).json.results[0].result, 'success')
  refusedAs(await act({ action: 'soft_restart', instances: [g.seed('kafka')] }, 'v1.0'), 400, 'DMS.00400064')
})

test('all_failure deletes failed creations and nothing else, in the form of each version', async () => {
  await act({ action: 'delete', all_failure: 'kafka' })
  for (const [version, field] of [['v2', 'all_failure'], ['v1.0', 'allFailure']] as const) {
    const [failed, fine] = [g.seed('kafka', { status: 'createfailed' }), g.seed('kafka')]
    const before = g.wishes.length
    refusedAs(await act({ action: 'restart', [field]: 'kafka' }, version), 400, 'DMS.00400062')
    refusedAs(await act({ action: 'delete', [field]: 'rabbitmq' }, version), 400, 'DMS.00400062')
    refusedAs(await act({ action: 'delete', [field]: true }, version), 400, 'DMS.00400062')
    refusedAs(await act({ action: 'delete', [field]: 'kafka', instances: [fine] }, version), 400, 'DMS.00400062')
    // The other version's name for it is no name at all.
    refusedAs(await act({ action: 'delete', [version === 'v2' ? 'allFailure' : 'all_failure']: 'kafka' }, version), 400, 'DMS.00400065')
    assert.equal(g.wishes.length, before)
    const r = await act({ action: 'delete', [field]: 'kafka', instances: [] }, version)
    if (version === 'v2') assert.deepEqual(r.json.results.map((one: any) => [one.instance, one.result]), [[failed, 'success']])
    else assert.deepEqual([r.status, r.text], [204, ''])
    assert.deepEqual(g.wishes.slice(before), [{ action: 'delete', id: failed }])
    const again = await act({ action: 'delete', [field]: 'kafka' }, version)
    assert.deepEqual([again.status, again.json], version === 'v2' ? [200, { results: [] }] : [204, undefined])
  }
})

test('creation in three forms, and the fields as they come back', async () => {
  for (const path of [`/v2/kafka/${projectId}/instances`, `/v2/${projectId}/kafka/instances`, v2]) {
    const r = await send('POST', path, wish({ enable_auto_topic: true, product_id: 'kafka.2u4g.single' }))
    assert.equal(r.status, 200, r.text)
    const { json } = await send('GET', `${v2}/${r.json.instance_id}`)
    assert.deepEqual([json.status, json.type, json.product_id, json.partition_num, json.total_storage_space, json.connect_address, json.port], ['CREATING', 'single', 'c6.2u4g.single', '250', 100, '127.83.1.2', 9092])
    assert.deepEqual([json.enable_auto_topic, json.maintain_begin, json.maintain_end, json.created_at, json.tags], [true, '02:00:00', '06:00:00', String(g.clock.now), []])
    for (const field of ['public_connect_address', 'used_storage_space', 'order_id']) assert.equal(json[field], null, field)
    // The Terraform provider of Open Telekom Cloud waits for one entry for each broker after an extension.
    assert.deepEqual(JSON.parse(json.cross_vpc_info), { '127.83.1.2': { advertised_ip: '127.83.1.2', port: 9092, port_id: null } })
  }
  assert.deepEqual((g.wishes.at(-1) as any).spec, { flavor: 'c6.2u4g.single', memoryBytes: 4 * 1024 ** 3, topology: 'single', shards: 1, replicas: 1, nodeCount: 1, port: null, renamedCommands: {}, password: null, parameters: { 'auto.create.topics.enable': 'true' } })
  assert.equal((await send('POST', v2, wish({ broker_num: undefined }))).status, 200)
})

const cluster = (brokers: unknown, gb: number, product = 'c6.2u4g.cluster') => ({ product_id: product, broker_num: brokers, storage_space: gb })

test('clusters: three and more brokers of every product, and the old products by their bandwidth', async () => {
  for (const [path, more, shown] of [
    [`/v2/kafka/${projectId}/instances`, cluster(3, 300), ['c6.2u4g.cluster', 'kafka.2u4g.cluster', 3, '750', 300, null]],
    [`/v2/${projectId}/kafka/instances`, cluster(30, 300_000, 'kafka.2u4g.cluster'), ['c6.2u4g.cluster', 'kafka.2u4g.cluster', 30, '7500', 300_000, null]],
    [v2, { ...cluster(50, 1_500_000, 'c6.16u32g.cluster'), available_zones: ['a', 'b', 'c'] }, ['c6.16u32g.cluster', 'kafka.16u32g.cluster', 50, '100000', 1_500_000, null]],
    [v2, cluster(undefined, 300, 's6.2u4g.cluster.small'), ['s6.2u4g.cluster.small', 'kafka.2u4g.cluster.small', 3, '300', 300, null]],
    [v2, { ...cluster(undefined, 2400, '00300-30312-0--0'), specification: '600MB', partition_num: 1800 }, ['00300-30312-0--0', '600MB', 4, '1800', 2400, 'dms.instance.kafka.cluster.c3.middle.2']],
  ] as const) {
    const r = await send('POST', path, wish(more))
    assert.equal(r.status, 200, r.text)
    const { json } = await send('GET', `${v2}/${r.json.instance_id}`)
    assert.deepEqual([json.product_id, json.specification, json.broker_num, json.partition_num, json.total_storage_space, json.resource_spec_code], shown)
    assert.equal(json.type, 'cluster')
    const { spec } = g.wishes.at(-1) as any
    assert.deepEqual([spec.topology, spec.shards, spec.replicas, spec.nodeCount], ['cluster', 1, shown[2], shown[2]])
  }
})

test('extend: brokers can be added to a cluster, and everything else is refused with a reason', async () => {
  const path = (id: string) => `/v2/kafka/${projectId}/instances/${id}/extend`
  const id = g.seed('kafka', { replicas: 3 })
  const extend = (body: unknown, of = id) => send('POST', path(of), body)
  refusedAs(await extend(''), 400, 'DMS.00400004')
  const rows: [object, string][] = [
    [{}, 'DMS.00400062'], [{ oper_type: 'sideways' }, 'DMS.00400062'], [{ oper_type: 'storage', new_storage_space: 600 }, 'DMS.00400062'], [{ oper_type: 'vertical', new_product_id: 'c6.4u8g.cluster' }, 'DMS.00400062'],
    [{ oper_type: 'horizontal' }, 'DMS.00400062'], [{ oper_type: 'horizontal', new_broker_num: 3 }, 'DMS.00400062'], [{ oper_type: 'horizontal', new_broker_num: 2 }, 'DMS.00400062'], [{ oper_type: 'horizontal', new_broker_num: 31 }, 'DMS.00400062'],
    [{ oper_type: 'horizontal', new_broker_num: 4, new_storage_space: 300 }, 'DMS.00400500'], [{ oper_type: 'horizontal', new_broker_num: 4, publicip_id: 'x' }, 'DMS.00400128'], [{ oper_type: 'horizontal', new_broker_num: 4, tenant_ips: ['10.0.0.9'] }, 'DMS.00400062'],
  ]
  const before = g.wishes.length
  for (const [body, code] of rows) refusedAs(await extend(body), 400, code)
  refusedAs(await extend({ oper_type: 'horizontal', new_broker_num: 4 }, g.seed('kafka')), 400, 'DMS.00400062')
  refusedAs(await extend({ oper_type: 'horizontal', new_broker_num: 4 }, g.seed('kafka', { replicas: 3, open: 'restart' })), 400, 'DMS.00400026')
  refusedAs(await extend({ oper_type: 'horizontal', new_broker_num: 4 }, randomUUID()), 404, 'DMS.00404022')
  assert.equal(g.wishes.length, before)
  const r = await extend({ oper_type: 'horizontal', new_broker_num: 5, new_storage_space: 500 })
  assert.equal(r.status, 200, r.text)
  assert.match(r.json.job_id, /^[0-9a-f]{32}$/)
  assert.deepEqual(g.wishes.at(-1), { action: 'extend', id, shards: 1, replicas: 5, leaving: [] })
  assert.equal((await send('GET', `${v2}/${id}`)).json.status, 'EXTENDING')
  for (const other of [`/v2/${projectId}/kafka/instances`, v2]) assert.equal((await send('POST', `${other}/${g.seed('kafka', { replicas: 3 })}/extend`, { oper_type: 'horizontal', new_broker_num: 4 })).status, 200)
})

test('creation: each field is refused with its code', async () => {
  const rows: [object, string][] = [
    [{ name: 'abc' }, 'DMS.00400010'], [{ name: '1abc' }, 'DMS.00400010'], [{ name: 'a/../b' }, 'DMS.00400010'], [{ description: 'x'.repeat(1025) }, 'DMS.00400011'], [{ engine: 'rabbitmq' }, 'DMS.00400007'],
    [{ engine_version: '9' }, 'DMS.00400008'], [{ product_id: 'x' }, 'DMS.00400009'], [{ product_id: 'c6.2u4g.cluster.none', broker_num: 3, storage_space: 300 }, 'DMS.00400009'], [{ product_id: '__proto__' }, 'DMS.00400009'],
    [{ broker_num: 3 }, 'DMS.00400062'], [cluster(2, 300), 'DMS.00400062'], [cluster(31, 3100), 'DMS.00400062'], [cluster('3', 300), 'DMS.00400062'], [cluster(undefined, 300), 'DMS.00400062'],
    [cluster(3, 299), 'DMS.00400500'], [cluster(3, 30_001), 'DMS.00400500'], [{ ...cluster(4, 400), available_zones: ['a', 'b'] }, 'DMS.00400062'], [{ product_id: '00300-30308-0--0', broker_num: 4, storage_space: 600 }, 'DMS.00400062'], [{ storage_space: 99 }, 'DMS.00400500'], [{ storage_space: [] }, 'DMS.00400500'], [{ storage_spec_code: 'x' }, 'DMS.00400062'],
    [{ vpc_id: '' }, 'DMS.00400013'], [{ vpc_id: 'x' }, 'DMS.00400068'], [{ subnet_id: '' }, 'DMS.00400016'], [{ subnet_id: {} }, 'DMS.00400018'], [{ security_group_id: null }, 'DMS.00400014'], [{ security_group_id: 'x' }, 'DMS.00400046'],
    [{ available_zones: [] }, 'DMS.00400042'], [{ available_zones: ['a', 'b'] }, 'DMS.00400067'], [{ ssl_enable: true }, 'DMS.00400062'], [{ enable_publicip: true }, 'DMS.00400128'], [{ ipv6_enable: true }, 'DMS.00400049'],
    [{ disk_encrypted_enable: true }, 'DMS.00400135'], [{ maintain_begin: '03:00', maintain_end: '07:00' }, 'DMS.00400106'], [{ maintain_begin: '22:00', maintain_end: '' }, 'DMS.00400106'], [{ retention_policy: 'x' }, 'DMS.00400062'],
    [{ tags: [{ key: '' }] }, 'DMS.10240035'], [{ tags: [{ key: 'a!' }] }, 'DMS.10240036'], [{ tags: [{ key: 'a', value: 'x'.repeat(256) }] }, 'DMS.10240038'], [{ tags: [{ key: 'a' }, { key: 'a' }] }, 'DMS.10240045'],
  ]
  const before = g.wishes.length
  for (const [more, code] of rows) refusedAs(await send('POST', `/v2/kafka/${projectId}/instances`, wish(more)), 400, code)
  assert.equal(g.wishes.length, before)
})

test('after a deletion: DELETING by id, no longer in the list', async () => {
  const id = g.seed('kafka')
  assert.equal((await send('DELETE', `${v2}/${id}`)).status, 204)
  assert.equal((await send('GET', `${v2}/${id}`)).json.status, 'DELETING')
  assert.ok(!(await send('GET', `${v2}?limit=50&include_failure=true`)).json.instances.some((one: any) => one.instance_id === id))
  refusedAs(await send('GET', `${v2}/${randomUUID()}`), 404, 'DMS.00404022')
  refusedAs(await send('GET', `${v2}/${g.seed('redis')}`), 404, 'DMS.00404022')
  refusedAs(await send('GET', `${v2}/x`), 400, 'DMS.00400061')
})

test('lists and tasks: paging, filters, and a clear no to what is out of range', async () => {
  for (const query of ['limit=0', 'limit=51', 'offset=-1', 'status=running']) refusedAs(await send('GET', `${v2}?${query}`), 400, 'DMS.00400062')
  refusedAs(await send('GET', `${v2}?engine=redis`), 400, 'DMS.00400007')
  assert.deepEqual((await send('GET', `${v2}?engine=rabbitmq`)).json, { instances: [], instance_num: 0 })
  const id = g.seed('kafka', { open: 'restart' })
  for (const query of ['', '?start=1&limit=100', '?offset=0']) assert.deepEqual([(await send('GET', `${v2}/${id}/tasks${query}`)).json.task_count, (await send('GET', `${v2}/${id}/tasks${query}`)).json.tasks.length], ['1', 1])
  assert.equal((await send('GET', `${v2}/${id}/tasks?start=2`)).json.tasks.length, 0)
  const { tasks: [task] } = (await send('GET', `${v2}/${id}/tasks`)).json
  assert.deepEqual([task.name, task.status, typeof task.params], ['restartInstance', 'CREATED', 'string'])
  assert.deepEqual((await send('GET', `${v2}/${id}/tasks/${task.id}`)).json, { task_count: '1', tasks: [task] })
  refusedAs(await send('GET', `${v2}/${id}/tasks/${'0'.repeat(32)}`), 404, 'DMS.00404001')
  refusedAs(await send('GET', `${v2}/${id}/tasks/x`), 400, 'DMS.00400070')
  refusedAs(await send('GET', `${v2}/${randomUUID()}/tasks/${task.id}`), 404, 'DMS.00404022')
  for (const query of ['start=0', 'limit=101']) refusedAs(await send('GET', `${v2}/${id}/tasks?${query}`), 400, 'DMS.00400062')
  refusedAs(await send('GET', `${v2}/${id}/tasks?begin_time=20260230000000`), 400, 'DMS.00400142')
})

test('a dry run has the same checks and a plan for each; v1.0 answers it with a body', async () => {
  const [id, busy, failed] = [g.seed('kafka'), g.seed('kafka', { open: 'restart' }), g.seed('kafka', { status: 'createfailed' })]
  const before = g.wishes.length
  for (const version of ['v2', 'v1.0'] as const) {
    const dry = (body: object) => send('POST', `/${version}/${projectId}/instances/action?dry_run=true`, body)
    const { json } = await dry({ action: 'restart', instances: [id, busy, randomUUID()] })
    assert.deepEqual(json.results.map((one: any) => [one.result, one.error_code, 'plan' in one, 'task_id' in one]), [['success', undefined, true, false], ['failed', 'DMS.00400026', false, false], ['failed', 'DMS.00404022', false, false]])
    assert.equal(json.results[0].plan.nodes[0].what, 'stopped, all at once, and started again')
    refusedAs(await dry({ action: 'restart', instances: [busy] }), 400, 'DMS.00400026')
    refusedAs(await dry({ action: 'flush', instances: [id] }), 400, 'DMS.00400064')
    const all = await dry({ action: 'delete', [version === 'v2' ? 'all_failure' : 'allFailure']: 'kafka' })
    assert.equal(all.status, 200)
    assert.ok(all.json.results.some((one: any) => one.instance === failed && one.plan.gap.to_ms === null))
  }
  const one = await send('DELETE', `${v2}/${id}?dry_run=true`)
  assert.deepEqual([one.status, one.json.plan.data_at_risk], [200, 'Everything, for good: there is no backup.'])
  refusedAs(await send('POST', `${v2}/action?dry_run=perhaps`, { action: 'delete', instances: [id] }), 400, 'DMS.00400062')
  assert.equal(g.wishes.length, before)
})
