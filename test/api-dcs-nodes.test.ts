/** DCS on the wire, for instances of several nodes: switchover, nodes, resize, dry runs. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { otherProjectId, projectId, type Ground } from './support/api-double.ts'
import { dcsGround, refusedAs, send, v2 } from './support/dcs-wire.ts'

let g: Ground
dcsGround((ground) => { g = ground })

const ha = (replicas: number, more: Parameters<Ground['seed']>[1] = {}): string => g.seed('redis', { replicas, ...more })
const spec = (replicas: number): string => `redis.ha.xu1.tiny.r${replicas}.128`

test('switchover: 204 or a job, and its own code for every no', async () => {
  const swap = (id: string, query = '') => send('POST', `${v2}/${id}/swap${query}`)
  const id = ha(2)
  assert.deepEqual([(await swap(id)).status, g.wishes.at(-1)], [204, { action: 'swap', id }])
  refusedAs(await swap(id), 400, 'DCS.4026')
  const job = await send('PUT', `${v2}/${ha(3)}/async-swap`)
  assert.equal(job.status, 200)
  const shown = (await send('GET', `/v2/${projectId}/jobs/${job.json.job_id}`)).json
  assert.deepEqual([shown.job_id, shown.job_type, shown.status, shown.end_time], [job.json.job_id, 'masterStandbySwapJob', 'INIT', null])
  refusedAs(await send('GET', `/v2/${projectId}/jobs/x`), 400, 'DCS.4070')
  assert.equal((await send('GET', `/v2/${projectId}/jobs/${'0'.repeat(32)}`)).json.error_code, 'DCS.4070')
  assert.equal((await swap(g.seed('redis'))).json.error_code, 'DCS.4855')
  const rows = [[{ open: 'create' }, 'DCS.4118'], [{ open: 'restart' }, 'DCS.4111'], [{ open: 'extend' }, 'DCS.4113'], [{ open: 'recover', status: 'error' }, 'DCS.4104'], [{ status: 'error' }, 'DCS.4049'], [{ open: 'delete' }, 'DCS.3022']] as const
  for (const [state, code] of rows) for (const query of ['', '?dry_run=true']) assert.equal((await swap(ha(2, state), query)).json.error_code, code)
  for (const one of [randomUUID(), ha(2, { project: otherProjectId }), g.seed('kafka')]) refusedAs(await swap(one), 404, 'DCS.3022')
  refusedAs(await swap('x'), 400, 'DCS.4061')
})

test('groups, nodes and priorities: shapes and codes', async () => {
  const id = ha(3)
  const { json } = await send('GET', `/v2/${projectId}/instance/${id}/groups`)
  const [group] = json.group_list
  assert.deepEqual([json.group_count, group.group_name, group.replication_list.map((one: any) => one.replication_role)], [1, 'group-0', ['master', 'slave', 'slave']])
  assert.match(group.replication_list[0].node_id, /^[0-9a-f]{32}$/)
  assert.match(group.replication_list[0].replication_id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.deepEqual(group.replication_list[0].dimensions.map((one: any) => one.name), ['dcs_instance_id', 'dcs_cluster_redis_node'])
  const nodes = await send('GET', `${v2}/${id}/logical-nodes`)
  assert.deepEqual([nodes.json.instance_id, nodes.json.total, nodes.json.nodes[0].name, nodes.json.nodes[1].node_port], [id, 3, '(master)127.83.1.2', '6379'])
  assert.equal((await send('GET', `${v2}/${ha(2, { open: 'create' })}/logical-nodes`)).json.total, 0)
  for (const one of [g.seed('redis'), ha(2, { version: '3.0' })]) assert.equal((await send('GET', `/v2/${projectId}/instance/${one}/groups`)).json.error_code, 'DCS.4027')
  for (const path of [`instance/${randomUUID()}/groups`, `instances/${randomUUID()}/nodes`, `instances/${randomUUID()}/logical-nodes`]) refusedAs(await send('GET', `/v2/${projectId}/${path}`), 404, 'DCS.3022')
  const prefer = (node: string, weight: unknown, groupId = group.group_id, of = id) => send('POST', `${v2}/${of}/groups/${groupId}/replications/${node}/slave-priority`, { slave_priority_weight: weight })
  const [, second, third] = group.replication_list.map((one: any) => one.node_id)
  assert.equal((await prefer(second, 0)).status, 204)
  assert.equal((await send('GET', `${v2}/${id}/logical-nodes`)).json.nodes[1].priority_weight, 0)
  for (const weight of [-1, 101, 1.5, '1', null, undefined]) refusedAs(await prefer(second, weight), 400, 'DCS.4939')
  assert.equal((await prefer(third, 0)).json.error_code, 'DCS.4253')
  refusedAs(await prefer('0'.repeat(32), 1), 400, 'DCS.3053')
  refusedAs(await prefer(second, 1, randomUUID()), 400, 'DCS.4062')
  assert.equal((await prefer(second, 1, group.group_id, g.seed('redis'))).json.error_code, 'DCS.4027')
})

test('resize: what changes the number of nodes is done, everything else has its code', async () => {
  const resize = (id: string, body: object, query = '') => send('POST', `${v2}/${id}/resize${query}`, { new_capacity: 0.125, ...body })
  const more = { spec_code: spec(3), change_type: 'createReplication', available_zones: ['eu-de-01'] }
  const id = ha(2)
  assert.deepEqual([(await resize(id, more)).status, g.wishes.at(-1)], [204, { action: 'extend', id, shards: 1, replicas: 3, leaving: [] }])
  assert.equal((await resize(id, more)).json.error_code, 'DCS.4113')
  const three = ha(3)
  const list = (await send('GET', `/v2/${projectId}/instance/${three}/groups`)).json.group_list[0].replication_list.map((one: any) => one.node_id)
  const rows: [object, string][] = [
    [{ ...more, change_type: 'grow' }, 'DCS.4062'], [{ ...more, change_type: 'instanceType', spec_code: 'redis.proxy.xu1.large.4' }, 'DCS.4200'], [{ ...more, spec_code: undefined }, 'DCS.4927'], [{ ...more, spec_code: 'redis.ha.xu1.tiny.r6.128' }, 'DCS.4875'],
    [{ ...more, spec_code: 'x' }, 'DCS.4927'], [{ ...more, new_capacity: '0.125' }, 'DCS.4012'], [{ ...more, new_capacity: 1 }, 'DCS.4012'], [{ ...more, execute_immediately: false }, 'DCS.4062'], [{ ...more, available_zones: [] }, 'DCS.4933'], [{ ...more, available_zones: undefined }, 'DCS.4933'],
    [{ ...more, reserved_ip: ['1.1.1.1'] }, 'DCS.4062'], [more, 'DCS.4103'], [{ ...more, spec_code: spec(2) }, 'DCS.4927'], [{ spec_code: spec(4) }, 'DCS.4062'], [{ ...more, spec_code: 'redis.ha.xu1.tiny.r3.256', new_capacity: 0.25 }, 'DCS.4102'],
    [{ ...more, spec_code: 'redis.ha.xu1.tiny.r4.256', new_capacity: 0.25 }, 'DCS.4102'], [{ spec_code: 'redis.single.xu1.tiny.128', change_type: 'deleteReplication', node_list: [list[1]] }, 'DCS.4200'],
    [{ spec_code: spec(2), change_type: 'deleteReplication' }, 'DCS.4930'], [{ spec_code: spec(2), change_type: 'deleteReplication', node_list: list.slice(1) }, 'DCS.4930'], [{ spec_code: spec(2), change_type: 'deleteReplication', node_list: ['0'.repeat(32)] }, 'DCS.4930'],
    [{ spec_code: spec(2), change_type: 'deleteReplication', node_list: [list[0]] }, 'DCS.4936'], [{ spec_code: spec(4), change_type: 'deleteReplication', node_list: [list[1]] }, 'DCS.4927'], [{ ...more, spec_code: 'redis.cluster.xu1.large.r3.4', new_capacity: 4 }, 'DCS.4200'],
  ]
  const before = g.wishes.length
  for (const [body, code] of rows) assert.equal((await resize(three, body)).json.error_code, code, JSON.stringify(body))
  const less = { spec_code: spec(2), change_type: 'deleteReplication', node_list: [list[1]] }
  assert.equal((await resize(three, less, '?dry_run=true')).json.plan.nodes[0].node, `${three}-1`)
  assert.equal(g.wishes.length, before)
  assert.equal((await resize(three, less)).status, 204)
  assert.deepEqual((g.wishes.at(-1) as any).leaving, [`${three}-1`])
  for (const [state, code] of [[{ open: 'restart' }, 'DCS.4111'], [{ status: 'error' }, 'DCS.4049'], [{ open: 'recover', status: 'error' }, 'DCS.4104'], [{ open: 'flush' }, 'DCS.4026']] as const) assert.equal((await resize(ha(2, state), more)).json.error_code, code)
  refusedAs(await resize(randomUUID(), more), 404, 'DCS.3022')
  const extend = async (body: object) => { const r = await send('POST', `/v1.0/${projectId}/instances/${ha(2)}/extend`, body); return [r.status, r.json.error.code] }
  assert.deepEqual([await extend({ new_capacity: 'x' }), await extend({ new_capacity: 0.125 }), await extend({ new_capacity: 1.5 })], [[400, '111400012'], [400, '111400103'], [400, '111400012']])
  assert.equal((await send('POST', `/v1.0/${projectId}/instances/${ha(2)}/extend`, { new_capacity: 1 })).status, 204)
})

test('a dry run has the same checks, and a plan in place of the task', async () => {
  const [id, busy, failed] = [ha(2), ha(2, { open: 'restart' }), g.seed('redis', { status: 'createfailed' })]
  const before = g.wishes.length
  const r = await send('PUT', `${v2}/status?dry_run=true`, { action: 'restart', instances: [id, busy, failed] })
  assert.deepEqual(r.json.results.map((one: any) => [one.result, one.error_code, 'plan' in one, 'task_id' in one]), [['success', undefined, true, false], ['failed', 'DCS.4111', false, false], ['failed', 'DCS.4026', false, false]])
  refusedAs(await send('PUT', `${v2}/status?dry_run=true`, { action: 'restart', instances: [busy] }), 400, 'DCS.4111')
  assert.ok((await send('DELETE', `${v2}?all_failure=true&dry_run=true`)).json.results.some((one: any) => one.instance === failed && one.plan))
  const one = await send('DELETE', `${v2}/${id}?dry_run=true`)
  assert.deepEqual([one.status, one.json.plan.gap.to_ms], [200, null])
  refusedAs(await send('DELETE', `${v2}/${id}?dry_run=1`), 400, 'DCS.4062')
  assert.equal(g.wishes.length, before)
  assert.equal((await send('GET', `${v2}/${id}`)).json.status, 'RUNNING')
})
