/** The engine contract on real Kafka brokers, and what only Kafka does. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { kafkaEngine } from '../src/engines/kafka/index.ts'
import { findKafka, kafkaVersion, locateKafka } from '../src/engines/kafka/program.ts'
import { inOrder } from '../src/engines/kafka/roll.ts'
import { readConfig } from '../src/config.ts'
import { engineContract, instanceFor } from './contracts/engine.ts'
import { testGround } from './support/ground.ts'
import { withKafka } from './support/kafka.ts'
import { makeServer, nodePid, sleep, until, type Server } from './support/server.ts'

const { programs } = readConfig(process.env)
const engine = kafkaEngine(() => kafkaVersion(programs))

engineContract('kafka engine', async () => {
  const ground = await testGround(locateKafka(programs))
  return {
    engine, runtime: ground.runtime, version: '2.7', flavor: 'c6.2u4g.single',
    place: () => ground.place(engine.ports({ topology: 'single' })),
    async impostor(node) {
      // Another instance's broker on the same address: everything is right but whose it is.
      const other = instanceFor(engine, '2.7', 'c6.2u4g.single')
      const theirs = { ...node, id: `${other.id}-0`, instanceId: other.id }
      await ground.runtime.apply(engine.layout(other, [theirs])[0]!, { force: false })
      await until('the other broker', async () => (await engine.probe(other, [theirs], await ground.runtime.inspect(other.id, [theirs.id]))).ok, 60_000, 50)
      return () => ground.runtime.remove(other.id, [theirs.id], { all: true })
    },
    destroy: () => ground.destroy(),
  }
})

describe('kafka through the API', { concurrency: false }, () => {
  let server: Server
  before(async () => { server = await makeServer(); await server.start() })
  after(async () => { await server.destroy() })

  test('restart stops and starts the broker: refused meanwhile, messages and offsets kept, new process, same address', async () => {
    const id = await server.createKafka('restarted')
    const instance = await server.running('dms', id, 120_000)
    await withKafka(instance, async (kafka) => { await kafka.create('kept'); for (let i = 0; i < 20; i += 1) await kafka.send('kept', `m${i}`) })
    const pid = nodePid(server.home, id)
    const r = await server.dms('POST', '/instances/action', { action: 'restart', instances: [id] })
    assert.equal(r.json.results[0].result, 'success')
    assert.equal(await server.status('dms', id), 'RESTARTING')
    const { connect } = await import('node:net')
    await until('connections to be refused', () => new Promise<boolean>((done) => { const s = connect(instance.port, instance.connect_address); s.on('connect', () => { s.destroy(); done(false) }); s.on('error', () => done(true)) }), 20_000, 5)
    const again = await server.running('dms', id, 120_000)
    assert.notEqual(nodePid(server.home, id), pid)
    assert.equal(again.connect_address, instance.connect_address)
    await withKafka(instance, async (kafka) => { assert.deepEqual(await kafka.read('kept', 20), Array.from({ length: 20 }, (_, i) => `m${i}`)) })
    // What Terraform changes without a restart.
    const tags = (method: string, path: string, body?: unknown) => server.call('dms', method, `/v2/${server.project}/kafka/${id}/tags${path}`, body)
    assert.equal((await server.dms('PUT', `/instances/${id}`, { name: 'described', description: '', maintain_begin: '22:00', maintain_end: '02:00', retention_policy: 'time_base' })).status, 204)
    assert.equal((await tags('POST', '/action', { action: 'create', tags: [{ key: 'a', value: 'b' }] })).status, 204)
    const shown = (await server.dms('GET', `/instances/${id}`)).json
    assert.deepEqual([shown.name, shown.description, shown.maintain_begin, shown.retention_policy, shown.tags, shown.status], ['described', '', '22:00:00', 'time_base', [{ key: 'a', value: 'b' }], 'RUNNING'])
    assert.deepEqual(Object.keys(JSON.parse(shown.cross_vpc_info)), [instance.connect_address])
    assert.deepEqual((await tags('GET', '')).json, { tags: shown.tags })
  })

  test('a broker that is killed from outside comes back with what was acknowledged', async () => {
    const id = await server.createKafka('killed-broker')
    const instance = await server.running('dms', id, 120_000)
    await withKafka(instance, async (kafka) => { await kafka.create('kept'); await kafka.send('kept', 'yes') })
    const pid = nodePid(server.home, id)
    process.kill(pid, 'SIGKILL')
    await until('another process', () => nodePid(server.home, id) !== pid)
    await server.running('dms', id, 120_000)
    await withKafka(instance, async (kafka) => { assert.deepEqual(await kafka.read('kept', 1), ['yes']) })
  })

  test('a Java that cannot run: CREATEFAILED with the cause, all_failure deletes it and nothing else, and never restarts', async () => {
    const good = await server.createKafka('good-broker')
    await server.running('dms', good, 120_000)
    await server.end('SIGTERM')
    await server.start({ SLUICE_JAVA: '/bin/false' })
    const bad = await Promise.all(['bad-one', 'bad-two'].map((name) => server.createKafka(name)))
    await Promise.all(bad.map((id) => until('CREATEFAILED', async () => await server.status('dms', id) === 'CREATEFAILED', 120_000, 50)))
    const { json } = await server.call('console', 'GET', `/v1/operations?instance=${bad[0]}`)
    assert.match(json.operations[0].cause, /\/bin\/false/)
    for (const body of [{ action: 'restart', all_failure: 'kafka' }, { action: 'delete', all_failure: 'redis' }, { action: 'delete', all_failure: 'kafka', instances: [good] }]) {
      const r = await server.dms('POST', '/instances/action', body)
      assert.equal(r.status, 400, r.text)
    }
    const r = await server.dms('POST', '/instances/action', { action: 'delete', all_failure: 'kafka' })
    assert.deepEqual(r.json.results.map((one: { instance: string }) => one.instance).toSorted(), bad.toSorted())
    await Promise.all(bad.map((id) => until('404', async () => (await server.dms('GET', `/instances/${id}`)).status === 404)))
    assert.equal(await server.status('dms', good), 'RUNNING')
    assert.deepEqual((await server.dms('POST', '/instances/action', { action: 'delete', all_failure: 'kafka' })).json.results, [])
    await server.end('SIGTERM')
    await server.start()
  })

  test('deleted while it is starting: refused, and after that nothing is left', async () => {
    const id = await server.createKafka('hasty')
    const early = await server.call('dms', 'DELETE', `/v2/${server.project}/instances/${id}`)
    assert.equal(early.status, 400, early.text)
    await server.running('dms', id, 120_000)
    assert.equal((await server.call('dms', 'DELETE', `/v2/${server.project}/instances/${id}`)).status, 204)
    assert.ok(['DELETING', undefined].includes(await server.status('dms', id)))
    await until('404', async () => (await server.dms('GET', `/instances/${id}`)).status === 404)
    await sleep(50)
  })
})

test('what is no Java, and a folder without jars, are named', async () => {
  await assert.rejects(findKafka({ ...programs, java: '/bin/false' }), /\/bin\/false cannot run Kafka/)
  await assert.rejects(findKafka({ ...programs, java: '/nowhere/java' }), /\/nowhere\/java does not exist/)
  await assert.rejects(findKafka({ ...programs, kafkaHome: '/nowhere' }), /\/nowhere\/libs holds no kafka/)
})

test('where no broker says who the active controller is, a plan keeps its order and says so', async () => {
  const nodes = [0, 1, 2].map((ordinal) => ({ node: { id: `i-${ordinal}`, instanceId: 'i', ordinal, host: 'h', address: '127.0.0.1', ports: { service: 9 } }, role: 'node', what: 'stopped' }))
  const plan = await inOrder({ nodes, gap: { fromMs: 0, toMs: 1, why: 'One at a time.' }, risk: 'None.' })
  assert.deepEqual([plan.nodes, plan.gap.why], [nodes, 'One at a time. The active controller comes last; no broker says now who that is.'])
})
