/** More shards for a real Redis Cluster, through the API, while clients write and the control plane is killed. */
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { clusterClient, clusterNodes, clusterStarts, selfOf, tell, type ClusterNode } from './support/cluster.ts'
import { countOf } from './crash/cluster-grow.ts'
import { Fatal, makeServer, sleep, until, type Server } from './support/server.ts'

const gib = 1024 ** 3
const addShards = { spec_code: 'redis.cluster.xu1.large.r1.48', new_capacity: 48, change_type: 'addSharding' }

describe('three shards become six', { concurrency: false }, () => {
  let server: Server
  let id: string
  let nodes: ClusterNode[]
  const operation = async () => (await server.call('console', 'GET', `/v1/operations?instance=${id}&limit=1`)).json.operations[0]
  const done = () => until('the resize', async () => { const last = await operation(); return last.action === 'extend' && last.outcome && last }, 120_000, 50)
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
    for (const kill of [1, 2]) {
      await until(`some slots to move before kill ${kill}`, async () => /^(\d+) of 2730 slots/.test((await operation()).progress ?? '') || (await operation()).outcome, 60_000, 5)
      assert.equal((await operation()).outcome ?? null, null, 'still under way')
      await sleep(300)
      await server.end('SIGKILL')
      t.diagnostic(`killed after ${(performance.now() - began).toFixed(0)} ms`)
      await server.start()
    }
    const last = await done()
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
