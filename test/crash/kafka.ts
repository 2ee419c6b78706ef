/** The crash sweep of Kafka: single brokers, and three of them. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { isAlive, kafkaBody, nodePid, starts, until, type Server } from '../support/server.ts'
import { withKafka } from '../support/kafka.ts'
import { once, type Ground, type Scenario } from './scenarios.ts'

const kafkaStarted = /Kafka Server started/g

const kafkaGround = async (server: Server): Promise<Ground> => {
  const id = await server.createKafka('swept')
  const instance = await server.running('dms', id, 120_000)
  await withKafka(instance, async (kafka) => {
    await kafka.create('kept')
    await kafka.send('kept', 'yes')
  })
  return { id, instance, starts: starts(server.home, id, kafkaStarted), pid: nodePid(server.home, id) }
}

const kafkaRestart = (action: 'restart' | 'soft_restart', path: 'v2' | 'v1.0' = 'v2'): Scenario => ({
  name: `kafka ${action}${path === 'v2' ? '' : ' v1.0'}`, service: 'dms', prepare: kafkaGround,
  act: (server, { id }) => server.call('dms', 'POST', `/${path}/${server.project}/instances/action`, { action, instances: [id] }),
  async verify(server, ground, accepted) {
    const instance = await server.running('dms', ground.id, 120_000)
    once(ground.starts, starts(server.home, ground.id, kafkaStarted), accepted)
    await withKafka(instance, async (kafka) => { assert.deepEqual(await kafka.read('kept', 1), ['yes']) })
  },
})

const kafkaDelete = (path: 'v2' | 'v1.0'): Scenario => ({
  name: `kafka delete${path === 'v2' ? '' : ' v1.0'}`, service: 'dms', prepare: kafkaGround,
  act: (server, { id }) => server.call('dms', 'POST', `/${path}/${server.project}/instances/action`, { action: 'delete', instances: [id] }),
  async verify(server, ground, accepted) {
    if (!accepted && (await server.dms('GET', `/instances/${ground.id}`)).json?.status === 'RUNNING') {
      assert.equal(nodePid(server.home, ground.id), ground.pid)
      return
    }
    await until('404', async () => (await server.dms('GET', `/instances/${ground.id}`)).status === 404, 30_000)
    assert.ok(!existsSync(`${server.home}/nodes/${ground.id}-0`))
    assert.ok(!isAlive(ground.pid), 'the process is gone')
  },
})

const kafkaAllFailed = (path: 'v2' | 'v1.0'): Scenario => ({
  name: path === 'v2' ? 'kafka all_failure' : 'kafka allFailure v1.0', service: 'dms',
  async prepare(server) {
    const good = await kafkaGround(server)
    await server.end('SIGTERM')
    // A java that cannot run: the creation fails for a real reason.
    await server.start({ SLUICE_JAVA: '/bin/false' })
    const id = await server.createKafka('broken')
    await until('CREATEFAILED', async () => await server.status('dms', id) === 'CREATEFAILED', 120_000)
    return { ...good, note: id }
  },
  act: (server) => server.call('dms', 'POST', `/${path}/${server.project}/instances/action`, { action: 'delete', [path === 'v2' ? 'all_failure' : 'allFailure']: 'kafka' }),
  async verify(server, ground, accepted) {
    if (accepted) await until('404', async () => (await server.dms('GET', `/instances/${ground.note}`)).status === 404, 30_000)
    assert.equal(nodePid(server.home, ground.id), ground.pid, 'the healthy instance was touched')
    assert.equal(await server.status('dms', ground.id), 'RUNNING')
  },
})

export const kafkaScenarios: readonly Scenario[] = [
  {
    name: 'kafka create', service: 'dms',
    async prepare() { return { id: '', starts: 0, pid: 0 } },
    act: (server) => server.call('dms', 'POST', `/v2/kafka/${server.project}/instances`, kafkaBody('created')),
    async verify(server, ground, accepted) {
      const { json } = await server.dms('GET', '/instances?name=created&engine=kafka&include_failure=true')
      if (accepted) assert.equal(json.instance_num, 1)
      else assert.ok(json.instance_num <= 1)
      for (const { instance_id: id } of json.instances) {
        await server.running('dms', id, 120_000)
        assert.equal(starts(server.home, id, kafkaStarted), 1, 'started exactly once')
        ground.id = id
      }
    },
  },
  kafkaRestart('restart'),
  kafkaRestart('soft_restart'),
  kafkaRestart('restart', 'v1.0'),
  kafkaDelete('v2'),
  kafkaDelete('v1.0'),
  kafkaAllFailed('v2'),
  kafkaAllFailed('v1.0'),
]

const brokers = [0, 1, 2] as const
const startsOfAll = (server: Server, id: string): number[] => brokers.map((n) => [...readFileSync(`${server.home}/nodes/${id}-${n}/log`, 'utf8').matchAll(kafkaStarted)].length)
const startsBefore = new WeakMap<Ground, readonly number[]>()

/** Every broker is restarted once, or at most once where nobody was told so; what was acknowledged is there, on all three. */
const kafkaClusterRestart = (action: 'restart' | 'soft_restart'): Scenario => ({
  name: `kafka cluster ${action}`, service: 'dms',
  // Three brokers one after another, on a machine that sweeps other things meanwhile.
  settlesWithinMs: 240_000,
  async prepare(server) {
    const id = await server.createKafka('swept-cluster', { product_id: 'c6.2u4g.cluster', broker_num: 3, storage_space: 300 })
    const instance = await server.running('dms', id, 120_000)
    await withKafka(instance, async (kafka) => {
      await kafka.create('kept', { replicas: 3 })
      await kafka.send('kept', 'yes')
    })
    const ground: Ground = { id, instance, starts: 0, pid: 0 }
    startsBefore.set(ground, startsOfAll(server, id))
    return ground
  },
  act: (server, { id }) => server.dms('POST', '/instances/action', { action, instances: [id] }),
  async verify(server, ground, accepted) {
    const instance = await server.running('dms', ground.id, 120_000)
    const now = startsOfAll(server, ground.id)
    for (const n of brokers) once(startsBefore.get(ground)![n]!, now[n]!, accepted)
    await withKafka(instance, async (kafka) => {
      assert.deepEqual(await kafka.read('kept', 1), ['yes'])
      await until('all replicas', async () => (await kafka.partitions('kept'))[0]!.isr.length === 3, 60_000, 50)
    })
  },
})

export const kafkaClusterScenarios: readonly Scenario[] = [kafkaClusterRestart('restart'), kafkaClusterRestart('soft_restart')]
