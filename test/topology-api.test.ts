/** Instances of several nodes through the documented requests, on real servers: switchover, groups, resize, dry runs, cancelling. */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { client, isAlive, makeServer, until, type Server } from './support/server.ts'

const code = (replicas: number): string => `redis.ha.xu1.tiny.r${replicas}.128`
interface Shown { readonly node_id: string; readonly node_type: 'master' | 'slave'; readonly status: string; readonly node_ip: string; readonly node_port: string; readonly group_id: string; readonly priority_weight: number }

const nodesOf = async (server: Server, id: string): Promise<Shown[]> => (await server.dcs('GET', `/instances/${id}/logical-nodes`)).json.nodes
const masterOf = async (server: Server, id: string): Promise<string> => (await nodesOf(server, id)).find((node) => node.node_type === 'master')!.node_id
const operationsOf = async (server: Server, id: string): Promise<any[]> => (await server.call('console', 'GET', `/v1/operations?instance=${id}`)).json.operations
const auditOf = async (server: Server): Promise<number> => (await server.call('console', 'GET', '/v1/operations?limit=1000')).json.operations.length
const processes = async (server: Server, id: string): Promise<any[]> => (await server.call('console', 'GET', '/v1/nodes')).json.nodes.filter((node: any) => node.instance_id === id)
const settled = (server: Server, id: string): Promise<any> => until('the operation to end', async () => { const [last] = await operationsOf(server, id); return last.outcome !== null && last }, 60_000)
const create = async (server: Server, name: string, replicas: number): Promise<any> => server.running('dcs', await server.createRedis(name, { spec_code: code(replicas) }))
const resizeTo = (server: Server, id: string, body: object, query = '') => server.dcs('POST', `/instances/${id}/resize${query}`, { new_capacity: 0.125, ...body })

for (const mode of [{ name: 'own addresses', env: {} }, { name: 'one host', env: { SLUICE_NODE_HOST: '127.0.0.1', SLUICE_NODE_PORTS: portRange() } }]) {
  test(`a switchover moves the master, the address and nothing else, with ${mode.name}`, async () => {
    const server = await makeServer(mode.env)
    try {
      await server.start()
      const made = await create(server, 'swap-me', 3)
      const id = made.instance_id
      const redis = client(made)
      await redis.set('kept', 'yes')
      const [first, pids] = [await masterOf(server, id), (await processes(server, id)).map((node) => node.pid)]
      assert.equal((await server.dcs('POST', `/instances/${id}/swap`)).status, 204)
      assert.equal((await settled(server, id)).outcome, 'done')
      const second = await masterOf(server, id)
      assert.notEqual(second, first)
      const job = await server.dcs('PUT', `/instances/${id}/async-swap`)
      assert.equal(job.status, 200)
      const ended: any = await until('the job to end', async () => { const { json } = await server.dcs('GET', `/jobs/${job.json.job_id}`); return json.end_time && json })
      assert.deepEqual([ended.status, ended.job_type, ended.fail_reason], ['SUCCESS', 'masterStandbySwapJob', null])
      assert.notEqual(await masterOf(server, id), second)
      const after = await server.running('dcs', id)
      assert.deepEqual([after.ip, after.port, after.readonly_address], [made.ip, made.port, made.readonly_address])
      assert.equal(await redis.get('kept'), 'yes')
      assert.equal(await redis.set('more', '1'), 'OK')
      assert.deepEqual((await processes(server, id)).map((node) => node.pid), pids)
      // The node that is shown as master is the one that clients of the instance reach, and takes writes where it says.
      const [master, ...others] = (await nodesOf(server, id)).toSorted((a) => a.node_type === 'master' ? -1 : 1)
      const direct = client({ ip: master!.node_ip, port: Number(master!.node_port) })
      assert.equal(await direct.set('direct', '1'), 'OK')
      assert.equal(others.length, 2)
      const [ip, port] = made.readonly_address.split(':')
      const reader = client({ ip, port: Number(port) })
      assert.equal(await until('the replica', () => reader.get('direct')), '1')
      await assert.rejects(reader.set('x', '1'), /READONLY/)
      for (const one of [redis, direct, reader]) one.disconnect()
    } finally { await server.destroy() }
  })
}

