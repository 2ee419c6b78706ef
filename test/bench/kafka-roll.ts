/** A rolling restart of three brokers while producers write with acks=all, beside a plain loop over three stock brokers. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { listens } from '../../src/core/listens.ts'
import { readConfig } from '../../src/config.ts'
import { findKafka, storageTemplate } from '../../src/engines/kafka/program.ts'
import { ensureEngines } from '../../scripts/engines.ts'
import { addresses, bare, folder, rounds, server, timed } from './ground.ts'
import { stockFlags } from './kafka.ts'
import { timings, type Line } from './report.ts'
import { startProducers, withKafka, type Brokers } from '../support/kafka.ts'
import { until } from '../support/server.ts'

const partitions = 3
/** Some messages before and after, so that a message that was under way counts. */
const aroundMs = 1000

interface Side { readonly perBroker: number[]; readonly slowest: number[]; failed: number; broken: number }

export async function roll(): Promise<Line[]> {
  await ensureEngines({ redis: false, kafka: true, interactive: false, log: (line) => console.error(line) })
  const plane = await server()
  const id = await plane.createKafka('bench-roll', { product_id: 'c6.2u4g.cluster', broker_num: 3, storage_space: 300 })
  const instance = await plane.running('dms', id, 120_000)
  const stock = await stockCluster()
  const [ours, theirs]: Side[] = [{ perBroker: [], slowest: [], failed: 0, broken: 0 }, { perBroker: [], slowest: [], failed: 0, broken: 0 }]
  await rounds({ most: 2, least: 1, ms: 90_000 },
    () => underLoad(instance, ours!, async () => {
      const answer = await plane.dms('POST', '/instances/action', { action: 'soft_restart', instances: [id] })
      if (answer.status !== 200) throw new Error(`the restart was refused: ${answer.text}`)
      await plane.running('dms', id, 200_000)
    }),
    () => underLoad(stock.instance, theirs!, stock.roll))
  const what = 'rolling restart of three brokers under acks=all'
  return [
    ...timings('roll', `${what}, a broker`, ours!.perBroker, theirs!.perBroker, { note: 'bare: for each stop, start, port open; at most 15,000 ms is wanted' }),
    ...timings('roll', `${what}, the slowest message`, ours!.slowest, theirs!.slowest),
    { topic: 'roll', what: `${what}, failed sends`, unit: 'sends', sluice: ours!.failed, bare: theirs!.failed, samples: ours!.perBroker.length },
    { topic: 'roll', what: `${what}, rolls after which a message was lost, twice there or out of order`, unit: 'sends', sluice: ours!.broken, bare: theirs!.broken, samples: ours!.perBroker.length },
  ]
}

let topics = 0

async function underLoad(instance: Brokers, side: Side, work: () => Promise<void>): Promise<void> {
  const topic = `roll-${topics += 1}`
  await withKafka(instance, (kafka) => kafka.create(topic, { partitions, replicas: 3 }))
  const producers = await startProducers(instance, topic, partitions)
  await sleep(aroundMs)
  producers.slowest()
  side.perBroker.push(await timed(work) / 3)
  await sleep(aroundMs)
  side.slowest.push(producers.slowest())
  await producers.end().catch(() => { side.broken += producers.failed() === 0 ? 1 : 0 })
  side.failed += producers.failed()
}

/** Kafka's own flags and settings for three brokers that are controllers as well, and the replication that Sluice gives to its own. */
async function stockCluster(): Promise<{ readonly instance: Brokers; roll(): Promise<void> }> {
  const work = folder()
  const found = await findKafka(readConfig(process.env).programs)
  const places = await addresses(work, 3)
  const template = await storageTemplate(found)
  const voters = places.map((address, n) => `${n + 1}@${address}:9093`).join(',')
  const brokers = places.map((address, n) => {
    const directory = join(work, String(n))
    const data = join(directory, 'data')
    mkdirSync(data, { recursive: true })
    copyFileSync(template, join(data, 'bootstrap.checkpoint'))
    writeFileSync(join(data, 'meta.properties'), `version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAQ\nnode.id=${n + 1}\ndirectory.id=gAAAAAAAAAAAAAAAAAAA${'AEI'[n]}Q\n`)
    writeFileSync(join(directory, 'server.properties'), [
      'process.roles=broker,controller', `node.id=${n + 1}`, `controller.quorum.voters=${voters}`, `listeners=PLAINTEXT://${address}:9092,CONTROLLER://${address}:9093`,
      'inter.broker.listener.name=PLAINTEXT', `advertised.listeners=PLAINTEXT://${address}:9092`, 'controller.listener.names=CONTROLLER', `log.dirs=${data}`,
      'offsets.topic.replication.factor=3', 'transaction.state.log.replication.factor=3', 'transaction.state.log.min.isr=2', 'min.insync.replicas=2', '',
    ].join('\n'))
    writeFileSync(join(directory, 'log4j.properties'), 'log4j.rootLogger=INFO, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\nlog4j.appender.out.layout=org.apache.log4j.PatternLayout\nlog4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n\n')
    const launch = (): ReturnType<typeof bare> => bare(directory, found.java, [...stockFlags, '-Dlog4j.configuration=file:log4j.properties', '-cp', found.classPath, 'kafka.Kafka', 'server.properties'])
    let running = launch()
    return { address, async restart() { running.child.kill('SIGTERM'); await running.ended; running = launch() } }
  })
  const up = (address: string): Promise<unknown> => until(`${address} to listen`, () => listens(address, 9092), 120_000, 10)
  await Promise.all(places.map(up))
  const instance = { connect_address: places.join(','), port: 9092 }
  return { instance, async roll() { for (const broker of brokers) { await broker.restart(); await up(broker.address) } } }
}
