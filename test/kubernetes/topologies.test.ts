/** Replicated and clustered Redis in a real cluster, with clients that go on writing. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Redis } from 'ioredis'
import { clusterClient, smallCluster } from '../support/cluster.ts'
import { client, makeServer, password, sleep, until, type Server } from '../support/server.ts'
import { inCluster, type TestCluster } from './cluster.ts'

describe('Redis of several nodes in a cluster', { concurrency: false }, () => {
  let cluster: TestCluster
  let server: Server
  before(async () => { cluster = await inCluster(); server = await makeServer(cluster.env); await server.start() })
  after(async () => { await server.destroy(); await cluster.destroy() })

  const settled = async (id: string): Promise<void> => {
    await until('it to settle', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0 && await server.status('dcs', id) === 'RUNNING', 180_000, 50)
  }
  const masterOf = async (id: string): Promise<number> => (await server.dcs('GET', `/instances/${id}/logical-nodes`)).json.nodes.findIndex((node: any) => node.node_type === 'master')

  describe('one master and a replica', { concurrency: false }, () => {
    let id: string
    let instance: any
    /** A client that gives up nothing silently: what it was told is written must be there at the end. */
    const writer = () => {
      const redis = new Redis({ host: instance.ip, port: instance.port, password, protocol: 2, retryStrategy: () => 5, maxRetriesPerRequest: 0, enableOfflineQueue: false, connectTimeout: 1000 })
      redis.on('error', () => {})
      const acknowledged = new Set<number>()
      const refused = new Map<string, number>()
      let [over, gap, last] = [false, 0, performance.now()]
      const loop = (async () => {
        for (let n = 0; !over; n += 1) {
          try {
            await redis.set(`k:${n}`, n)
            acknowledged.add(n)
            gap = Math.max(gap, performance.now() - last)
            last = performance.now()
          } catch (error) {
            const word = (error as Error).message.split(' ')[0]!
            refused.set(word, (refused.get(word) ?? 0) + 1)
            await sleep(2)
          }
        }
        redis.disconnect()
      })()
      return {
        acknowledged, refused, gap: () => { const was = gap; gap = 0; return Math.round(was) },
        async end() {
          over = true
          await loop
          const reader = client(instance)
          const keys = [...acknowledged]
          for (let from = 0; from < keys.length; from += 1000) {
            const some = keys.slice(from, from + 1000)
            assert.deepEqual(await reader.mget(some.map((n) => `k:${n}`)), some.map(String))
          }
          await reader.flushall()
          reader.disconnect()
        },
      }
    }

    /** Whom its pods asked to be their master, as they log it. */
    const askedMasters = async (): Promise<string[]> => {
      const logs = await Promise.all([0, 1].map((n) => cluster.kubectl('logs', `redis-${id}-${n}-0`)))
      return [...logs.join('\n').matchAll(/Connecting to MASTER (\S+)/g)].map((match) => match[1]!)
    }
    /** A Service sends what it does not take to the network of the machines, where anybody may answer. */
    const asksNoStranger = async (): Promise<void> => {
      const { nodes } = (await server.call('console', 'GET', '/v1/nodes')).json
      const own = nodes.filter((node: any) => node.instance_id === id).map((node: any) => `${node.address}:${node.ports.service}`)
      const asked = await askedMasters()
      assert.ok(asked.some((one) => own.includes(one)))
      assert.deepEqual(asked.filter((one) => !own.includes(one) && one !== '127.0.0.1:1'), [])
    }

    test('has an address for writers that leads to the master and one for readers', async () => {
      id = await server.createRedis('replicated', { spec_code: 'redis.ha.xu1.tiny.r2.128' })
      assert.equal((await server.dcs('GET', `/instances/${id}`)).json.ip, null)
      instance = await server.running('dcs', id, 120_000)
      const redis = client(instance)
      assert.equal(await redis.set('first', '1'), 'OK')
      const reader = client({ ip: instance.readonly_address.split(':')[0], port: 6379 })
      assert.equal(await until('the replica', () => reader.get('first')), '1')
      await assert.rejects(reader.set('x', '1'), /READONLY/)
      for (const one of [redis, reader]) one.disconnect()
      await asksNoStranger()
      assert.match(await cluster.kubectl('get', 'pdb', `redis-${id}`, '-o', 'yaml'), /maxUnavailable: 1/)
    })

    test('a switchover and a soft restart lose nothing that was acknowledged, and the address stays', async (t) => {
      const writing = writer()
      const first = await masterOf(id)
      await until('writes', () => writing.acknowledged.size > 50)
      writing.gap()
      await server.dcs('POST', `/instances/${id}/swap`)
      await settled(id)
      assert.notEqual(await masterOf(id), first)
      await sleep(300)
      t.diagnostic(`switchover: ${writing.gap()} ms without a write`)
      await asksNoStranger()
      await server.dcs('PUT', '/instances/status', { action: 'soft_restart', instances: [id] })
      await settled(id)
      await sleep(300)
      t.diagnostic(`soft restart: ${writing.gap()} ms without a write, ${writing.acknowledged.size} writes, refused ${JSON.stringify(Object.fromEntries(writing.refused))}`)
      await writing.end()
      const after = await server.running('dcs', id)
      assert.deepEqual([after.ip, after.readonly_address], [instance.ip, instance.readonly_address])
    })

    test('a control plane that is killed during a soft restart leaves one master, and the next one goes on', async () => {
      for (const waitMs of [100, 700, 2500]) {
        const writing = writer()
        await until('writes', () => writing.acknowledged.size > 10)
        await server.dcs('PUT', '/instances/status', { action: 'soft_restart', instances: [id] })
        await sleep(waitMs)
        await server.end('SIGKILL')
        await server.start()
        await settled(id)
        await writing.end()
      }
    })

    test('when somebody deletes the master\'s pod, the replica takes over', async () => {
      const master = await masterOf(id)
      const redis = client(instance)
      await redis.set('kept', 'yes')
      await redis.wait(1, 5000)
      await cluster.kubectl('delete', 'pod', `redis-${id}-${master}-0`, '--now')
      await until('a write', () => redis.set('after', '1'), 60_000)
      assert.equal(await redis.get('kept'), 'yes')
      await settled(id)
      redis.disconnect()
    })

    test('replicas come and go', async () => {
      const resize = (code: string, body: object) => server.dcs('POST', `/instances/${id}/resize`, { spec_code: code, new_capacity: 0.125, ...body })
      assert.equal((await resize('redis.ha.xu1.tiny.r3.128', { change_type: 'createReplication', available_zones: ['eu-de-01'] })).status, 204)
      await settled(id)
      const { nodes } = (await server.dcs('GET', `/instances/${id}/logical-nodes`)).json
      assert.equal(nodes.length, 3)
      const going = nodes.find((node: any) => node.node_type !== 'master')
      assert.equal((await resize('redis.ha.xu1.tiny.r2.128', { change_type: 'deleteReplication', node_list: [going.node_id] })).status, 204)
      await settled(id)
      assert.equal((await cluster.kubectl('get', 'statefulset', '-l', `app.kubernetes.io/instance=${id}`, '-o', 'name')).trim().split('\n').length, 2)
      assert.equal((await cluster.kubectl('get', 'pvc', '-l', `app.kubernetes.io/instance=${id}`, '-o', 'name')).trim().split('\n').length, 2)
    })

    test('is deleted without a rest', async () => {
      await server.dcs('DELETE', `/instances/${id}`)
      await until('nothing to be left', async () => await cluster.kubectl('get', 'statefulset,pod,service,secret,configmap,pvc,pdb', '-l', `app.kubernetes.io/instance=${id}`, '-o', 'name') === '', 120_000, 200)
    })
  })

  test('a Redis Cluster of three shards serves through a soft restart', async (t) => {
    const id = await server.createRedis('sharded', smallCluster)
    const instance = await server.running('dcs', id, 200_000)
    assert.equal(new Set(instance.ip.split(',')).size, 6)
    const redis = clusterClient(instance)
    let over = false
    let acknowledged = 0
    const writing = (async () => { while (!over) { await redis.set(`key:${acknowledged}`, acknowledged); acknowledged += 1; await sleep(1) } })()
    await until('writes', () => acknowledged > 50)
    await server.dcs('PUT', '/instances/status', { action: 'soft_restart', instances: [id] })
    await settled(id)
    over = true
    await writing
    const found = await Promise.all(Array.from({ length: acknowledged }, (_, n) => redis.get(`key:${n}`)))
    assert.deepEqual(found.filter((value, n) => value !== String(n)), [])
    t.diagnostic(`${acknowledged} writes`)
    redis.disconnect()
    await server.dcs('DELETE', `/instances/${id}`)
  })

  test('shards come and go while it serves, and leave nothing', async () => {
    const id = await server.createRedis('resharded', { spec_code: 'redis.cluster.xu1.large.r1.32', capacity: 32 })
    const instance = await server.running('dcs', id, 200_000)
    const redis = clusterClient(instance)
    const keys = Array.from({ length: 300 }, (_, n) => `key:${n}`)
    await Promise.all(keys.map((key) => redis.set(key, key)))
    for (const [capacity, shards] of [[48, 6], [32, 3]]) {
      assert.equal((await server.dcs('POST', `/instances/${id}/resize`, { spec_code: `redis.cluster.xu1.large.r1.${capacity}`, new_capacity: capacity })).status, 204)
      await settled(id)
      assert.equal((await server.dcs('GET', `/instances/${id}`)).json.sharding_count, shards)
      assert.deepEqual(await Promise.all(keys.map((key) => redis.get(key))), keys)
      for (const kind of ['statefulset', 'pvc']) assert.equal((await cluster.kubectl('get', kind, '-l', `app.kubernetes.io/instance=${id}`, '-o', 'name')).trim().split('\n').length, shards)
    }
    redis.disconnect()
    await server.dcs('DELETE', `/instances/${id}`)
  })
})
