/** More and fewer shards for a real Redis Cluster, through the API, while clients write and the control plane is killed. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test, type TestContext } from 'node:test'
import { clusterClient, clusterNodes, clusterStarts, selfOf, tell, type ClusterNode } from './support/cluster.ts'
import { countOf } from './crash/cluster-resize.ts'
import { Fatal, makeServer, sleep, until, type Server } from './support/server.ts'

const gib = 1024 ** 3
const addShards = { spec_code: 'redis.cluster.xu1.large.r1.48', new_capacity: 48, change_type: 'addSharding' }

describe('three shards become six, and three again', { concurrency: false }, () => {
  let server: Server
  let id: string
  let nodes: ClusterNode[]
  const operation = async () => (await server.call('console', 'GET', `/v1/operations?instance=${id}&limit=1`)).json.operations[0]
  const done = (action: string) => until('the resize', async () => { const last = await operation(); return last.action === action && last.outcome && last }, 120_000, 50)
  /** The control plane is killed, and started again, when so much is said. */
  const killedAt = async (said: RegExp, t: TestContext) => {
    await until(`${said}`, async () => said.test((await operation()).progress ?? '') || (await operation()).outcome, 60_000, 5)
    assert.equal((await operation()).outcome ?? null, null, 'still under way')
    await sleep(300)
    await server.end('SIGKILL')
    t.diagnostic(`killed when ${said}`)
    await server.start()
  }
  /** Keys of all slots, and the longest time that one write took. */
  const writing = (instance: any) => {
    let stop = false
    const errors: string[] = []
    const writers = [0, 1, 2, 3].map(async (w) => {
      const cluster = clusterClient(instance)
      let [acknowledged, longest] = [0, 0]
      while (!stop) {
        const since = performance.now()
        try { await cluster.set(`w${w}:${acknowledged}`, acknowledged); acknowledged += 1 } catch (error) { errors.push((error as Error).message) }
        longest = Math.max(longest, performance.now() - since)
        await sleep(1)
      }
      const found = await Promise.all(Array.from({ length: acknowledged }, (_, n) => cluster.get(`w${w}:${n}`)))
      cluster.disconnect()
      return { acknowledged, longest, lost: found.filter((value, n) => value !== String(n)).length }
    })
    return async () => {
      stop = true
      const all = await Promise.all(writers)
      return { acknowledged: all.reduce((sum, one) => sum + one.acknowledged, 0), longest: Math.max(...all.map((one) => one.longest)), lost: all.reduce((sum, one) => sum + one.lost, 0), errors }
    }
  }

  before(async () => {
    server = await makeServer()
    await server.start()
    id = await server.createRedis('grows', { spec_code: 'redis.cluster.xu1.large.r1.32', capacity: 32 })
  })
  after(async () => { await server.destroy() })

  test('online, resumed after two kills of the control plane: nothing is lost, no client sees an error, the slots are even', async (t) => {
    const instance = await server.running('dcs', id)
    nodes = await clusterNodes(server, id)
    const cluster = clusterClient(instance)
    await Promise.all(Array.from({ length: 2000 }, (_, n) => cluster.set(`old:${n}`, n)))
    await cluster.set('short', 'lived', 'PX', 600_000)
    const before = clusterStarts(server.home, nodes)
    for (const node of nodes) {
      await tell(node, 'FUNCTION', 'LOAD', "#!lua name=sums\nredis.register_function('seven', function() return 7 end)")
      await tell(node, 'CONFIG', 'SET', 'slowlog-log-slower-than', 0, 'slowlog-max-len', 100_000)
    }
    const stop = writing(instance)
    assert.equal((await server.dcs('POST', `/instances/${id}/resize`, addShards)).status, 204)
    const began = performance.now()
    for (const _ of [1, 2]) await killedAt(/^\d+ of 2730 slots/, t)
    const last = await done('extend')
    t.diagnostic(`six shards after ${(performance.now() - began).toFixed(0)} ms`)
    assert.equal(last.outcome, 'done', last.cause)
    const { acknowledged, longest, lost, errors } = await stop()
    t.diagnostic(`${acknowledged} writes, the longest took ${longest.toFixed(0)} ms`)
    assert.deepEqual([lost, errors], [0, []])
    assert.ok(acknowledged > 500)

    nodes = await clusterNodes(server, id)
    const selves = await Promise.all(nodes.map(selfOf))
    assert.deepEqual(selves.map(({ slots }) => countOf(slots)).toSorted(), [2730, 2730, 2731, 2731, 2731, 2731])
    assert.ok(selves.every(({ slots }) => !slots.includes('[')), 'no slot is open')
    assert.match(await tell(nodes[0]!, 'CLUSTER', 'INFO'), /cluster_slots_ok:16384/)
    assert.deepEqual(clusterStarts(server.home, nodes.slice(0, 3)), before, 'who served goes on serving')
    for (let n = 0; n < 2000; n += 1) assert.equal(await cluster.get(`old:${n}`), String(n))
    assert.ok(await cluster.pttl('short') > 0)
    cluster.disconnect()
    for (const node of nodes) {
      assert.deepEqual(await tell<unknown>(node, 'CONFIG', 'GET', 'maxmemory'), ['maxmemory', String(8 * gib)])
      assert.equal(await tell<unknown>(node, 'FCALL', 'seven', 0), 7)
    }
  })

  test('it is healthy, and shown as what it is', async () => {
    await sleep(2500)
    const shown = await server.running('dcs', id)
    assert.deepEqual([shown.capacity, shown.spec_code, shown.sharding_count], [48, addShards.spec_code, 6])
    assert.equal((await operation()).action, 'extend', 'no recovery was needed')
  })

  test('the password of the control plane is in no log', async () => {
    const slow = (await Promise.all(nodes.slice(0, 3).map((node) => tell<[number, number, number, string[]][]>(node, 'SLOWLOG', 'GET', 100_000)))).flat().map(([, , , words]) => words)
    assert.ok(slow.some(([name]) => name!.toUpperCase() === 'DUMP'), 'it shows what moved')
    assert.ok(slow.every((words) => words[0]!.toUpperCase() !== 'MIGRATE'), 'which would carry the password')
    const logs = [server.log(), ...readdirSync(join(server.home, 'nodes')).map((node) => readFileSync(join(server.home, 'nodes', node, 'log'), 'utf8'))]
    assert.ok(logs.every((log) => !/AUTH2/i.test(log)))
  })

  test('fewer: those whose addresses the caller keeps have everything, and who served goes on serving', async (t) => {
    const less = { spec_code: 'redis.cluster.xu1.large.r1.32', new_capacity: 32 }
    const refused = async (body: object) => { const { status, json } = await server.dcs('POST', `/instances/${id}/resize`, { ...less, ...body }); return [status, json.error_code, json.error_msg] }
    assert.match((await refused({ reserved_ip: ['10.9.8.7'] })).join(), /^400,DCS\.4062,.*no node of the instance has the address 10\.9\.8\.7/)
    assert.match((await refused({ reserved_ip: nodes.slice(0, 4).map((node) => node.address) })).join(), /^400,DCS\.4062,.*these are nodes of 4 shards, and 3 stay/)
    assert.match((await refused({ change_type: 'addSharding' })).join(), /^400,DCS\.4102,/)

    const kept = [1, 4, 5].map((n) => nodes[n]!)
    const body = { ...less, reserved_ip: kept.map((node) => node.address) }
    const { json: { plan } } = await server.dcs('POST', `/instances/${id}/resize?dry_run=true`, body)
    assert.deepEqual(plan.nodes.map(({ what }: any) => /gives its slots/.test(what)), [true, true, true, false, false, false])
    const instance = await server.running('dcs', id)
    const cluster = clusterClient(instance)
    const before = clusterStarts(server.home, kept)
    const stop = writing({ ip: kept[0]!.address, port: kept[0]!.port })
    assert.equal((await server.dcs('POST', `/instances/${id}/resize`, body)).status, 204)
    const began = performance.now()
    for (const shard of [0, 3]) await killedAt(new RegExp(`slots of shard ${shard} are left`), t)
    const last = await done('shrink')
    t.diagnostic(`three shards after ${(performance.now() - began).toFixed(0)} ms`)
    assert.equal(last.outcome, 'done', last.cause)
    const { acknowledged, longest, lost, errors } = await stop()
    t.diagnostic(`${acknowledged} writes, the longest took ${longest.toFixed(0)} ms`)
    assert.deepEqual([lost, errors], [0, []])

    const left = await clusterNodes(server, id)
    assert.deepEqual(left, kept)
    const selves = await Promise.all(left.map(selfOf))
    assert.deepEqual(selves.map(({ slots }) => countOf(slots)).toSorted(), [5461, 5461, 5462])
    for (const node of left) {
      assert.deepEqual((await tell(node, 'CLUSTER', 'NODES')).trim().split('\n').length, 3, 'who left is forgotten')
      assert.deepEqual(await tell<string[]>(node, 'KEYS', 'sluice*'), [])
      assert.deepEqual(await tell<unknown>(node, 'CONFIG', 'GET', 'maxmemory'), ['maxmemory', String(Math.floor(32 * gib / 3))])
    }
    assert.deepEqual(clusterStarts(server.home, left), before)
    for (let n = 0; n < 2000; n += 1) assert.equal(await cluster.get(`old:${n}`), String(n))
    assert.ok(await cluster.pttl('short') > 0)
    cluster.disconnect()
    const shown = await server.running('dcs', id)
    assert.deepEqual([shown.capacity, shown.spec_code, shown.sharding_count], [32, less.spec_code, 3])
    for (const one of nodes) assert.equal(existsSync(join(server.home, 'nodes', one.id)), kept.includes(one))
  })

  test('and six once more: what was granted to the shards that went is nobody else\'s', async () => {
    assert.equal((await server.dcs('POST', `/instances/${id}/resize`, { ...addShards, change_type: undefined })).status, 204)
    await sleep(100)
    const last = await done('extend')
    assert.equal(last.outcome, 'done', last.cause)
    const { json } = await server.dcs('GET', `/instances/${id}/logical-nodes`)
    assert.deepEqual(json.nodes.map((node: any) => node.node_type), Array(6).fill('master'))
    assert.equal((await server.running('dcs', id)).sharding_count, 6)
  })

  test('fewer are refused while what two of them have would not fit into one; check-job says so too', async () => {
    const less = { spec_code: 'redis.cluster.xu1.large.r1.4', new_capacity: 4 }
    const cluster = clusterClient(await server.running('dcs', id))
    // In two shards, each less than 70 % of the third of 4 GiB.
    const large = ['{a}large', '{b}large']
    assert.equal(new Set(await Promise.all(large.map(async (key) => Math.floor(await cluster.cluster('KEYSLOT', key) / 2731)))).size, 2)
    for (const key of large) for (const part of [1, 2]) await cluster.setrange(`${key}${part}`, 300_000_000, 'x')
    const { status, json } = await server.dcs('POST', `/instances/${id}/resize`, less)
    assert.deepEqual([status, /\d+ bytes are used, and 1002159035 at most may be/.test(json.error_msg)], [400, true], json.error_msg)
    assert.equal((await server.dcs('POST', `/instances/${id}/resize/check-job`, less)).status, 200)
    const said = await until('the check', async () => { const now = await operation(); return now.action === 'check' && now.outcome && now })
    assert.match(`${said.outcome} ${said.cause}`, /^failed .*bytes are used/)
    for (const key of large) for (const part of [1, 2]) await cluster.del(`${key}${part}`)
    cluster.disconnect()
  })

  test('fewer again, then replicas: one that has the number of a node that went is what it was ordered as', async () => {
    const went = new Set((await clusterNodes(server, id)).map((node) => node.id))
    assert.equal((await server.dcs('POST', `/instances/${id}/resize`, { spec_code: 'redis.cluster.xu1.large.r1.32', new_capacity: 32 })).status, 204)
    assert.equal((await done('shrink')).outcome, 'done')
    for (const node of await clusterNodes(server, id)) went.delete(node.id)
    await server.running('dcs', id)
    assert.equal((await server.dcs('POST', `/instances/${id}/resize`, { spec_code: 'redis.cluster.xu1.large.r2.32', new_capacity: 32, change_type: 'createReplication', available_zones: ['eu-de-01'] })).status, 204)
    assert.equal((await done('extend')).outcome, 'done')
    const all = await clusterNodes(server, id)
    assert.ok(all.some((node) => went.has(node.id)), 'a number came again')
    assert.deepEqual((await Promise.all(all.map(selfOf))).map(({ role }) => role).toSorted(), ['master', 'master', 'master', 'slave', 'slave', 'slave'])
  })
})

