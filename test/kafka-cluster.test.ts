/** Three brokers and more, real ones: what a roll, a forced restart, a death, an extension and a deletion do to clients and data. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { describeQuorum } from '../src/engines/kafka/admin.ts'
import { inOrder } from '../src/engines/kafka/roll.ts'
import { startProducers, withKafka } from './support/kafka.ts'
import { pidIn } from './support/pid.ts'
import { isAlive, makeServer, processesUnder, sleep, until, type Server } from './support/server.ts'

const cluster = { product_id: 'c6.2u4g.cluster', broker_num: 3, storage_space: 600 }

describe('kafka with three brokers', { concurrency: false }, () => {
  let server: Server
  let id: string
  let instance: any
  before(async () => {
    server = await makeServer()
    await server.start()
    id = await server.createKafka('three-brokers', cluster)
    instance = await server.running('dms', id, 120_000)
  })
  after(async () => { await server.destroy() })

  const folders = (): string[] => readdirSync(join(server.home, 'nodes')).filter((name) => name.startsWith(id)).toSorted()
  const pids = (): number[] => folders().map((name) => pidIn(join(server.home, 'nodes', name, 'pid')))
  const addresses = (): string[] => String(instance.connect_address).split(',')
  /** When each broker was last told to stop and was last up again, by its own log. */
  const times = (marker: RegExp): number[] => folders().map((name) => Date.parse([...readFileSync(join(server.home, 'nodes', name, 'log'), 'utf8').matchAll(marker)].at(-1)![1]!.replace(' ', 'T').replace(',', '.')))
  const stops = (): number[] => times(/^(\S+ \S+) INFO Terminating process due to signal SIGTERM/gm)
  const starts = (): number[] => times(/^(\S+ \S+) INFO .*Kafka Server started/gm)
  const act = async (action: string): Promise<void> => {
    const answer = await server.dms('POST', '/instances/action', { action, instances: [id] })
    assert.equal(answer.json.results?.[0]?.result, 'success', answer.text)
    await server.running('dms', id, 200_000)
  }
  const megabytes = (): number[] => pids().map((pid) => Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024))

  test('created as ordered: three processes, their addresses, and topics with three replicas', async (t) => {
    assert.deepEqual([instance.type, instance.broker_num, instance.node_num, instance.partition_num, instance.total_storage_space, instance.specification], ['cluster', 3, 3, '750', 600, 'kafka.2u4g.cluster'])
    assert.deepEqual([addresses().length, new Set(pids()).size], [3, 3])
    await withKafka(instance, async (kafka) => {
      await kafka.create('kept', { partitions: 3, replicas: 3 })
      for (let n = 0; n < 20; n += 1) await kafka.send('kept', `m${n}`)
      assert.equal((await kafka.read('kept', 20)).length, 20)
      // What Kafka keeps for itself is as safe as the rest.
      for (const partition of await kafka.partitions('__consumer_offsets')) assert.equal(partition.replicas.length, 3)
    })
    t.diagnostic(`resident: ${megabytes().join(', ')} MB`)
  })

  test('soft_restart under acks=all producers: one broker at a time, the active controller last, nothing fails, is lost or out of order', async (t) => {
    await withKafka(instance, async (kafka) => {
      await kafka.create('under-load', { partitions: 3, replicas: 3 })
      // Nothing can keep this one up; it must not be waited for.
      await kafka.create('alone', { partitions: 1, replicas: 1 })
    })
    const producers = await startProducers(instance, 'under-load', 3)
    await until('messages', () => producers.sent() > 100)
    const controller = (await describeQuorum(addresses()[0]!, instance.port)).leader
    const planned = (await server.dms('POST', '/instances/action?dry_run=true', { action: 'soft_restart', instances: [id] })).json.results[0].plan
    assert.deepEqual([planned.nodes.at(-1).number, planned.nodes.map((node: any) => node.role)], [controller - 1, ['broker', 'broker', 'controller']], JSON.stringify(planned))
    // Somebody else's brokers may answer where ours should.
    const [address, port] = [addresses()[0]!, instance.port]
    const others = await inOrder({ nodes: [0, 1, 2].map((ordinal) => ({ node: { id: `other-${ordinal}`, instanceId: 'other', ordinal, host: 'h', address, ports: { service: port } }, role: 'node', what: 'stopped' })), gap: { fromMs: 0, toMs: 1, why: '' }, risk: '' })
    assert.match(others.gap.why, /no broker says now who that is/)
    const old = pids()
    producers.slowest()
    const from = Date.now()
    await act('soft_restart')
    t.diagnostic(`${((Date.now() - from) / 3000).toFixed(1)} s a broker; ${producers.sent()} messages, ${producers.failed()} failed, the slowest took ${producers.slowest().toFixed(0)} ms`)
    assert.ok(pids().every((pid, n) => pid !== old[n]), 'a broker was not restarted')
    const [stopped, started] = [stops(), starts()]
    const order = [0, 1, 2].toSorted((a, b) => stopped[a]! - stopped[b]!)
    assert.equal(order.at(-1), controller - 1, 'the active controller was not the last')
    for (const n of [1, 2]) assert.ok(stopped[order[n]!]! >= started[order[n - 1]!]!, 'the next one stopped before the one before it was up')
    await producers.end()
  })

  test('restart stops all of them together; messages and addresses are kept', async (t) => {
    const before = instance
    const from = Date.now()
    await act('restart')
    t.diagnostic(`${((Date.now() - from) / 1000).toFixed(1)} s`)
    const stopped = stops()
    assert.ok(Math.max(...stopped) - Math.min(...stopped) < 2000, `told to stop at ${stopped.join()}`)
    instance = await server.running('dms', id)
    assert.equal(instance.connect_address, before.connect_address)
    await withKafka(instance, async (kafka) => { assert.equal((await kafka.read('kept', 20)).length, 20) })
  })

  test('a killed broker: the others go on, and it comes back', async (t) => {
    await withKafka(instance, (kafka) => kafka.create('outlives', { partitions: 3, replicas: 3 }))
    const producers = await startProducers(instance, 'outlives', 3)
    await until('messages', () => producers.sent() > 50)
    const old = pids()
    const from = Date.now()
    process.kill(old[1]!, 'SIGKILL')
    await until('another process', () => pids()[1] !== old[1])
    await server.running('dms', id, 60_000)
    t.diagnostic(`back after ${((Date.now() - from) / 1000).toFixed(1)} s, the slowest message took ${producers.slowest().toFixed(0)} ms`)
    assert.deepEqual([pids()[0], pids()[2]], [old[0], old[2]])
    await producers.end()
  })

  test('extended to four brokers while it serves: the new one takes topics, the others are not restarted', async () => {
    const path = `/v2/kafka/${server.project}/instances/${id}/extend`
    const refused = await server.call('dms', 'POST', path, { oper_type: 'horizontal', new_broker_num: 2 })
    assert.deepEqual([refused.status, refused.json.error_code], [400, 'DMS.00400062'])
    const old = pids()
    const answer = await server.call('dms', 'POST', path, { oper_type: 'horizontal', new_broker_num: 4 })
    assert.equal(answer.status, 200, answer.text)
    assert.match(answer.json.job_id, /^[0-9a-f]{32}$/)
    assert.equal(await server.status('dms', id), 'EXTENDING')
    instance = await server.running('dms', id, 120_000)
    assert.deepEqual([instance.broker_num, instance.partition_num, instance.total_storage_space, addresses().length], [4, '1000', 800, 4])
    assert.deepEqual(pids().slice(0, 3), old)
    await withKafka(instance, async (kafka) => {
      await kafka.create('wider', { partitions: 8, replicas: 3 })
      assert.ok((await kafka.partitions('wider')).some((partition) => partition.replicas.includes(4)), 'the new broker has nothing')
      await kafka.send('wider', 'yes')
      assert.equal((await kafka.read('kept', 20)).length, 20)
    })
  })

  test('deleted: no process, no folder, and the addresses are free again', async () => {
    const [were, ports] = [pids(), addresses()]
    assert.equal((await server.call('dms', 'DELETE', `/v2/${server.project}/instances/${id}`)).status, 204)
    await until('404', async () => (await server.dms('GET', `/instances/${id}`)).status === 404)
    assert.deepEqual([folders(), were.filter(isAlive)], [[], []])
    assert.deepEqual(processesUnder(join(server.home, 'nodes')), [])
    const again = await server.createKafka('same-place', cluster)
    const { json } = await server.dms('GET', `/instances/${again}`)
    assert.deepEqual(json.connect_address.split(','), ports.slice(0, 3))
    // Three creations that cannot succeed leave nothing either.
    await server.running('dms', again, 120_000)
    await server.end('SIGTERM')
    await server.start({ SLUICE_JAVA: '/bin/false' })
    const failed = await server.createKafka('failed-three', cluster)
    await until('CREATEFAILED', async () => await server.status('dms', failed) === 'CREATEFAILED', 60_000, 50)
    assert.equal((await server.dms('POST', '/instances/action', { action: 'delete', all_failure: 'kafka' })).json.results.length, 1)
    await until('404', async () => (await server.dms('GET', `/instances/${failed}`)).status === 404)
    await sleep(50)
    assert.ok(!readdirSync(join(server.home, 'nodes')).some((name) => name.startsWith(failed)))
    assert.ok(existsSync(join(server.home, 'nodes', `${again}-2`)), 'another instance lost a broker')
  })
})
