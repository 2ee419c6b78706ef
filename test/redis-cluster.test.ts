/** Redis Cluster on real Redis servers, through the external contract: what its clients see while it is changed, and while nodes and control planes die. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { redisClusterScenarios } from './crash/cluster.ts'
import { clusterClient, clusterNodes, clusterStarts, selfOf, smallCluster, tell, type ClusterNode } from './support/cluster.ts'
import { clusterSteps } from './support/steps.ts'
import { makeServer, root, sleep, until, type Server } from './support/server.ts'

const modes = [['an address of its own for each node', {}], ['one host with a range of ports', { SLUICE_NODE_HOST: '127.0.0.1', SLUICE_NODE_PORTS: '24000-24400' }]] as const

for (const [mode, env] of modes) {
  describe(`a cluster with ${mode}`, { concurrency: false }, () => {
    let server: Server
    let id: string
    let instance: any
    let nodes: ClusterNode[]
    const change = (action: string) => server.dcs('PUT', '/instances/status', { action, instances: [id] })
    const settled = () => until('it to be settled', async () => (await server.call('console', 'GET', `/v1/operations?instance=${id}&open=true`)).json.operations.length === 0 && await server.status('dcs', id) === 'RUNNING', 60_000, 25)
    /** One writer a tag; `{b}`, `{c}` and `{a}` are slots of three different shards, and `{d}` of one of them. */
    const tags = ['{b}', '{c}', '{a}', '{d}'] as const
    /** Answers how many writes were acknowledged, and asserts that they are there. */
    const writing = (tagged: readonly string[] = tags) => {
      let stop = false
      const writers = tagged.map(async (tag) => {
        const cluster = clusterClient(instance)
        let acknowledged = 0
        while (!stop) {
          await cluster.set(`${tag}${acknowledged}`, acknowledged)
          acknowledged += 1
          await sleep(1)
        }
        const found = await Promise.all(Array.from({ length: acknowledged }, (_, n) => cluster.get(`${tag}${n}`)))
        cluster.disconnect()
        assert.deepEqual(found.filter((value, n) => value !== String(n)), [], `writes to ${tag} were lost`)
        return acknowledged
      })
      return async () => { stop = true; return (await Promise.all(writers)).reduce((sum, n) => sum + n, 0) }
    }

    before(async () => {
      server = await makeServer(env)
      await server.start()
      id = await server.createRedis('ring', smallCluster)
      instance = await server.running('dcs', id)
      nodes = await clusterNodes(server, id)
    })
    after(async () => { await server.destroy() })

    test('is three masters with a replica each, all slots, different epochs, and customers cannot take it apart', async () => {
      assert.equal(instance.ip, nodes.map((node) => node.address).join())
      const selves = await Promise.all(nodes.map(selfOf))
      assert.deepEqual(selves.map(({ role, slots }) => [role, slots]), [['master', '0-5460'], ['slave', ''], ['master', '5461-10921'], ['slave', ''], ['master', '10922-16383'], ['slave', '']])
      assert.deepEqual(selves.filter((_, n) => n % 2).map(({ master }) => master), selves.filter((_, n) => n % 2 === 0).map((self) => self.id))
      assert.equal(new Set(selves.filter(({ role }) => role === 'master').map(({ epoch }) => epoch)).size, 3)
      const cluster = clusterClient(instance)
      for (let n = 0; n < 30; n += 1) await cluster.set(`first:${n}`, n)
      for (let n = 0; n < 30; n += 1) assert.equal(await cluster.get(`first:${n}`), String(n))
      cluster.disconnect()
      await assert.rejects(tell(nodes[0]!, 'CLUSTER', 'RESET'), /NOPERM/)
      await assert.rejects(tell(nodes[1]!, 'CLUSTER', 'FAILOVER', 'TAKEOVER'), /NOPERM/)
    })

    test('soft_restart under four writers: no acknowledged write is lost, the slots stay covered, each node is restarted once', async () => {
      const before = clusterStarts(server.home, nodes)
      const stop = writing()
      await sleep(200)
      let uncovered = 0
      assert.equal((await change('soft_restart')).status, 200)
      const looking = new AbortController()
      const looks = (async () => {
        while (!looking.signal.aborted) {
          // Any node that answers: at most one is down at a time.
          const about = await tell(nodes[0]!, 'CLUSTER', 'INFO').catch(() => tell(nodes[3]!, 'CLUSTER', 'INFO'))
          if (!about.includes('cluster_slots_ok:16384')) uncovered += 1
          await sleep(25)
        }
      })()
      await settled()
      looking.abort()
      await looks
      assert.ok(await stop() > 100)
      assert.equal(uncovered, 0)
      assert.deepEqual(clusterStarts(server.home, nodes).map((count, n) => count - before[n]!), nodes.map(() => 1))
      assert.equal((await server.call('console', 'GET', `/v1/operations?instance=${id}&limit=1`)).json.operations[0].outcome, 'done')
    })

    test('restart comes back with all data, the same node ids and the same slots', async () => {
      const before = await Promise.all(nodes.map(selfOf))
      assert.equal((await change('restart')).status, 200)
      await settled()
      assert.deepEqual(await Promise.all(nodes.map(selfOf)), before)
      const cluster = clusterClient(instance)
      for (let n = 0; n < 30; n += 1) assert.equal(await cluster.get(`first:${n}`), String(n))
      cluster.disconnect()
    })

    test('flush empties every master and every replica', async () => {
      assert.ok((await Promise.all(nodes.map((node) => tell<number>(node, 'DBSIZE')))).every((size) => size > 0))
      assert.equal((await change('flush')).status, 200)
      await settled()
      assert.deepEqual(await Promise.all(nodes.map((node) => tell<number>(node, 'DBSIZE'))), nodes.map(() => 0))
    })

    test('kill -9 of a master: its slots take writes again within 3 s, and it comes back as a replica', async (t) => {
      nodes = await clusterNodes(server, id)
      const selves = await Promise.all(nodes.map(selfOf))
      const slot = await tell<number>(nodes[0]!, 'CLUSTER', 'KEYSLOT', '{b}')
      const victim = nodes[selves.findIndex(({ slots }) => { const [first, last] = slots.split('-').map(Number); return slot >= first! && slot <= last! })]!
      const cluster = clusterClient(instance)
      await cluster.set('{b}before', 'yes')
      await sleep(100)
      process.kill(victim.pid, 'SIGKILL')
      const killed = performance.now()
      await cluster.set('{b}after', 'yes')
      const gap = performance.now() - killed
      t.diagnostic(`writes again after ${gap.toFixed(0)} ms`)
      assert.ok(gap < 3000, `${gap} ms`)
      await until('the recovery', async () => (await clusterNodes(server, id))[victim.ordinal]!.pid !== victim.pid)
      await settled()
      assert.equal((await selfOf(victim)).role, 'slave')
      assert.deepEqual([await cluster.get('{b}before'), await cluster.get('{b}after')], ['yes', 'yes'])
      cluster.disconnect()
    })
  })
}

