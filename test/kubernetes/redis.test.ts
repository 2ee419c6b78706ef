/** One Redis through the documented requests, its node a pod of a real cluster. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { client, makeServer, until, type Server } from '../support/server.ts'
import { inCluster, type TestCluster } from './cluster.ts'

describe('a single Redis in a cluster', { concurrency: false }, () => {
  let cluster: TestCluster
  let server: Server
  let id: string
  const podOf = async (instance: string): Promise<{ uid: string; generation: number; ready: boolean }> => {
    const { items } = JSON.parse(await cluster.kubectl('get', 'pods', '-l', `app.kubernetes.io/instance=${instance}`, '-o', 'json'))
    assert.equal(items.length, 1, 'one pod')
    return { uid: items[0].metadata.uid, generation: Number(items[0].metadata.labels['sluice/generation']), ready: items[0].status.conditions.some((one: any) => one.type === 'Ready' && one.status === 'True') }
  }
  const restart = async (action: 'restart' | 'soft_restart', instance = id): Promise<void> => {
    const { json } = await server.dcs('PUT', '/instances/status', { action, instances: [instance] })
    assert.equal(json.results[0].result, 'success', JSON.stringify(json))
  }
  const leftOf = async (instance: string): Promise<string> =>
    cluster.kubectl('get', 'statefulset,pod,service,secret,configmap,pvc,pdb', '-l', `app.kubernetes.io/instance=${instance}`, '-o', 'name')

  before(async () => { cluster = await inCluster(); server = await makeServer(cluster.env); await server.start() })
  after(async () => { await server.destroy(); await cluster.destroy() })

  test('is created with an address of the cluster that answers, and shows none before it has it', async () => {
    id = await server.createRedis('in-a-pod')
    const first = (await server.dcs('GET', `/instances/${id}`)).json
    assert.equal(first.status, 'CREATING')
    assert.equal(first.ip, null)
    const instance = await server.running('dcs', id)
    const service = JSON.parse(await cluster.kubectl('get', 'service', `redis-${id}-0`, '-o', 'json'))
    assert.equal(instance.ip, service.spec.clusterIP)
    const redis = client(instance)
    assert.equal(await redis.set('kept', 'yes'), 'OK')
    redis.disconnect()
    await until('readiness', async () => (await podOf(id)).ready)
  })

  test('no secret stands in an argument, the environment or a ConfigMap', async () => {
    const described = await cluster.kubectl('get', 'statefulset,pod,configmap,service', '-l', `app.kubernetes.io/instance=${id}`, '-o', 'json')
    assert.ok(!described.includes('Abcd1234!') && !/#[0-9a-f]{64}/.test(described))
    assert.ok(!server.log().includes('Abcd1234!'))
  })

  for (const action of ['restart', 'soft_restart'] as const) {
    test(`${action} replaces the pod once and keeps address and data`, async () => {
      const [before, shown] = [await podOf(id), await server.running('dcs', id)]
      await restart(action)
      const after = await server.running('dcs', id)
      const pod = await podOf(id)
      assert.notEqual(pod.uid, before.uid)
      assert.equal(pod.generation, before.generation + 1)
      assert.deepEqual([after.ip, after.port], [shown.ip, shown.port])
      const redis = client(after)
      assert.equal(await redis.get('kept'), 'yes')
      redis.disconnect()
    })
  }

  test('flush empties it and restarts nothing', async () => {
    const before = await podOf(id)
    const { json } = await server.dcs('PUT', '/instances/status', { action: 'flush', instances: [id] })
    assert.equal(json.results[0].result, 'success')
    const redis = client(await server.running('dcs', id))
    assert.equal(await redis.dbsize(), 0)
    redis.disconnect()
    assert.equal((await podOf(id)).uid, before.uid)
  })

  test('a restart goes on where a control plane was killed, and happens once', async () => {
    for (const waitMs of [0, 40, 150, 400, 1000]) {
      const before = await podOf(id)
      await restart('restart')
      await new Promise((done) => setTimeout(done, waitMs))
      await server.end('SIGKILL')
      await server.start()
      await server.running('dcs', id)
      const after = await podOf(id)
      assert.equal(after.generation, before.generation + 1)
      assert.notEqual(after.uid, before.uid)
    }
  })

  test('a pod that somebody deletes comes back with its data, and while no control plane runs as well', async () => {
    const redis = client(await server.running('dcs', id))
    await redis.set('kept', 'yes')
    const before = await podOf(id)
    await cluster.kubectl('delete', 'pod', `redis-${id}-0-0`, '--now')
    await until('another pod', async () => (await podOf(id)).uid !== before.uid)
    await server.running('dcs', id)
    assert.equal(await redis.get('kept'), 'yes')
    await server.end('SIGKILL')
    await cluster.kubectl('delete', 'pod', `redis-${id}-0-0`, '--now')
    assert.equal(await until('Redis', () => redis.get('kept')), 'yes')
    await server.start()
    await server.running('dcs', id)
    redis.disconnect()
  })

  for (const kind of ['service', 'statefulset', 'secret', 'configmap'] as const) {
    test(`a ${kind} that somebody deletes comes back by a recovery, with address and data`, async () => {
      const shown = await server.running('dcs', id)
      const redis = client(shown)
      await redis.set('kept', kind)
      redis.disconnect()
      const operations = async (): Promise<any[]> => (await server.call('console', 'GET', `/v1/operations?instance=${id}`)).json.operations
      const before = (await operations()).length
      await cluster.kubectl('delete', kind, kind === 'configmap' ? `redis-${id}` : `redis-${id}-0`)
      await until('a recovery', async () => { const all = await operations(); return all.length > before && all[0].action === 'recover' && all[0].outcome === 'done' }, 60_000)
      const after = await server.running('dcs', id)
      assert.deepEqual([after.ip, after.port], [shown.ip, shown.port])
      const again = client(after)
      assert.equal(await again.get('kept'), kind)
      again.disconnect()
    })
  }

  test('a Service and a StatefulSet that somebody changed are put back without a restart', async () => {
    const before = await podOf(id)
    await cluster.kubectl('patch', 'service', `redis-${id}-0`, '--type=merge', '-p', '{"spec":{"selector":{"sluice/node":"another"}}}')
    await cluster.kubectl('patch', 'statefulset', `redis-${id}-0`, '--type=json', '-p', '[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"somebody/else:1"}]')
    await until('both to be as before', async () => {
      const [service, set] = [JSON.parse(await cluster.kubectl('get', 'service', `redis-${id}-0`, '-o', 'json')), JSON.parse(await cluster.kubectl('get', 'statefulset', `redis-${id}-0`, '-o', 'json'))]
      return service.spec.selector['sluice/node'] === `${id}-0` && set.spec.template.spec.containers[0].image === cluster.config.images.redis
    }, 60_000, 100)
    await server.running('dcs', id)
    assert.equal((await podOf(id)).uid, before.uid)
  })

  test('an image that is not there ends in CREATEFAILED with the words of Kubernetes, and nothing of it runs', async () => {
    await server.end('SIGTERM')
    await server.start({ SLUICE_REDIS_IMAGE: 'localhost:1/no/such:7' })
    const failing = await server.createRedis('no-image')
    const failed: any = await until('the failure', async () => { const { json } = await server.dcs('GET', `/instances/${failing}`); return json.status === 'CREATEFAILED' && json }, 120_000, 100)
    assert.match(failed.cause, /localhost:1\/no\/such|Image/)
    assert.equal((await cluster.kubectl('get', 'pods', '-l', `app.kubernetes.io/instance=${failing}`, '-o', 'name')).trim(), '')
    assert.equal((await server.dcs('DELETE', `/instances/${failing}`)).status, 204)
    await until('nothing to be left', async () => await leftOf(failing) === '', 60_000, 100)
    await server.end('SIGTERM')
    await server.start()
  })

  test('delete leaves nothing, volumes included', async () => {
    await server.running('dcs', id)
    assert.equal((await server.dcs('DELETE', `/instances/${id}`)).status, 204)
    assert.equal((await server.dcs('GET', `/instances/${id}`)).status, 404)
    await until('nothing to be left', async () => await leftOf(id) === '', 60_000, 100)
  })
})
