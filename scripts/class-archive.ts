/** Makes the class-data-sharing archive of one Java with one Kafka: brokers that map it start in half the time. */
import { execFile, spawn } from 'node:child_process'
import { closeSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Admin, Consumer, Producer, stringDeserializers, stringSerializers } from '@platformatic/kafka'
import { kafkaEngine } from '../src/engines/kafka/index.ts'
import { sharing, storageTemplate, type Kafka } from '../src/engines/kafka/program.ts'
import type { Instance, NodeRecord } from '../src/core/instance.ts'

const run = promisify(execFile)
/** A first start without the archive needs some 2 s, and this machine may be busy. */
const startsWithinMs = 60_000
/** An idle broker ends within half a second. */
const endsWithinMs = 60_000
/** Writing the archive takes some 6 s of processor time. */
const writtenWithinMs = 120_000

/**
 * Runs one broker through what brokers do, twice: a new one and one that comes back load different classes. Java then
 * writes an archive of them all. A static one, for the archive that Java 17 writes as it ends leaves out log4j, whose
 * class files have an old format.
 */
export async function makeClassArchive(kafka: Kafka): Promise<void> {
  const work = mkdtempSync(join(kafka.folder, 'archive-'))
  try {
    mkdirSync(join(work, 'data'))
    copyFileSync(await storageTemplate(kafka), join(work, 'data', 'bootstrap.checkpoint'))
    const lists = [await rehearse(kafka, work, 'first'), await rehearse(kafka, work, 'again')]
    writeFileSync(join(work, 'classes'), merged(lists))
    const archive = join(work, 'classes.jsa')
    // Only this collector's dump holds objects as well; brokers with another collector just do not use them.
    await run(kafka.java, ['-Xshare:dump', `-XX:SharedClassListFile=${join(work, 'classes')}`, ...sharing(archive), '-XX:+UseG1GC', '-cp', kafka.classPath], { cwd: work, timeout: writtenWithinMs, maxBuffer: 16 * 1024 ** 2 })
    if (!existsSync(archive)) throw new Error('Java wrote no archive')
    renameSync(archive, join(kafka.folder, 'classes.jsa'))
  } finally { rmSync(work, { recursive: true, force: true, maxRetries: 5 }) }
}

/** One run of the broker in that folder; answers the list of the classes that Java loaded. */
async function rehearse(kafka: Kafka, work: string, name: string): Promise<string> {
  const [service, controller] = [await freePort(), await freePort()]
  const instance: Instance = {
    id: '00000000-0000-4000-8000-000000000001', projectId: '', name: '', engine: 'kafka', version: '3.x', runtime: 'process', host: '',
    spec: { flavor: '', memoryBytes: 4 * 1024 ** 3, topology: 'single', shards: 1, replicas: 1, nodeCount: 1, port: null, parameters: {}, renamedCommands: {}, sealedPassword: null },
    attributes: {}, tags: [], endpoints: {}, grants: {}, generation: 1, floor: 1, health: 'unknown', cause: null, readyAt: null, crashes: 0, createdAt: 0, updatedAt: 0,
  }
  const node: NodeRecord = { id: 'archive-0', instanceId: instance.id, ordinal: 0, host: '', address: '127.0.0.1', ports: { service, controller } }
  const engine = kafkaEngine(() => kafka.version)
  const spec = engine.layout(instance, [node])[0]!
  for (const [path, text] of Object.entries(spec.files)) writeFileSync(join(work, path), text)
  const list = join(work, `${name}.classes`)
  const log = openSync(join(work, 'log'), 'a')
  const child = spawn(kafka.java, [
    `-XX:DumpLoadedClassList=${list}`, ...Object.values(spec.env).flatMap((flags) => flags.split(' ')),
    '-Djava.awt.headless=true', '-cp', kafka.classPath, 'kafka.Kafka', ...spec.argv,
  ], { cwd: work, stdio: ['ignore', log, log] })
  closeSync(log)
  const ended = new Promise<void>((done) => child.once('exit', () => done()))
  try {
    const giveUp = Date.now() + startsWithinMs
    const states = [{ id: node.id, phase: 'running' as const, observedGeneration: 1, identity: null }]
    while (!(await engine.probe(instance, [node], states)).ok) {
      if (child.exitCode !== null || Date.now() > giveUp) throw new Error('the broker did not start')
      await sleep(50)
    }
    await exercise(`127.0.0.1:${service}`, name)
    child.kill('SIGTERM')
    await Promise.race([ended, sleep(endsWithinMs, undefined, { ref: false })])
    return readFileSync(list, 'utf8')
  } finally {
    child.kill('SIGKILL')
    await ended
  }
}

/** Later Javas number the classes of each list, and two lists have the same numbers; classes of other loaders, which need them, are left out. */
function merged(lists: readonly string[]): string {
  const lines = lists.flatMap((list) => list.split('\n')).filter((line) => !line.includes(' source: ')).map((line) => line.replace(/ id: \d+/, ''))
  return `${[...new Set(lines)].join('\n')}\n`
}

/** What every broker does for its first clients: their classes belong into the archive as well. */
async function exercise(broker: string, topic: string): Promise<void> {
  const common = { clientId: 'sluice-archive', bootstrapBrokers: [broker], retries: 3 }
  const admin = new Admin(common)
  await admin.createTopics({ topics: [topic], partitions: 1, replicas: 1 })
  await admin.close()
  const producer = new Producer({ ...common, serializers: stringSerializers })
  await producer.send({ messages: [{ topic, key: 'k', value: 'v' }] })
  await producer.close()
  const consumer = new Consumer({ ...common, groupId: 'archive', deserializers: stringDeserializers })
  const stream = await consumer.consume({ topics: [topic], mode: 'earliest', maxWaitTime: 500 })
  for await (const _message of stream) break
  await consumer.close(true)
}

function freePort(): Promise<number> {
  return new Promise((done) => { const server = createServer().listen(0, '127.0.0.1', () => { const { port } = server.address() as { port: number }; server.close(() => done(port)) }) })
}
