/** Kafka through the documented requests, its brokers pods of a real cluster. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { makeServer, until, type Server } from '../support/server.ts'
import { startProducers, withKafka } from '../support/kafka.ts'
import { inCluster, type TestCluster } from './cluster.ts'

/** One JVM of 300 MB on a busy machine needs a while, three need longer. */
const patienceMs = 240_000

describe('Kafka in a cluster', { concurrency: false }, () => {
  let cluster: TestCluster
  let server: Server
  before(async () => { cluster = await inCluster(); server = await makeServer(cluster.env); await server.start() })
  after(async () => { await server.destroy(); await cluster.destroy() })

  const act = async (id: string, action: string): Promise<void> => {
    const answer = await server.dms('POST', '/instances/action', { action, instances: [id] })
    assert.equal(answer.json.results?.[0]?.result, 'success', answer.text)
    await server.running('dms', id, patienceMs)
  }
  const pods = async (id: string): Promise<string[]> => JSON.parse(await cluster.kubectl('get', 'pods', '-l', `app.kubernetes.io/instance=${id}`, '-o', 'json')).items.map((pod: any) => `${pod.metadata.name} ${pod.metadata.labels['sluice/generation']} ${pod.metadata.uid}`).toSorted()
  const gone = (id: string): Promise<unknown> => until('nothing to be left', async () => await cluster.kubectl('get', 'statefulset,pod,service,secret,configmap,pvc,pdb', '-l', `app.kubernetes.io/instance=${id}`, '-o', 'name') === '', 120_000, 200)

  test('one broker is created, restarted with its messages, and deleted', async () => {
    const id = await server.createKafka('one-broker')
    const instance = await server.running('dms', id, patienceMs)
    await withKafka(instance, async (kafka) => { await kafka.create('kept'); await kafka.send('kept', 'before') })
    const before = await pods(id)
    await act(id, 'restart')
    assert.notDeepEqual(await pods(id), before)
    assert.equal((await server.running('dms', id)).connect_address, instance.connect_address)
    await withKafka(instance, async (kafka) => {
      await kafka.send('kept', 'after')
      assert.deepEqual(await kafka.read('kept', 2), ['before', 'after'])
    })
    // What a broker is told holds no secret, so it can be read by whoever may read ConfigMaps.
    assert.match(await cluster.kubectl('get', 'configmap', `kafka-${id}-0`, '-o', 'yaml'), /advertised.listeners/)
    await server.dms('DELETE', `/instances/${id}`)
    await gone(id)
  })

  test('three brokers roll while producers go on: nothing is lost, twice or out of order', async (t) => {
    const id = await server.createKafka('three-brokers', { product_id: 'c6.2u4g.cluster', broker_num: 3, storage_space: 600 })
    const instance = await server.running('dms', id, patienceMs)
    assert.equal(new Set(instance.connect_address.split(',')).size, 3)
    await withKafka(instance, (kafka) => kafka.create('rolled', { partitions: 3, replicas: 3 }))
    const producers = await startProducers(instance, 'rolled', 3)
    const before = await pods(id)
    await act(id, 'soft_restart')
    assert.equal((await pods(id)).filter((pod) => before.includes(pod)).length, 0)
    t.diagnostic(`${producers.sent()} messages, the slowest took ${Math.round(producers.slowest())} ms`)
    await producers.end()
    await server.dms('DELETE', `/instances/${id}`)
    await gone(id)
  })
})