test('replicas are added and taken away while it serves', async () => {
  const { engine, ground, instance, nodes, states, records, size, perform } = await clusterSteps()
  try {
    await size(3, 1)
    await perform('create')
    const cluster = clusterClient({ ip: nodes()[0]!.address, port: nodes()[0]!.port })
    await Promise.all(Array.from({ length: 30 }, (_, n) => cluster.set(`kept:${n}`, n)))
    cluster.disconnect()

    await size(3, 2)
    await perform('extend')
    const selves = await Promise.all(nodes().map(selfOf))
    assert.deepEqual(selves.slice(3).map(({ role, master }) => [role, master]), selves.slice(0, 3).map((self) => ['slave', self.id]))

    // The old masters go, so their slots are handed over first.
    await size(3, 1)
    await perform('shrink', { memo: { leaving: nodes().slice(0, 3).map((node) => node.id).join(',') } })
    assert.deepEqual((await Promise.all(nodes().map(selfOf))).map(({ role, slots }) => [role, slots]), [['master', '0-5460'], ['master', '5461-10921'], ['master', '10922-16383']])
    assert.deepEqual(await engine.probe(instance(), records(), await states()), { ok: true })
    // All nodes that the first client knew are gone.
    const later = clusterClient({ ip: nodes()[0]!.address, port: nodes()[0]!.port })
    for (let n = 0; n < 30; n += 1) assert.equal(await later.get(`kept:${n}`), String(n))
    later.disconnect()
  } finally { await ground.destroy() }
})