test('with replicas: a master that gives slots and one that gets some die meanwhile, and the move goes on with their successors', async (t) => {
  const server = await makeServer()
  try {
    await server.start()
    const id = await server.createRedis('grows', { spec_code: 'redis.cluster.xu1.large.r2.32', capacity: 32 })
    const cluster = clusterClient(await server.running('dcs', id))
    await Promise.all(Array.from({ length: 5000 }, (_, n) => cluster.set(`old:${n}`, n)))
    const last = async () => (await server.call('console', 'GET', `/v1/operations?instance=${id}&limit=1`)).json.operations[0]
    const progress = (text: RegExp) => until(`${text}`, async () => { const now = await last(); if (now.outcome) throw new Fatal(`over: ${now.outcome} ${now.cause}`); if (!text.test(now.progress ?? '')) throw new Error(now.progress); return true }, 120_000, 5)
    assert.equal((await server.dcs('POST', `/instances/${id}/resize`, { ...addShards, spec_code: 'redis.cluster.xu1.large.r2.48' })).status, 204)
    for (const [shard, role] of [[3, 'gives'], [4, 'gets']] as const) {
      await progress(new RegExp(`^\\d+ of 2730 slots moved to shard ${shard}$`))
      const nodes = await clusterNodes(server, id)
      const selves = await Promise.all(nodes.map(selfOf))
      const victim = nodes.find(({ ordinal }, n) => selves[n]!.role === 'master' && (role === 'gives' ? ordinal < 6 : selves[n]!.slots !== '' && ordinal >= 8 && ordinal < 10))!
      process.kill(victim.pid, 'SIGKILL')
      t.diagnostic(`killed node ${victim.ordinal}, which ${role}`)
    }
    const end = await until('the resize', async () => { const now = await last(); return now.outcome && now }, 120_000, 50)
    assert.deepEqual([end.action, end.outcome], ['extend', 'done'], end.cause)
    const nodes = await clusterNodes(server, id)
    const selves = await Promise.all(nodes.map(selfOf))
    assert.deepEqual(selves.filter(({ role }) => role === 'master').map(({ slots }) => countOf(slots)).toSorted(), [2730, 2730, 2731, 2731, 2731, 2731])
    assert.equal(selves.filter(({ role }) => role === 'slave').length, 6)
    assert.deepEqual((await Promise.all(Array.from({ length: 5000 }, (_, n) => cluster.get(`old:${n}`)))).filter((value, n) => value !== String(n)), [])
    cluster.disconnect()
  } finally { await server.destroy() }
})
