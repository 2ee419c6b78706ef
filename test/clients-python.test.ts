/** The official Python SDK (huaweicloudsdkdcs), unmodified: a whole life of a real Redis, and every method that it has. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { client, makeServer, password, until, type Server } from './support/server.ts'
import { pythonSdk, type Sdk, type SdkAnswer } from './support/python.ts'

let server: Server
let sdk: Sdk

before(async () => {
  server = await makeServer()
  await server.start()
  sdk = pythonSdk(server)
})
after(async () => {
  await sdk?.end()
  await server.destroy()
})

const good = (answer: SdkAnswer, status: number): any => { assert.equal(answer.status, status, JSON.stringify(answer)); return answer.body }
const shown = async (id: string): Promise<any> => good(await sdk.call('show_instance', { instance_id: id }), 200)
const running = (id: string): Promise<any> => until('RUNNING', async () => { const one = await shown(id); return one.status === 'RUNNING' && one })
const order = (name: string, more: object) => sdk.call('create_instance', { body: { name, engine: 'Redis', engine_version: '7.0', capacity: 0.125, az_codes: ['eu-de-01'], vpc_id: randomUUID(), subnet_id: randomUUID(), password, ...more } })

test('one life: create, list, show, restart, rename, soft_restart, flush, delete, with the data looked at from outside', async () => {
  const { instances: [made] } = good(await order('sdk-life', { spec_code: 'redis.ha.xu1.tiny.r2.128', tags: [{ key: 'k', value: 'v' }] }), 200)
  const id = made.instance_id
  const instance = await running(id)
  assert.deepEqual([instance.name, instance.capacity, instance.capacity_minor, instance.no_password_access, instance.tags], ['sdk-life', 0, '.125', 'false', [{ key: 'k', value: 'v' }]])
  const { instance_num: count, instances } = good(await sdk.call('list_instances', { name: 'sdk-life', name_equal: 'true', status: 'RUNNING' }), 200)
  assert.deepEqual([count, instances[0].instance_id], [1, id])
  const redis = client(instance)
  await redis.set('kept', 'yes')
  for (const action of ['restart', 'soft_restart']) {
    const { results } = good(await sdk.call('restart_or_flush_instances', { body: { instances: [id], action } }), 200)
    assert.deepEqual(results, [{ instance: id, result: 'success' }])
    await running(id)
    assert.equal(await until('the data', () => redis.get('kept').catch(() => null)), 'yes')
  }
  good(await sdk.call('restart_or_flush_instances', { body: { instances: [id], action: 'flush' } }), 200)
  await running(id)
  assert.equal(await redis.dbsize(), 0)
  redis.disconnect()
  good(await sdk.call('update_instance', { instance_id: id, body: { name: 'sdk-renamed', description: 'by the SDK' } }), 204)
  assert.deepEqual([(await running(id)).name, (await shown(id)).description], ['sdk-renamed', 'by the SDK'])
  good(await sdk.call('delete_single_instance', { instance_id: id }), 204)
  const gone = await sdk.call('show_instance', { instance_id: id })
  assert.deepEqual([gone.status, gone.code], [404, 'DCS.3022'])
  assert.match(gone.request!, /^[0-9a-f]{32}$/)
})

test('each of the 137 methods reaches a route: it does its work, or is told why not', async () => {
  const { instances: [made] } = good(await order('sdk-all', { spec_code: 'redis.ha.xu1.tiny.r2.128' }), 200)
  const id = made.instance_id
  await running(id)
  const { nodes: [node] } = good(await sdk.call('show_nodes_information', { instance_id: id }), 200)
  const known = {
    instance_id: id, group_id: node.group_id, node_id: node.node_id, task_id: 'a'.repeat(32), job_id: 'a'.repeat(32), backup_id: randomUUID(), report_id: randomUUID(), history_id: randomUUID(), template_id: '1',
    bigkey_id: randomUUID(), hotkey_id: randomUUID(), account_id: randomUUID(), id: randomUUID(), instances: [randomUUID()], offset: 0, limit: 10, type: 'sys', action: 'restart', operation: 'extend', dim_name: 'dcs_instance_id', expiration: 300,
    start_time: null, end_time: null, begin_time: null, log_type: 'run', query_time: 1, name: null, status: null, tags: [{ key: 'k', value: 'v' }], all_failure: null, include_failure: 'true',
  }
  const methods = await sdk.methods()
  assert.equal(methods.length, 137)
  // What asks comes before what changes, and what deletes the instance last of all.
  const rank = (method: string): number => /^(show|list|validate|batch_show)/.test(method) ? 0 : method === 'delete_single_instance' ? 2 : 1
  const rows: string[] = []
  const wrong: string[] = []
  for (const method of methods.toSorted((a, b) => rank(a) - rank(b))) {
    const answer = await sdk.fill(method, method === 'list_slowlog' ? { ...known, start_time: '0', end_time: String(Date.now()) } : known)
    const row = `${method} ${answer.status} ${answer.code ?? ''} ${answer.status >= 300 || answer.status === 0 ? answer.message : ''}`.trim()
    rows.push(row)
    const documented = /^(DCS\.\d{4}|APIGW\.\d{4})$/.test(answer.code ?? '') || answer.status < 300
    if (answer.code === 'DCS.4001' || answer.status === 405 || answer.status === 0 || answer.status >= 500 || !documented) wrong.push(row)
  }
  console.log(rows.join('\n'))
  assert.deepEqual(wrong, [])
})
