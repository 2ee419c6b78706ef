/** What a project has of DCS, on real Redis: figures, tags, tasks, quotas. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Redis } from 'ioredis'
import { makeServer, password, type Server } from './support/server.ts'

let server: Server
let id: string
let client: Redis

before(async () => {
  server = await makeServer()
  await server.start()
  id = await server.createRedis('figures')
  const { ip, port } = await server.running('dcs', id)
  client = new Redis({ host: ip, port, password })
})
after(async () => {
  client.disconnect()
  await server.destroy()
})

const refused = (r: { status: number; json: any }, code: string) => assert.deepEqual([r.status, r.json?.error_code], [400, code], JSON.stringify(r.json))

test('statistics are what the servers say', async () => {
  await client.mset(...Array.from({ length: 200 }, (_, n) => [`k${n}`, 'x'.repeat(50_000)]).flat())
  for (let n = 0; n < 7; n += 1) await client.get('k0')
  await client.set('one', 'more')
  await client.select(3)
  await client.set('elsewhere', '1')
  for (const version of ['v2', 'v1.0']) {
    const { statistics } = (await server.call('dcs', 'GET', `/${version}/${server.project}/instances/statistic`)).json
    const [mine] = statistics
    assert.deepEqual([statistics.length, mine.instance_id, mine.keys, mine.cmd_get_count, mine.cmd_set_count, mine.max_memory], [1, id, 202, 7, 2, 128])
    assert.ok(mine.used_memory >= 10 && mine.used_memory < 40, String(mine.used_memory))
    assert.ok(Number(mine.used_cpu) > 0)
  }
  // What was just heard is shown with the instance as well.
  const shown = (await server.dcs('GET', `/instances/${id}`)).json
  assert.ok(shown.used_memory >= 10 && shown.used_memory < 40)
})

test('tags: added, replaced in their place, taken away, found again', async () => {
  const change = (action: string, tags: object[]) => server.dcs('POST', `/dcs/${id}/tags/action`, { action, tags })
  assert.equal((await change('create', [{ key: 'muh', value: 'kuh' }, { key: 'team', value: 'a' }])).status, 204)
  assert.equal((await change('create', [{ key: 'muh', value: 'b' }])).status, 204)
  assert.deepEqual((await server.dcs('GET', `/instances/${id}/tags`)).json, { tags: [{ key: 'muh', value: 'b' }, { key: 'team', value: 'a' }] })
  assert.deepEqual((await server.call('dcs', 'GET', `/v1.0/${server.project}/instances/${id}/tags`)).json.tags.length, 2)
  assert.equal((await server.dcs('GET', '/instances?tags=muh%3Db,team%3Da')).json.instance_num, 1)
  assert.deepEqual((await server.dcs('GET', '/dcs/tags')).json, { tags: [{ key: 'muh', values: ['b'] }, { key: 'team', values: ['a'] }] })
  assert.equal((await change('delete', [{ key: 'muh' }, { key: 'absent' }])).status, 204)
  assert.deepEqual((await server.dcs('GET', `/instances/${id}`)).json.tags, [{ key: 'team', value: 'a' }])
  refused(await change('create', Array.from({ length: 20 }, (_, n) => ({ key: `k${n}`, value: '' }))), 'DCS.4062')
  refused(await change('create', [{ key: '_sys_x', value: '' }]), 'DCS.4062')
  refused(await change('replace', [{ key: 'x', value: '' }]), 'DCS.4062')
  refused(await change('create', []), 'DCS.4062')
  assert.deepEqual((await server.dcs('GET', `/instances/${id}/tags`)).json, { tags: [{ key: 'team', value: 'a' }] })
})

test('a task tells its progress node by node, and its record can be dropped once it has ended', async () => {
  const [{ task_id: task }] = (await server.dcs('PUT', '/instances/status', { action: 'soft_restart', instances: [id] })).json.results
  const during = (await server.dcs('GET', `/instances/${id}/tasks/${task}/progress`)).json
  assert.ok(during.progress < 100 || during.step_details[0].step_status === 'FINISH')
  await server.running('dcs', id)
  const ended = (await server.dcs('GET', `/instances/${id}/tasks/${task}/progress`)).json
  assert.deepEqual([ended.progress, ended.step_details.map((step: any) => step.step_status)], [100, ['FINISH']])
  const { tasks, task_count: count } = (await server.dcs('GET', '/tasks?limit=1')).json
  assert.deepEqual([tasks.length, tasks[0].id, tasks[0].status, Number(count) >= 2], [1, task, 'SUCCESS', true])
  refused(await server.dcs('DELETE', '/tasks/x'), 'DCS.4070')
  assert.deepEqual((await server.dcs('DELETE', `/tasks/${task}`)).json, { message: '' })
  refused(await server.dcs('DELETE', `/tasks/${task}`), 'DCS.4070')
  refused(await server.dcs('GET', `/instances/${id}/tasks/${task}/progress`), 'DCS.4070')
})

test('a quota is shown and held, and survives a kill', async () => {
  const resources = async () => (await server.dcs('GET', '/quota')).json.quotas.resources.map((one: any) => [one.type, one.quota, one.used])
  assert.deepEqual(await resources(), [['instance', 2 ** 31 - 1, 1], ['ram', 2 ** 31 - 1, 1]])
  assert.equal((await server.call('console', 'PUT', '/v1/quota', { instances: 2, memory_gb: 1 })).status, 200)
  await server.end('SIGKILL')
  await server.start()
  assert.deepEqual(await resources(), [['instance', 2, 1], ['ram', 1, 1]])
  const order = (more: object) => server.dcs('POST', '/instances', { name: 'second', engine: 'Redis', engine_version: '7.0', capacity: 0.125, spec_code: 'redis.single.xu1.tiny.128', az_codes: ['eu-de-01'], vpc_id: id, subnet_id: id, password, ...more })
  refused(await order({ instance_num: 2 }), 'DCS.4035')
  refused(await order({ capacity: 1, spec_code: 'redis.single.xu1.large.1' }), 'DCS.4036')
  refused(await server.dcs('POST', `/instances/${id}/resize`, { spec_code: 'redis.single.xu1.large.2', new_capacity: 2 }), 'DCS.4036')
  assert.equal((await server.dcs('GET', '/instances')).json.instance_num, 1)
  // Of many at once, as many as there is room for.
  const answers = await Promise.all(Array.from({ length: 4 }, () => order({})))
  assert.deepEqual(answers.map((answer) => answer.status).toSorted(), [200, 400, 400, 400])
  assert.equal((await server.call('dcs', 'GET', `/v1.0/${server.project}/quota`)).json.quotas.resource_user, undefined)
  assert.deepEqual((await server.call('dcs', 'GET', `/v1.0/${server.project}/quota`)).json.resource_user, { tenant_id: server.project, tenant_name: server.env['SLUICE_PROJECT'] })
  assert.equal((await server.call('console', 'PUT', '/v1/quota', { instances: -1 })).status, 400)
  assert.equal((await server.call('console', 'PUT', '/v1/quota', {})).json.instances, null)
  assert.equal((await order({ name: 'third' })).status, 200)
})

test('an address can be asked for, out of those that this server has', async () => {
  // As Terraform reckons it: the sixth of the subnet that the network facade shows.
  const [subnet] = (await server.call('network', 'GET', `/v1/${server.project}/subnets`)).json.subnets
  const wanted = subnet.cidr.replace(/0\/24$/, '6')
  const order = (name: string, more: object) => server.dcs('POST', '/instances', { name, engine: 'Redis', engine_version: '7.0', capacity: 0.125, spec_code: 'redis.ha.xu1.tiny.r2.128', az_codes: ['eu-de-01'], vpc_id: id, subnet_id: id, password, ...more })
  const made = (await order('at-6', { private_ip: wanted })).json.instances[0].instance_id
  assert.equal((await server.running('dcs', made)).ip, wanted)
  const there = new Redis({ host: wanted, port: 6379, password })
  assert.equal(await there.ping(), 'PONG')
  there.disconnect()
  refused(await order('again', { private_ip: wanted }), 'DCS.4062')
  refused(await order('elsewhere', { private_ip: '192.168.0.6' }), 'DCS.4062')
  const single = (await order('at-7', { private_ip: wanted.replace(/\d+$/, '7'), spec_code: 'redis.single.xu1.tiny.128' })).json.instances[0].instance_id
  assert.equal((await server.running('dcs', single)).ip, wanted.replace(/\d+$/, '7'))
})
