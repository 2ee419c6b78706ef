/** One restart of a broker, until a customer's first message is acknowledged. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka as Client, logLevel, type Producer } from 'kafkajs'
import { readConfig } from '../../src/config.ts'
import { findKafka, storageTemplate } from '../../src/engines/kafka/program.ts'
import { ensureEngines } from '../../scripts/engines.ts'
import { addresses, bare, folder, residentMb, rounds, server, timed } from './ground.ts'
import { median, timings, type Line } from './report.ts'
import { nodePid, until, type Server } from '../support/server.ts'

/** What kafka-server-start and kafka-run-class give to every broker. */
export const stockFlags = ['-Xmx1G', '-Xms1G', '-server', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20', '-XX:InitiatingHeapOccupancyPercent=35', '-XX:+ExplicitGCInvokesConcurrent', '-XX:MaxInlineLevel=15', '-Djava.awt.headless=true']
const topic = 'bench'
/**
 * How often either side is asked whether it is back. Every 5 ms, as tests ask, took 0.7 s of processor time from a
 * broker that needs 2 s of it on two cores: the question was a third of the answer.
 */
const lookEveryMs = 25

export async function kafka(): Promise<Line[]> {
  await ensureEngines({ redis: false, kafka: true, interactive: false, log: (line) => console.error(line) })
  const plane = await server()
  const id = await plane.createKafka('bench-kafka')
  const ours = await plane.running('dms', id, 60_000)
  const work = folder()
  const other = await stockBroker(work, (await addresses(work, 1))[0]!)
  await other.start()
  const brokers = { ours: `${String(ours.connect_address).split(',')[0]}:${ours.port}`, other: other.broker }
  for (const broker of Object.values(brokers)) await createTopic(broker)
  const [a, b, memoryA, memoryB]: number[][] = [[], [], [], []]
  const one = async (): Promise<void> => {
    a!.push(await timed(async () => { await restart(plane, id); await produce(brokers.ours) }))
    memoryA!.push(residentMb(nodePid(plane.home, id)))
  }
  const two = async (): Promise<void> => {
    b!.push(await timed(async () => { await other.stop(); await other.start(); await produce(brokers.other) }))
    memoryB!.push(residentMb(other.pid()))
  }
  await rounds({ most: 1, least: 1, ms: 0 }, one, two)
  a!.length = b!.length = memoryA!.length = memoryB!.length = 0
  await rounds({ most: 9, least: 4, ms: 45_000 }, one, two)
  return [
    ...timings('kafka', 'one restart until the first acknowledged produce', a!, b!, { target: { atMost: 0.6 }, note: 'bare: stop and start with the stock flags and settings' }),
    { topic: 'kafka', what: 'resident memory after it', unit: 'MB', sluice: median(memoryA!), bare: median(memoryB!), samples: a!.length },
  ]
}

async function restart(plane: Server, id: string): Promise<void> {
  const answer = await plane.dms('POST', '/instances/action', { action: 'restart', instances: [id] })
  if (answer.status !== 200 || answer.text.includes('"failed"')) throw new Error(`the restart was refused: ${answer.status} ${answer.text}`)
  await until(`${id} to be RUNNING`, async () => await plane.status('dms', id) === 'RUNNING', 60_000, lookEveryMs)
}

/** A new customer each time: connects, and sends until one message is acknowledged. */
async function produce(broker: string): Promise<void> {
  for (;;) {
    const producer = clientOf(broker).producer({ allowAutoTopicCreation: false })
    try { await producer.connect(); await send(producer); return } catch { await sleep(lookEveryMs) } finally { await producer.disconnect().catch(() => {}) }
  }
}

async function send(producer: Producer): Promise<void> { await producer.send({ topic, acks: -1, messages: [{ value: 'a message' }] }) }

function clientOf(broker: string): Client { return new Client({ brokers: [broker], logLevel: logLevel.NOTHING, connectionTimeout: 1000, retry: { retries: 3, initialRetryTime: 10, maxRetryTime: 20 } }) }

async function createTopic(broker: string): Promise<void> {
  for (;;) {
    const admin = clientOf(broker).admin()
    try {
      await admin.connect()
      await admin.createTopics({ topics: [{ topic, numPartitions: 1, replicationFactor: 1 }], waitForLeaders: true })
      return
    } catch { await sleep(50) } finally { await admin.disconnect().catch(() => {}) }
  }
}

interface Broker { readonly broker: string; start(): Promise<void>; stop(): Promise<void>; pid(): number }

/** The jars that Sluice runs, with the settings of Kafka's own config/kraft/server.properties. `start` returns with the process. */
async function stockBroker(work: string, address: string): Promise<Broker> {
  const found = await findKafka(readConfig(process.env).programs)
  const data = join(work, 'data')
  mkdirSync(data)
  copyFileSync(await storageTemplate(found), join(data, 'bootstrap.checkpoint'))
  writeFileSync(join(data, 'meta.properties'), 'version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAQ\nnode.id=1\ndirectory.id=gAAAAAAAAAAAAAAAAAAAAQ\n')
  writeFileSync(join(work, 'server.properties'), [
    'process.roles=broker,controller', 'node.id=1', `controller.quorum.voters=1@${address}:9093`, `listeners=PLAINTEXT://${address}:9092,CONTROLLER://${address}:9093`,
    'inter.broker.listener.name=PLAINTEXT', `advertised.listeners=PLAINTEXT://${address}:9092`, 'controller.listener.names=CONTROLLER',
    'num.network.threads=3', 'num.io.threads=8', 'socket.send.buffer.bytes=102400', 'socket.receive.buffer.bytes=102400', 'socket.request.max.bytes=104857600',
    `log.dirs=${data}`, 'num.partitions=1', 'num.recovery.threads.per.data.dir=1', 'offsets.topic.replication.factor=1', 'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1', 'log.retention.hours=168', 'log.segment.bytes=1073741824', 'log.retention.check.interval.ms=300000', '',
  ].join('\n'))
  writeFileSync(join(work, 'log4j.properties'), 'log4j.rootLogger=INFO, out\nlog4j.appender.out=org.apache.log4j.ConsoleAppender\nlog4j.appender.out.layout=org.apache.log4j.PatternLayout\nlog4j.appender.out.layout.ConversionPattern=[%d] %p %m (%c)%n\n')
  let running: ReturnType<typeof bare>
  return {
    broker: `${address}:9092`,
    async start() { running = bare(work, found.java, [...stockFlags, '-Dlog4j.configuration=file:log4j.properties', '-cp', found.classPath, 'kafka.Kafka', 'server.properties']) },
    async stop() { running.child.kill('SIGTERM'); await running.ended },
    pid: () => running.child.pid!,
  }
}