describe('an instance of several nodes', { concurrency: false }, () => {
  let server: Server
  before(async () => { server = await makeServer(); await server.start() })
  after(async () => { await server.destroy() })

  test('groups, logical nodes and topology show who is who; a priority decides who is next', async () => {
    const { instance_id: id } = await create(server, 'who-is-who', 3)
    const { json: groups } = await server.dcs('GET', `/instance/${id}/groups`)
    assert.equal(groups.group_count, 1)
    assert.deepEqual(groups.group_list[0].replication_list.map((one: any) => [one.replication_role, one.status]), [['master', 'Active'], ['slave', 'Active'], ['slave', 'Active']])
    const nodes = await nodesOf(server, id)
    assert.deepEqual(nodes.map((node) => node.node_id), groups.group_list[0].replication_list.map((one: any) => one.node_id))
    assert.deepEqual(nodes.map((node) => node.group_id), Array(3).fill(groups.group_list[0].group_id))
    assert.equal((await server.dcs('GET', `/instances/${id}/nodes`)).json.redis_server.filter((node: any) => node.relation_ip === nodes[0]!.node_ip).length, 2)
    assert.ok((await server.dcs('GET', '/instances-logical-nodes')).json.instances.some((one: any) => one.instance_id === id && one.node_count === 3))
    const prefer = (node: number, slave_priority_weight: unknown) => server.dcs('POST', `/instances/${id}/groups/${nodes[node]!.group_id}/replications/${nodes[node]!.node_id}/slave-priority`, { slave_priority_weight })
    assert.equal((await prefer(2, 1)).status, 204)
    assert.deepEqual((await nodesOf(server, id)).map((node) => node.priority_weight), [100, 100, 1])
    await server.dcs('POST', `/instances/${id}/swap`)
    await settled(server, id)
    assert.equal(await masterOf(server, id), nodes[2]!.node_id)
    assert.equal((await prefer(1, 0)).status, 204)
    assert.equal((await prefer(0, 0)).json.error_code, 'DCS.4253')
    assert.equal((await resizeTo(server, id, { spec_code: code(2), change_type: 'deleteReplication', node_list: [nodes[0]!.node_id] })).json.error_code, 'DCS.4253')
    // Who is killed may not come back as master, and who has priority 0 never becomes one.
    process.kill((await processes(server, id))[2].pid, 'SIGKILL')
    await until('the failover', async () => await masterOf(server, id) === nodes[0]!.node_id)
    await server.running('dcs', id)
  })

  test('replicas come and go online, the master among them; the data stays', async () => {
    const made = await create(server, 'grow-shrink', 2)
    const id = made.instance_id
    const redis = client(made)
    for (let n = 0; n < 500; n += 1) await redis.set(`key:${n}`, n)
    let written = 500
    let going = true
    const writing = (async () => { while (going) { await redis.set(`key:${written}`, written); written += 1 } })()
    const grow = await resizeTo(server, id, { spec_code: code(3), change_type: 'createReplication', available_zones: ['eu-de-01'] })
    assert.equal(grow.status, 204, grow.text)
    assert.equal(await server.status('dcs', id), 'EXTENDING')
    assert.equal((await resizeTo(server, id, { spec_code: code(4), change_type: 'createReplication', available_zones: ['eu-de-01'] })).json.error_code, 'DCS.4113')
    assert.equal((await settled(server, id)).outcome, 'done')
    assert.equal((await server.running('dcs', id)).spec_code, code(3))
    const nodes = await nodesOf(server, id)
    assert.deepEqual(nodes.map((node) => [node.node_type, node.status]), [['master', 'Active'], ['slave', 'Active'], ['slave', 'Active']])
    const added = client({ ip: nodes[2]!.node_ip, port: Number(nodes[2]!.node_port) })
    assert.equal(await added.get('key:499'), '499')
    added.disconnect()
    const shrink = { spec_code: code(2), change_type: 'deleteReplication', node_list: [nodes[0]!.node_id] }
    assert.equal((await resizeTo(server, id, shrink)).json.error_code, 'DCS.4936')
    const old = (await processes(server, id))[0].pid
    assert.equal((await resizeTo(server, id, shrink, '?hand_over=true')).status, 204)
    assert.equal((await settled(server, id)).outcome, 'done')
    going = false
    await writing
    const left = await nodesOf(server, id)
    assert.deepEqual(left.map((node) => node.node_id), [nodes[1]!.node_id, nodes[2]!.node_id])
    assert.ok(!isAlive(old))
    const now = await server.running('dcs', id)
    assert.deepEqual([now.ip, now.port, now.readonly_address, now.replica_count, now.spec_code], [made.ip, made.port, made.readonly_address, 2, code(2)])
    assert.equal(await redis.dbsize(), written)
    const values = await redis.mget(Array.from({ length: written }, (_, n) => `key:${n}`))
    assert.deepEqual(values.filter((value, n) => value !== String(n)), [])
    // The last replica stays.
    assert.equal((await resizeTo(server, id, { spec_code: 'redis.single.xu1.tiny.128', change_type: 'deleteReplication', node_list: [left[1]!.node_id] })).json.error_code, 'DCS.4200')
    // A number that is free again is taken again, by a node that knows nothing of its predecessor.
    await resizeTo(server, id, { spec_code: code(2 + 1), change_type: 'createReplication', available_zones: ['eu-de-01'] })
    assert.equal((await settled(server, id)).outcome, 'done')
    assert.equal((await resizeTo(server, id, { spec_code: code(2), change_type: 'deleteReplication', node_list: [(await nodesOf(server, id))[2]!.node_id] })).status, 204)
    assert.equal((await settled(server, id)).outcome, 'done')
    await resizeTo(server, id, { spec_code: code(3), change_type: 'createReplication', available_zones: ['eu-de-01'] })
    assert.equal((await settled(server, id)).outcome, 'done')
    assert.equal(await redis.dbsize(), written)
    assert.equal((await nodesOf(server, id)).filter((node) => node.status === 'Active').length, 3)
    redis.disconnect()
  })

  test('a replica that became master while it was to go hands its role on', async () => {
    const made = await create(server, 'goes-as-master', 3)
    const id = made.instance_id
    const redis = client(made)
    await redis.set('kept', 'yes')
    await redis.wait(2, 5000)
    const nodes = await nodesOf(server, id)
    await server.dcs('POST', `/instances/${id}/groups/${nodes[2]!.group_id}/replications/${nodes[2]!.node_id}/slave-priority`, { slave_priority_weight: 1 })
    const { pid } = (await processes(server, id))[0]
    // Accepted first: a recovery of the dead master would refuse it.
    const shrinking = await resizeTo(server, id, { spec_code: code(2), change_type: 'deleteReplication', node_list: [nodes[2]!.node_id] })
    process.kill(pid, 'SIGKILL')
    assert.equal(shrinking.status, 204, shrinking.text)
    assert.equal((await settled(server, id)).outcome, 'done')
    assert.deepEqual((await nodesOf(server, id)).map((node) => node.node_id), [nodes[0]!.node_id, nodes[1]!.node_id])
    await server.running('dcs', id)
    assert.equal(await redis.get('kept'), 'yes')
    redis.disconnect()
  })

  test('RUNNING means that the replica has what its master sent, although nobody wrote', async () => {
    const made = await create(server, 'heard', 2)
    const [host, port] = made.readonly_address.split(':')
    const replica = client({ ip: host, port: Number(port) })
    // The question for its offset, which its master keeps back until it really feeds it.
    assert.ok(Number(/slave_repl_offset:(\d+)/.exec(await replica.info('replication'))?.[1]) > 0, 'the replica has heard nothing yet')
    replica.disconnect()
  })

  test('a dry run makes the same checks, tells a plan, and touches nothing', async () => {
    const made = await create(server, 'only-asked', 2)
    const id = made.instance_id
    const redis = client(made)
    await redis.set('kept', 'yes')
    const single = await server.createRedis('only-asked-single')
    await server.running('dcs', single)
    const before = [await auditOf(server), (await processes(server, id)).map((node) => [node.pid, node.generation])]
    const plans: Record<string, any> = {}
    for (const action of ['restart', 'soft_restart', 'flush']) {
      const { json } = await server.dcs('PUT', '/instances/status?dry_run=true', { action, instances: [id, crypto.randomUUID()] })
      assert.deepEqual(json.results.map((one: any) => [one.result, one.error_code ?? null, one.task_id ?? null]), [['success', null, null], ['failed', 'DCS.3022', null]])
      plans[action] = json.results[0].plan
    }
    plans['delete'] = (await server.dcs('DELETE', '/instances?dry_run=true', { instances: [id] })).json.results[0].plan
    assert.deepEqual((await server.dcs('DELETE', `/instances/${id}?dry_run=true`)).json.plan, plans['delete'])
    plans['swap'] = (await server.dcs('POST', `/instances/${id}/swap?dry_run=true`)).json.plan
    plans['extend'] = (await resizeTo(server, id, { spec_code: code(4), change_type: 'createReplication', available_zones: ['eu-de-01'] }, '?dry_run=true')).json.plan
    const order = (name: string): string[] => plans[name].nodes.map((node: any) => `${node.number} ${node.role}`)
    assert.deepEqual([order('restart'), order('soft_restart'), order('extend')], [['0 master', '1 replica'], ['1 replica', '0 master'], ['2 replica', '3 replica', '0 master', '1 replica']])
    assert.match(plans['soft_restart'].nodes[1].what, /^hands its role over to node 1, then/)
    assert.deepEqual([plans['soft_restart'].gap.to_ms, plans['delete'].gap.to_ms, plans['extend'].gap.to_ms], [300, null, 0])
    assert.match(plans['flush'].data_at_risk, /^Every key/)
    assert.match(plans['restart'].data_at_risk, /^Kept/)
    const v1 = await server.call('dcs', 'PUT', `/v1.0/${server.project}/instances/status?dry_run=true`, { action: 'restart', instances: [single] })
    assert.match(v1.json.results[0].plan.data_at_risk, /The cloud differs/)
    assert.equal((await server.dcs('POST', `/instances/${single}/swap?dry_run=true`)).json.error_code, 'DCS.4855')
    assert.deepEqual((await server.dcs('DELETE', '/instances?all_failure=true&dry_run=true')).json, { results: [] })
    for (const query of ['dry_run=yes', 'dry_run=TRUE', 'dry_run=true&dry_run=false']) assert.equal((await server.dcs('PUT', `/instances/status?${query}`, { action: 'flush', instances: [id] })).json.error_code, 'DCS.4062')
    assert.deepEqual([await auditOf(server), (await processes(server, id)).map((node) => [node.pid, node.generation])], before)
    assert.equal(await redis.get('kept'), 'yes')
    redis.disconnect()
  })

  test('a soft restart that is cancelled leaves a healthy instance that nobody restarts further', async () => {
    const made = await create(server, 'half-way', 5)
    const id = made.instance_id
    const redis = client(made)
    await redis.set('kept', 'yes')
    const cancel = (operation: string) => server.call('console', 'DELETE', `/v1/operations/${operation}`)
    const { json } = await server.dcs('PUT', '/instances/status', { action: 'soft_restart', instances: [id] })
    const task = json.results[0].task_id
    await until('the first node to be new', async () => (await processes(server, id)).some((node) => node.observed_generation === 2))
    assert.equal((await server.dcs('DELETE', `/instances/${id}/tasks/${task}`)).json.error_code, 'DCS.4957')
    assert.equal((await cancel(task)).status, 202)
    const ended = await settled(server, id)
    assert.deepEqual([ended.id, ended.outcome], [task, 'cancelled'])
    const left = await processes(server, id)
    const observed = left.map((node) => node.observed_generation)
    assert.ok(observed.includes(1) && observed.includes(2), observed.join(' '))
    const now = await server.running('dcs', id)
    assert.deepEqual([now.ip, now.port, now.cause], [made.ip, made.port, null])
    assert.equal(await redis.get('kept'), 'yes')
    assert.equal(await redis.set('more', '1'), 'OK')
    // The observer looks twice a second.
    await new Promise((done) => { setTimeout(done, 1500) })
    assert.deepEqual((await processes(server, id)).map((node) => node.pid), left.map((node) => node.pid))
    assert.equal((await operationsOf(server, id))[0].id, task)
    assert.deepEqual([(await cancel(task)).status, (await cancel('0'.repeat(32))).status], [409, 404])
    await server.dcs('PUT', '/instances/status', { action: 'soft_restart', instances: [id] })
    assert.equal((await settled(server, id)).outcome, 'done')
    assert.deepEqual((await processes(server, id)).map((node) => node.observed_generation), [3, 3, 3, 3, 3])
    await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })
    const [restart] = await operationsOf(server, id)
    assert.equal((await cancel(restart.id)).json.error_code, 'SLUICE.0410')
    assert.equal((await settled(server, id)).outcome, 'done')
    assert.equal((await server.dcs('DELETE', `/instances/${id}/tasks/${task}`)).status, 200)
    assert.equal((await server.dcs('DELETE', `/instances/${id}/tasks/${task}`)).status, 400)
    assert.ok(!(await operationsOf(server, id)).some((one) => one.id === task))
    redis.disconnect()
  })
})

/** Ports of this test alone, below those of outgoing connections. */
function portRange(): string {
  const first = 20_000 + 100 * randomInt(100)
  return `${first}-${first + 60}`
}
