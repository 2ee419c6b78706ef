/** A cluster whose API server is away for half a minute, or has too much to do. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { client, makeServer, sleep, until, type Server } from '../support/server.ts'
import { inCluster, type TestCluster } from './cluster.ts'
import { wayToCluster, type Way } from './unreliable.ts'

const awayMs = 30_000

describe('an API server that is not always there', { concurrency: false }, () => {
  let cluster: TestCluster
  let way: Way
  let server: Server
  before(async () => {
    cluster = await inCluster()
    way = await wayToCluster()
    server = await makeServer({ ...cluster.env, KUBECONFIG: way.kubeconfig })
    await server.start()
  })
  after(async () => { await server.destroy(); way.close(); await cluster.destroy() })

  const change = async (id: string, action: string): Promise<void> => {
    const { json } = await server.dcs('PUT', '/instances/status', { action, instances: [id] })
    assert.equal(json.results[0].result, 'success', JSON.stringify(json))
  }
  const settled = async (id: string): Promise<any> => {
    await until('it to settle', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0, 180_000, 50)
    const instance = (await server.dcs('GET', `/instances/${id}`)).json
    assert.equal(instance.status, 'RUNNING', instance.cause)
    return instance
  }
  const generations = async (id: string): Promise<string> => cluster.kubectl('get', 'pods', '-l', `app.kubernetes.io/instance=${id}`, '-o', 'jsonpath={.items[*].metadata.labels.sluice/generation}')

  for (const [topology, spec_code, nodes] of [['single', 'redis.single.xu1.tiny.128', 1], ['ha', 'redis.ha.xu1.tiny.r2.128', 2]] as const) {
    test(`away for 30 s in the middle of a restart, and of nothing: ${topology}`, async () => {
      const id = await server.createRedis('cut-off', { spec_code })
      const instance = await settled(id)
      const redis = client(instance)
      await redis.set('kept', 'yes')
      for (const [n, action] of (['restart', 'soft_restart'] as const).entries()) {
        await change(id, action)
        await sleep(300)
        way.cut()
        await sleep(awayMs)
        assert.equal(await server.status('dcs', id), 'RESTARTING', 'it is waited for')
        way.mend()
        await settled(id)
        assert.equal(await generations(id), Array(nodes).fill(n + 2).join(' '))
        assert.equal(await redis.get('kept'), 'yes')
      }
      // Nothing is wrong with an instance that cannot be looked at.
      const before = (await server.call('console', 'GET', `/v1/operations?instance=${id}`)).json.operations.length
      way.cut()
      await sleep(5000)
      assert.equal(await redis.get('kept'), 'yes')
      assert.equal(await server.status('dcs', id), 'RUNNING')
      way.mend()
      await sleep(2000)
      assert.equal((await server.call('console', 'GET', `/v1/operations?instance=${id}`)).json.operations.length, before)
      redis.disconnect()
      await server.dcs('DELETE', `/instances/${id}`)
    })
  }

  test('one request in five refused: throttled, failed, in conflict', async (t) => {
    way.refuse(0.2)
    const id = await server.createRedis('refused', { spec_code: 'redis.ha.xu1.tiny.r2.128' })
    const redis = client(await settled(id))
    await redis.set('kept', 'yes')
    for (const action of ['restart', 'soft_restart']) {
      await change(id, action)
      await settled(id)
      assert.equal(await redis.get('kept'), 'yes')
    }
    redis.disconnect()
    await server.dcs('DELETE', `/instances/${id}`)
    await until('nothing to be left', async () => await cluster.kubectl('get', 'statefulset,pod,service,secret,configmap,pvc,pdb', '-l', `app.kubernetes.io/instance=${id}`, '-o', 'name') === '', 120_000, 200)
    way.refuse(0)
    t.diagnostic(`${way.refused()} requests were refused`)
  })
})
