/** Instances that are reached from outside the cluster, by ports of its machines or by load balancers: what is announced is where clients and nodes find each other. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { clusterClient, smallCluster } from '../support/cluster.ts'
import { withKafka } from '../support/kafka.ts'
import { client, makeServer, until, type Server } from '../support/server.ts'
import { startBalancer, type Balancer } from './balancer.ts'
import { inCluster, type TestCluster } from './cluster.ts'

const patienceMs = 240_000

for (const exposure of ['NodePort', 'LoadBalancer'] as const) describe(`instances that are reached by a ${exposure}`, { concurrency: false }, () => {
  let cluster: TestCluster
  let server: Server
  let balancer: Balancer | undefined
  before(async () => {
    cluster = await inCluster()
    if (exposure === 'LoadBalancer') balancer = startBalancer(cluster)
    server = await makeServer({ ...cluster.env, SLUICE_KUBERNETES_EXPOSURE: exposure })
    await server.start()
  })
  after(async () => { await server?.destroy(); await balancer?.end(); await cluster?.destroy() })

  const settled = async (id: string): Promise<void> => {
    await until('it to settle', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0 && await server.status('dcs', id) === 'RUNNING', patienceMs, 50)
  }
  const given = async (): Promise<readonly string[]> => balancer?.addresses ?? (await cluster.kubectl('get', 'nodes', '-o', 'jsonpath={.items[*].status.addresses[*].address}')).split(' ')

  test('a master and a replica: a switchover moves the role and neither address', async () => {
    const id = await server.createRedis('outside', { spec_code: 'redis.ha.xu1.tiny.r2.128' })
    const instance = await server.running('dcs', id, patienceMs)
    assert.ok((await given()).includes(instance.ip))
    assert.ok(balancer ? instance.port === 6379 : instance.port >= 30_000)
    const redis = client(instance)
    await redis.set('kept', 'yes')
    await server.dcs('POST', `/instances/${id}/swap`)
    await settled(id)
    assert.equal(await redis.get('kept'), 'yes')
    assert.equal(await redis.set('after', '1'), 'OK')
    const after = await server.running('dcs', id)
    assert.deepEqual([after.ip, after.port, after.readonly_address], [instance.ip, instance.port, instance.readonly_address])
    const reader = client({ ip: after.readonly_address.split(':')[0], port: Number(after.readonly_address.split(':')[1]) })
    assert.equal(await until('the replica', () => reader.get('after')), '1')
    for (const one of [redis, reader]) one.disconnect()
    await server.dcs('DELETE', `/instances/${id}`)
  })

  test('a Redis Cluster announces what its clients reach', async () => {
    const id = await server.createRedis('ring-outside', smallCluster)
    const instance = await server.running('dcs', id, patienceMs)
    const redis = clusterClient(instance)
    await Promise.all(Array.from({ length: 100 }, (_, n) => redis.set(`key:${n}`, n)))
    assert.equal(await redis.get('key:99'), '99')
    redis.disconnect()
    await server.dcs('DELETE', `/instances/${id}`)
  })

  test('a broker announces what its clients reach, before and after a restart', async () => {
    const id = await server.createKafka('broker-outside')
    const instance = await server.running('dms', id, patienceMs)
    await withKafka(instance, async (kafka) => { await kafka.create('kept'); await kafka.send('kept', 'one') })
    await server.dms('POST', '/instances/action', { action: 'restart', instances: [id] })
    await server.running('dms', id, patienceMs)
    await withKafka(instance, async (kafka) => { assert.deepEqual(await kafka.read('kept', 1), ['one']) })
    await server.dms('DELETE', `/instances/${id}`)
  })
})
