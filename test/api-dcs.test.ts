/** DCS on the wire: the order of checks, codes, envelopes and fields. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { otherProjectId, projectId, type Ground } from './support/api-double.ts'
import { change, dcsGround, refusedAs, send, v2, wish } from './support/dcs-wire.ts'

let g: Ground
dcsGround((ground) => { g = ground })

test('checks come in the order of the policy: the first thing wrong decides', async () => {
  const path = `${v2}/status`
  const big = 'x'.repeat(1024 * 1024 + 1)
  const nobody = { 'x-auth-token': '' }
  refusedAs(await send('PUT', `/v2/${projectId}/instance/status`, big, nobody), 404, 'DCS.4001')
  refusedAs(await send('PATCH', path, big, nobody), 405, 'DCS.5001')
  refusedAs(await send('PUT', path, big, nobody), 413, 'APIGW.0201')
  refusedAs(await send('PUT', '/v2/x/instances/status', '', nobody), 401, 'DCS.1003')
  refusedAs(await send('PUT', '/v2/x/instances/status', ''), 400, 'DCS.4002')
  refusedAs(await send('PUT', `/v2/${otherProjectId}/instances/status`, ''), 401, 'DCS.1004')
  refusedAs(await send('PUT', path, ''), 400, 'DCS.4004')
  refusedAs(await send('PUT', path), 400, 'DCS.4004')
  refusedAs(await send('PUT', path, '{nope'), 400, 'DCS.4005')
  for (const body of ['[]', 'null', '"x"', '1']) refusedAs(await send('PUT', path, body), 400, 'DCS.4005')
  refusedAs(await send('PUT', path, {}), 400, 'DCS.4064')
  refusedAs(await send('PUT', path, { action: 'restart' }), 400, 'DCS.4065')
  const bad = Array.from({ length: 51 }, () => '../x')
  refusedAs(await change('restart', bad), 400, 'DCS.4100')
  refusedAs(await change('restart', bad.slice(1)), 400, 'DCS.4061')
})

test('tokens: forged, expired, of another project', async () => {
  const token = await g.token()
  refusedAs(await send('GET', v2, undefined, { 'x-auth-token': 'x' }), 401, 'DCS.1001')
  for (let at = 0; at < token.length; at += 3) refusedAs(await send('GET', v2, undefined, { 'x-auth-token': token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1) }), 401, 'DCS.1001')
  const last = token.at(-1)!
  // The neighbour of the last character decodes to the same bytes.
  refusedAs(await send('GET', v2, undefined, { 'x-auth-token': token.slice(0, -1) + String.fromCharCode(last.charCodeAt(0) + 1) }), 401, 'DCS.1001')
  refusedAs(await send('GET', v2, undefined, { 'x-auth-token': await g.token({ project: { id: otherProjectId } }) }), 401, 'DCS.1004')
  refusedAs(await send('GET', v2, undefined, { 'x-auth-token': await g.token('unscoped' as never) }), 401, 'DCS.1004')
  g.clock.now += 86_400_000
  refusedAs(await send('GET', v2), 401, 'DCS.1002')
  g.clock.now -= 86_400_000
})

test('a batch: results in the caller\'s order and spelling, each with a task or a reason', async () => {
  const [a, b, old, unknown] = [g.seed('redis'), g.seed('redis', { open: 'restart' }), g.seed('redis', { version: '3.0' }), randomUUID()]
  const r = await change('flush', [unknown, a.toUpperCase(), b, old, a])
  assert.equal(r.status, 200)
  assert.deepEqual(r.json.results.map((one: any) => [one.instance, one.result, one.error_code]), [
    [unknown, 'failed', 'DCS.3022'], [a.toUpperCase(), 'success', undefined], [b, 'failed', 'DCS.4111'], [old, 'failed', 'DCS.4027'],
  ])
  assert.match(r.json.results[1].task_id, /^[0-9a-f]{32}$/)
  assert.match(r.headers['x-request-id'] as string, /^[0-9a-f]{32}$/)
})

test('another project\'s id looks exactly like an unknown one', async () => {
  const foreign = g.seed('redis', { project: otherProjectId })
  const kafka = g.seed('kafka')
  for (const id of [foreign, kafka, randomUUID()]) {
    assert.deepEqual((await change('restart', [id])).json, { results: [{ instance: id, result: 'failed', error_code: 'DCS.3022', error_msg: 'This DCS instance does not exist.' }] })
    for (const path of [`${v2}/${id}`, `${v2}/${id}/tasks`]) refusedAs(await send('GET', path), 404, 'DCS.3022')
    refusedAs(await send('DELETE', `${v2}/${id}`), 404, 'DCS.3022')
  }
})

test('a busy or wrong state of the only id is a 400 with its own code', async () => {
  const rows = [
    ['restart', { open: 'create' }, 'DCS.4118'], ['restart', { open: 'restart' }, 'DCS.4111'], ['flush', { open: 'soft_restart' }, 'DCS.4111'], ['soft_restart', { open: 'flush' }, 'DCS.4026'],
    ['flush', { status: 'error' }, 'DCS.4049'], ['restart', { status: 'createfailed' }, 'DCS.4026'], ['flush', { status: 'createfailed' }, 'DCS.4026'],
  ] as const
  for (const [action, state, code] of rows) {
    const id = g.seed('redis', state)
    refusedAs(await change(action, [id]), 400, code)
    refusedAs(await change(action, [id, id.toUpperCase()]), 400, code)
    assert.equal((await change(action, [id, randomUUID()])).json.results[0].error_code, code)
  }
  for (const open of ['create', 'restart'] as const) {
    refusedAs(await send('DELETE', `${v2}/${g.seed('redis', { open })}`), 400, 'DCS.4099')
    refusedAs(await send('DELETE', v2, { instances: [g.seed('redis', { open })] }), 400, 'DCS.4099')
  }
  assert.deepEqual((await change('restart', [g.seed('redis', { open: 'delete' })])).json.results[0].error_code, 'DCS.3022')
  assert.equal((await change('restart', [g.seed('redis', { open: 'recover', status: 'error' })])).json.results[0].result, 'success')
})

test('v1.0 shares every guard in its own envelope, and knows no soft_restart', async () => {
  const id = g.seed('redis')
  assert.equal((await change('restart', [id], 'v1.0')).json.results[0].result, 'success')
  const error = async (r: Promise<{ status: number; json: any }>) => { const { status, json } = await r; assert.deepEqual(Object.keys(json), ['error']); return [status, json.error.code] }
  assert.deepEqual(await error(change('restart', [id], 'v1.0')), [400, '111400111'])
  assert.deepEqual(await error(change('soft_restart', [id], 'v1.0')), [400, '111400064'])
  assert.deepEqual(await error(change('restart', [], 'v1.0')), [400, '111400065'])
  assert.deepEqual(await error(change('restart', ['x'], 'v1.0')), [400, '111400061'])
  assert.deepEqual(await error(change('flush', [g.seed('redis', { status: 'error' })], 'v1.0')), [400, '111400026'])
  const path = `/v1.0/${projectId}/instances/status`
  assert.deepEqual(await error(send('PUT', path, '')), [400, '111400004'])
  assert.deepEqual(await error(send('PUT', path, {}, { 'x-auth-token': '' })), [401, '111401003'])
  assert.deepEqual(await error(send('POST', path, {})), [405, '111405001'])
  assert.deepEqual(await error(send('POST', '/v1.0/none', {})), [404, '111404001'])
  assert.equal((await change('restart', [id, randomUUID()], 'v1.0')).json.results[1].error_code, '111404022')
})

test('creation: names of a batch, and the fields as they come back', async () => {
  const r = await send('POST', v2, wish({ name: 'many', instance_num: 3, tags: [{ key: 'a', value: 'b/c' }], bss_param: { charging_mode: '' }, rename_commands: { keys: 'KEYS_hidden', flushdb: '' }, security_group_id: '' }))
  assert.equal(r.status, 200)
  assert.deepEqual(r.json.instances.map((one: any) => one.instance_name), ['many-000', 'many-001', 'many-002'])
  const created = g.wishes.at(-1) as any
  assert.deepEqual(created.spec, { flavor: 'redis.single.xu1.tiny.128', memoryBytes: 128 * 1024 ** 2, topology: 'single', shards: 1, replicas: 1, nodeCount: 1, port: null, parameters: { appendonly: 'yes' }, renamedCommands: { keys: 'KEYS_hidden' }, password: 'Abcd1234!' })
  const { json } = await send('GET', `${v2}/${r.json.instances[0].instance_id}`)
  assert.equal(json.status, 'CREATING')
  assert.deepEqual([json.capacity, json.capacity_minor, json.max_memory, json.no_password_access, json.port], [0, '.125', 128, 'false', 6379])
  for (const field of ['used_memory', 'domain_name', 'instance_backup_policy', 'task', 'crr_role', 'bandwidth_info', 'launched_at']) assert.equal(json[field], null, field)
  const free = await send('POST', v2, wish({ password: undefined, no_password_access: true, spec_code: 'redis.single.xu1.large.2', capacity: 2, engine_version: '7.0', redis_config: [{ param_name: 'appendonly', param_value: 'no' }] }))
  const shown = (await send('GET', `${v2}/${free.json.instances[0].instance_id}`)).json
  assert.deepEqual([shown.capacity, shown.capacity_minor, shown.no_password_access], [2, null, 'true'])
  assert.equal((g.wishes.at(-1) as any).spec.parameters.appendonly, 'no')
  assert.ok(!JSON.stringify([json, shown]).includes('Abcd1234'))
})

test('creation: each field is refused with its code', async () => {
  const rows: [object, string][] = [
    [{ name: 'abc' }, 'DCS.4010'], [{ name: 'a b c d' }, 'DCS.4010'], [{ name: 'x'.repeat(57), instance_num: 2 }, 'DCS.4010'], [{ name: '\ud800abcd' }, 'DCS.4010'], [{ name: ['abcd'] }, 'DCS.4010'],
    [{ engine: 'Memcached' }, 'DCS.4006'], [{ engine_version: '2.8' }, 'DCS.4008'], [{ engine_version: 6 }, 'DCS.4008'], [{ capacity: 0.5 }, 'DCS.4012'], [{ capacity: '0.125' }, 'DCS.4012'],
    [{ spec_code: 'redis.ha.xu1.tiny.r6.128' }, 'DCS.4927'], [{ spec_code: 'redis.proxy.xu1.large.4' }, 'DCS.4927'], [{ spec_code: 'constructor' }, 'DCS.4927'], [{ spec_code: undefined }, 'DCS.4927'], [{ spec_code: 'dcs.single_node' }, 'DCS.4927'],
    [{ az_codes: [] }, 'DCS.4062'], [{ az_codes: [{}] }, 'DCS.4062'], [{ vpc_id: 'x' }, 'DCS.4013'], [{ subnet_id: null }, 'DCS.4016'], [{ security_group_id: '../', engine_version: '3.0', spec_code: 'dcs.single_node', capacity: 2 }, 'DCS.4014'],
    [{ description: 'x'.repeat(1025) }, 'DCS.4011'], [{ description: '\udc00' }, 'DCS.4062'], [{ instance_num: 0 }, 'DCS.4062'], [{ instance_num: 101 }, 'DCS.4062'], [{ instance_num: 1.5 }, 'DCS.4062'],
    [{ maintain_begin: '02:00:00' }, 'DCS.4106'], [{ maintain_begin: '02:30:00', maintain_end: '03:30:00' }, 'DCS.4106'], [{ maintain_begin: '02:00:00', maintain_end: '05:00:00' }, 'DCS.4106'],
    [{ password: undefined }, 'DCS.4845'], [{ password: '' }, 'DCS.4845'], [{ password: 'abcdefgh' }, 'DCS.4019'], [{ password: 'Abc1234' }, 'DCS.4019'], [{ password: 'Abcd1234 ' }, 'DCS.4019'], [{ password: `Aa1${'x'.repeat(30)}` }, 'DCS.4019'],
    [{ no_password_access: true }, 'DCS.4843'], [{ no_password_access: 'perhaps' }, 'DCS.4843'], [{ access_user: 'me' }, 'DCS.4844'], [{ port: 0 }, 'DCS.4062'], [{ port: 65_536 }, 'DCS.4062'], [{ enable_ssl: 'yes' }, 'DCS.4062'], [{ enable_ssl: true, engine_version: '5.0' }, 'DCS.4062'],
    [{ tags: [{ key: '', value: '' }] }, 'DCS.4062'], [{ tags: [{ key: 'a' }, { key: 'a' }] }, 'DCS.4062'], [{ tags: [{ key: '_sys_a' }] }, 'DCS.4062'], [{ rename_commands: { get: 'xget' } }, 'DCS.4062'],
    [{ rename_commands: { keys: 'a b' } }, 'DCS.4062'], [{ rename_commands: { keys: 'flushall' } }, 'DCS.4062'], [{ bss_param: { charging_mode: 'prePaid' } }, 'DCS.4062'], [{ instance_backup_policy: { backup_type: 'auto' } }, 'DCS.4095'],
    [{ redis_config: [{ param_name: 'dir', param_value: '/' }] }, 'DCS.4066'], [{ private_ip: '10.0.0' }, 'DCS.4062'], [{ private_ip: '10.0.0.1', instance_num: 2 }, 'DCS.4062'], [{ private_ip: '10.0.0.1', spec_code: 'redis.cluster.xu1.large.r2.4', capacity: 4 }, 'DCS.4062'],
  ]
  const before = g.wishes.length
  for (const [more, code] of rows) refusedAs(await send('POST', v2, wish(more)), 400, code)
  assert.match((await send('POST', v2, wish({ spec_code: 'redis.proxy.xu1.large.4', capacity: 4 }))).json.error_msg, /^The param spec_code is invalid \(proxy and read\/write splitting need a proxy/)
  assert.equal(g.wishes.length, before)
})

test('lists: paging, filters, and a clear no to what is out of range', async () => {
  const all = await send('GET', `${v2}?limit=1000&include_failure=true`)
  assert.equal(all.json.instances.length, all.json.instance_num)
  assert.ok(all.json.instances.every((one: any) => 'updated_at' in one && !('update_at' in one) && one.status !== 'DELETING'))
  const page = await send('GET', `${v2}?offset=1&limit=2&include_failure=true`)
  assert.deepEqual(page.json.instances.map((one: any) => one.instance_id), all.json.instances.slice(1, 3).map((one: any) => one.instance_id))
  assert.equal((await send('GET', `${v2}?capacity=2&limit=1`)).json.instances.length, 1)
  assert.equal((await send('GET', `${v2}?status=EXTENDING`)).json.instance_num, 0)
  for (const [query, name] of [['limit=0', 'limit'], ['limit=1001', 'limit'], ['limit=x', 'limit'], ['offset=-1', 'offset'], ['offset=1e3', 'offset'], ['status=running', 'status'], ['capacity=x', 'capacity'], ['tags=%3Dx', 'tags']]) {
    const r = await send('GET', `${v2}?${query}`)
    refusedAs(r, 400, 'DCS.4062')
    assert.equal(r.json.error_msg, `Invalid ${name} parameter in the request.`)
  }
  refusedAs(await send('GET', `${v2}?instance_id=x`), 400, 'DCS.4061')
})

test('deletion: one, a batch, every failed creation; gone at once', async () => {
  const [a, b, failed] = [g.seed('redis'), g.seed('redis'), g.seed('redis', { status: 'createfailed' })]
  const one = await send('DELETE', `${v2}/${a}`)
  assert.deepEqual([one.status, one.text], [204, ''])
  for (const [method, path] of [['GET', `${v2}/${a}`], ['GET', `${v2}/${a}/tasks`], ['DELETE', `${v2}/${a}`]] as const) refusedAs(await send(method, path), 404, 'DCS.3022')
  refusedAs(await send('DELETE', `${v2}?all_failure=true`, { instances: [b] }), 400, 'DCS.4062')
  refusedAs(await send('DELETE', `${v2}?all_failure=yes`), 400, 'DCS.4062')
  refusedAs(await send('DELETE', v2), 400, 'DCS.4004')
  const r = await send('DELETE', `${v2}?all_failure=true`)
  assert.ok(r.json.results.some((result: any) => result.instance === failed) && r.json.results.every((result: any) => result.result === 'success' && result.instance !== b))
  assert.deepEqual((await send('DELETE', v2, { instances: [b] })).json.results.map((result: any) => result.result), ['success'])
  refusedAs(await send('DELETE', `${v2}/..%2f${b}`), 400, 'DCS.4061')
})

test('tasks and counts', async () => {
  const id = g.seed('redis', { open: 'restart' })
  const tasks = await send('GET', `${v2}/${id}/tasks?start_time=20261121000000&end_time=20261122000000`)
  assert.equal(tasks.json.task_count, '1')
  assert.deepEqual([tasks.json.tasks[0].name, tasks.json.tasks[0].status], ['RESTART', 'CREATED'])
  assert.equal((await send('GET', `${v2}/${id}/tasks?start_time=20261122000000`)).json.task_count, '0')
  refusedAs(await send('GET', `${v2}/${id}/tasks?start_time=2026`), 400, 'DCS.4062')
  refusedAs(await send('GET', `${v2}/${id}/tasks?start_time=20261122000000&end_time=20261121000000`), 400, 'DCS.4025')
  const counts = await send('GET', `${v2}/status`)
  assert.ok(counts.json.restarting_count >= 1)
  assert.equal(counts.json.redis.restarting_count, counts.json.restarting_count)
  refusedAs(await send('DELETE', `${v2}/status`), 405, 'DCS.5001')
})