/** Points in the middle: of the formation, and of the first and a later handover. All of them run in the sweep. */
const samples: Readonly<Record<string, readonly number[]>> = { 'redis cluster create': [30], 'redis cluster soft_restart': [10, 39], 'redis cluster flush': [2] }

describe('the control plane is killed', { concurrency: false }, () => {
  for (const scenario of redisClusterScenarios.filter(({ name }) => samples[name])) {
    test(`in the middle of ${scenario.name}`, async (t) => {
      const server = await makeServer()
      const file = join(server.home, '..', 'crash')
      server.always({ CRASH_FILE: file }, ['--import', join(root, 'test/crash/hook.ts')])
      const idle = () => until('everything to be settled', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json?.operations?.length === 0, 60_000, 25)
      try {
        await server.start()
        for (const at of samples[scenario.name]!) {
          const ground = await scenario.prepare(server)
          await idle()
          writeFileSync(file, String(at))
          const answer = await scenario.act(server, ground).catch(() => null)
          await Promise.race([server.ended(), idle().then(() => Promise.reject(new Error(`it has fewer than ${at} checkpoints`)))])
          rmSync(file, { force: true })
          await scenario.between?.(server, ground)
          await server.start()
          await idle()
          await scenario.verify(server, ground, answer !== null && answer.status < 300, null)
          t.diagnostic(`killed at checkpoint ${at}`)
          await server.dcs('DELETE', `/instances/${ground.id}`)
        }
      } finally { await server.destroy() }
    })
  }
})

test('most masters and the control plane die, and it comes back when the masters that are left have given up: whole, with its data', async () => {
  const server = await makeServer()
  try {
    await server.start()
    const id = await server.createRedis('most-die', { spec_code: 'redis.cluster.xu1.large.r1.8', capacity: 8 })
    const cluster = clusterClient(await server.running('dcs', id))
    for (let n = 0; n < 30; n += 1) await cluster.set(`kept:${n}`, n)
    cluster.disconnect()
    const nodes = await clusterNodes(server, id)
    for (const node of nodes) await until('what was acknowledged to be written', async () => (await tell(node, 'INFO', 'persistence')).includes('aof_buffer_length:0\r'))
    await server.end('SIGKILL')
    for (const { pid } of nodes.slice(0, 2)) process.kill(pid, 'SIGKILL')
    await until('the one that is left to give up', async () => (await tell(nodes[2]!, 'CLUSTER', 'INFO')).includes('cluster_state:fail'))
    await server.start()
    const again = clusterClient(await until('it to be whole', async () => await server.status('dcs', id) === 'RUNNING' && (await server.call('console', 'GET', `/v1/operations?instance=${id}&open=true`)).json.operations.length === 0 && (await clusterNodes(server, id)).every(({ pid }, n) => n === 2 || pid !== nodes[n]!.pid) && server.running('dcs', id), 60_000, 50))
    for (let n = 0; n < 30; n += 1) assert.equal(await again.get(`kept:${n}`), String(n))
    again.disconnect()
  } finally { await server.destroy() }
})
