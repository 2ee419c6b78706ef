/** What the crash sweep does to a Redis Cluster. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { isAlive, redisBody, until, type Server } from '../support/server.ts'
import { clusterClient, clusterNodes, clusterStarts, smallCluster, tell, type ClusterNode } from '../support/cluster.ts'
import type { Ground, Scenario } from './scenarios.ts'

interface ClusterGround extends Ground { nodes: readonly ClusterNode[]; allStarts: readonly number[] }

/** Some for every shard. */
const keys = Array.from({ length: 30 }, (_, n) => `kept:${n}`)

async function prepare(server: Server): Promise<ClusterGround> {
  const id = await server.createRedis('swept', smallCluster)
  const instance = await server.running('dcs', id)
  const cluster = clusterClient(instance)
  await Promise.all(keys.map((key) => cluster.set(key, 'yes')))
  cluster.disconnect()
  const nodes = await clusterNodes(server, id)
  return { id, instance, nodes, starts: 0, pid: nodes[0]!.pid, allStarts: clusterStarts(server.home, nodes) }
}

const change = (action: 'restart' | 'soft_restart' | 'flush'): Pick<Scenario, 'name' | 'service' | 'prepare' | 'act'> => ({
  name: `redis cluster ${action}`, service: 'dcs', prepare,
  act: (server, { id }) => server.dcs('PUT', '/instances/status', { action, instances: [id] }),
})

const restart = (action: 'restart' | 'soft_restart'): Scenario => ({
  ...change(action),
  async verify(server, ground, accepted) {
    const { nodes, allStarts } = ground as ClusterGround
    const instance = await server.running('dcs', ground.id)
    const more = clusterStarts(server.home, nodes).map((count, n) => count - allStarts[n]!)
    assert.ok(more.every((count) => count === more[0]), `nodes were started ${more.join()} times`)
    assert.ok(more[0] === 1 || !accepted && more[0] === 0, `accepted: ${accepted}, started ${more[0]} times`)
    const cluster = clusterClient(instance)
    assert.deepEqual(await Promise.all(keys.map((key) => cluster.get(key))), keys.map(() => 'yes'))
    cluster.disconnect()
  },
})

export const redisClusterScenarios: readonly Scenario[] = [
  {
    name: 'redis cluster create', service: 'dcs',
    async prepare() { return { id: '', starts: 0, pid: 0 } },
    act: (server) => server.dcs('POST', '/instances', redisBody('created', smallCluster)),
    async verify(server, ground, accepted) {
      const { json } = await server.dcs('GET', '/instances?name=created&include_failure=true')
      if (accepted) assert.equal(json.instance_num, 1)
      else assert.ok(json.instance_num <= 1)
      for (const { instance_id: id } of json.instances) {
        const instance = await server.running('dcs', id)
        assert.deepEqual(clusterStarts(server.home, await clusterNodes(server, id)), [1, 1, 1, 1, 1, 1], 'each node was started exactly once')
        const cluster = clusterClient(instance)
        await Promise.all(keys.map((key) => cluster.set(key, 'yes')))
        cluster.disconnect()
        ground.id = id
      }
    },
  },
  restart('restart'),
  restart('soft_restart'),
  {
    ...change('flush'),
    async between(_server, ground) {
      // When it was emptied already this must stay: a second flush would take it.
      const [master] = (ground as ClusterGround).nodes
      ground.note = await tell<number>(master!, 'DBSIZE') > 1 ? 'not flushed yet' : 'flushed before the kill'
      const cluster = clusterClient(ground.instance)
      await Promise.all(keys.map((key) => cluster.set(`after:${key}`, 'yes')))
      cluster.disconnect()
    },
    async verify(server, ground, accepted) {
      const { nodes, allStarts } = ground as ClusterGround
      const cluster = clusterClient(await server.running('dcs', ground.id))
      const before = await Promise.all(keys.map((key) => cluster.get(key)))
      const after = await Promise.all(keys.map((key) => cluster.get(`after:${key}`)))
      cluster.disconnect()
      assert.deepEqual(clusterStarts(server.home, nodes), allStarts, 'a flush restarts nothing')
      if (accepted) assert.deepEqual(before, keys.map(() => null), 'accepted, so the data must be gone')
      assert.equal(new Set(before).size, 1, 'every shard or none')
      const [size] = await Promise.all(nodes.map((node) => tell<number>(node, 'DBSIZE')))
      if (ground.note === 'flushed before the kill') assert.ok(size! > 0 && after.includes('yes'), 'flushed twice')
      for (const node of nodes) assert.deepEqual((await tell<string[]>(node, 'KEYS', 'sluice*')), [])
    },
  },
  {
    name: 'redis cluster delete', service: 'dcs', prepare,
    act: (server, { id }) => server.dcs('DELETE', `/instances/${id}`),
    async verify(server, ground, accepted) {
      const { nodes } = ground as ClusterGround
      if (!accepted && (await server.dcs('GET', `/instances/${ground.id}`)).status === 200) {
        await server.running('dcs', ground.id)
        assert.ok(nodes.every(({ pid }) => isAlive(pid)))
        return
      }
      await until('the data to be gone', () => nodes.every(({ id }) => !existsSync(`${server.home}/nodes/${id}`)), 10_000)
      assert.ok(nodes.every(({ pid }) => !isAlive(pid)), 'every process is gone')
    },
  },
]
