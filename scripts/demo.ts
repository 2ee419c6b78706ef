/**
 * `npm run demo`: the main job on real engines, every request and answer shown. On a terminal Sluice stays up afterwards
 * until Ctrl-C; with CI=true or without a terminal it ends by itself. Either way nothing is left behind.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { Kafka, logLevel } from 'kafkajs'
import { ensureEngines } from './engines.ts'
import { underLoad } from './load.ts'
import { freeBase, until } from './wait.ts'

// KafkaJS warns about a timer of its own on new releases of node; nobody can do anything about it here.
process.removeAllListeners('warning')
const root = resolve(import.meta.dirname, '..')
const stays = Boolean(process.stdout.isTTY && process.stdin.isTTY && !process.env['CI'])
const bold = (text: string): string => process.stdout.isTTY ? `\u001b[1m${text}\u001b[0m` : text
const dim = (text: string): string => process.stdout.isTTY ? `\u001b[2m${text}\u001b[0m` : text
const password = `Demo-${randomUUID().slice(0, 8)}-Aa1`

await ensureEngines({ redis: true, kafka: true, interactive: stays, log: (line) => console.log(line) })

const work = mkdtempSync(join(tmpdir(), 'sluice-demo-'))
const home = join(work, 'home')
const base = await freeBase(7480)
if (base !== 7480) console.log(`ports 7480 to 7485 are taken, so this demo uses ${base} to ${base + 5}`)
// Only the engines' paths of this environment matter here: the rest would point the demo elsewhere.
const kept = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SLUICE_') || /REDIS_SERVER|KAFKA_HOME|JAVA/.test(name)))
const env = { ...kept, SLUICE_HOME: home, SLUICE_PORT: String(base), SLUICE_LOG_LEVEL: 'error' }
let server: ChildProcess
let gone: Promise<unknown> = Promise.resolve()
let token = ''
let project = ''
const clients: Redis[] = []
let ending: Promise<void> | undefined
process.on('SIGINT', () => void end().then(() => process.exit(130)))
process.on('SIGTERM', () => void end().then(() => process.exit(143)))

try {
  await main()
  if (stays) {
    console.log(`\n${bold('Sluice stays running')} at IAM http://127.0.0.1:${base}, DCS :${base + 1}, DMS :${base + 2}. Try this next, in another terminal:
  export SLUICE_HOME=${home} SLUICE_PORT=${base}
  npx sluice ps
  npx sluice dcs list
  npx sluice dcs restart ID
  npx sluice logs ID -f
Ctrl-C here ends Sluice and its servers and removes all of it.`)
    await new Promise(() => { setInterval(() => {}, 1 << 30) })
  }
} catch (error) {
  console.error(`the demo failed: ${(error as Error).message}`)
  process.exitCode = 1
} finally { await end() }

async function main(): Promise<void> {
  say('Start Sluice: one process, SQLite, no configuration')
  await start()
  say('Create three Redis and one Kafka')
  const ids = await Promise.all(['orders', 'sessions', 'catalog'].map((name) => createRedis(name, 'redis.single.xu1.tiny.128', name !== 'orders')))
  const kafkaId = await createKafka('events')
  await Promise.all([...ids.map((id) => running(1, id)), running(2, kafkaId)])
  const redis = await Promise.all(ids.map(async (id) => {
    const { ip, port } = await show(1, id)
    const client = new Redis({ host: ip, port, password, maxRetriesPerRequest: null, retryStrategy: () => 20 })
    client.on('error', () => {})
    clients.push(client)
    return client
  }))
  const [orders, sessions] = [redis[0]!, redis[1]!]
  for (const client of redis) { const pipeline = client.pipeline(); for (let i = 0; i < 1000; i += 1) pipeline.set(`key:${i}`, i); await pipeline.exec() }
  const shown = await show(2, kafkaId)
  const kafka = new Kafka({ brokers: [`${shown.connect_address}:${shown.port}`], logLevel: logLevel.NOTHING, retry: { retries: 30, initialRetryTime: 50, maxRetryTime: 300 } })
  const admin = kafka.admin()
  const producer = kafka.producer()
  await admin.connect()
  await producer.connect()
  await admin.createTopics({ topics: [{ topic: 'payments', numPartitions: 1, replicationFactor: 1 }], waitForLeaders: true })
  for (let i = 0; i < 100; i += 1) await producer.send({ topic: 'payments', acks: -1, messages: [{ value: `payment ${i}` }] })
  const messages = async (): Promise<string> => (await admin.fetchTopicOffsets('payments'))[0]!.high
  tell(`1000 keys in each Redis, ${await messages()} messages in Kafka`)

  say('S1  Force a restart of two Redis in one call: their processes are killed, new ones serve')
  const before = await Promise.all([runId(orders), runId(sessions)])
  await act(1, 'PUT', '/instances/status', { instances: [ids[0], ids[1]], action: 'restart' })
  tell(`run ids ${before.map(short).join(', ')} → ${(await Promise.all([runId(orders), runId(sessions)])).map(short).join(', ')}; keys kept: ${await orders.dbsize()}, ${await sessions.dbsize()}`)

  say('S2  Soft restart of one: SHUTDOWN, start, serve')
  await act(1, 'PUT', '/instances/status', { instances: [ids[0]], action: 'soft_restart' })
  tell(`keys kept: ${await orders.dbsize()}`)

  say('S3  Flush of one, and S4: an unknown id in the same batch fails alone')
  await act(1, 'PUT', '/instances/status', { instances: [randomUUID(), ids[1]], action: 'flush' })
  tell(`sessions has ${await sessions.dbsize()} keys, orders still ${await orders.dbsize()}`)

  say('A master with a standby: soft restart of both while four clients write')
  const pairId = await createRedis('pair', 'redis.ha.xu1.tiny.r2.128')
  await running(1, pairId)
  const { ip: host, port } = await show(1, pairId)
  const load = await underLoad({ host, port, password }, () => act(1, 'PUT', '/instances/status', { instances: [pairId], action: 'soft_restart' }))
  tell(`${load.acknowledged} writes acknowledged, ${load.lost} lost, ${load.errors} errors seen; the longest pause of any client: ${load.gapMs.toFixed(1)} ms`)
  await call(1, 'DELETE', `/v2/${project}/instances/${pairId}`)

  say('kill -9 of the control plane in the middle of a restart: clients go on, and what was accepted is finished')
  const counted = orders.set('written', 'while Sluice was down')
  await call(1, 'PUT', `/v2/${project}/instances/status`, { instances: [ids[2]], action: 'restart' })
  server.kill('SIGKILL')
  await gone
  await counted
  tell(`Sluice is dead; orders says ${JSON.stringify(await orders.get('written'))}`)
  await start()
  await running(1, ids[2]!)
  tell(`Sluice is back; catalog is RUNNING with ${await redis[2]!.dbsize()} keys`)

  say('S5  Restart the Kafka broker: produce and fetch are refused meanwhile, messages are kept')
  await act(2, 'POST', '/instances/action', { action: 'restart', instances: [kafkaId] })
  tell(`messages kept: ${await messages()}`)

  say('S7  A creation that fails for a real reason (a Java that cannot run), then delete all that failed')
  server.kill('SIGTERM')
  await gone
  await start({ SLUICE_JAVA: '/bin/false' })
  const broken = await createKafka('broken')
  const failed = await until(async () => { const now = await show(2, broken); return now.status === 'CREATEFAILED' && now })
  tell(`${failed.name} is ${failed.status}: ${String(failed.cause).split('\n')[0]}`)
  server.kill('SIGTERM')
  await gone
  await start()
  await call(2, 'POST', `/v2/${project}/instances/action`, { action: 'delete', all_failure: 'kafka' })
  await until(async () => (await raw(2, 'GET', `/v2/${project}/instances/${broken}`)).status === 404)
  tell('the failed one is gone, the healthy one untouched')

  say('S8  The v1.0 form: 204 and no body when there is nothing left to delete')
  await call(2, 'POST', `/v1.0/${project}/instances/action`, { action: 'delete', allFailure: 'kafka' })

  say('S6  Delete: broker gone, data gone, address free')
  await producer.disconnect()
  await admin.disconnect()
  await call(2, 'POST', `/v2/${project}/instances/action`, { action: 'delete', instances: [kafkaId] })
  await until(async () => (await raw(2, 'GET', `/v2/${project}/instances/${kafkaId}`)).status === 404)
  tell('GET answers 404')

  say('S9  Refusals come from the documented tables')
  await call(1, 'PUT', `/v2/${project}/instances/status`, { instances: [ids[0]], action: 'reboot' })
}

async function start(extra: NodeJS.ProcessEnv = {}): Promise<void> {
  const started = performance.now()
  const child = spawn(process.execPath, [join(root, 'bin/server.js')], { env: { ...env, ...extra }, stdio: ['ignore', 'ignore', 'inherit'], detached: true })
  server = child
  gone = new Promise((done) => child.once('exit', done))
  await until(async () => {
    if (child.exitCode !== null) throw new Error('the server ended')
    return (await fetch(`http://127.0.0.1:${base + 5}/healthz`)).ok
  }, 20)
  const credentials = JSON.parse(readFileSync(join(home, 'credentials.json'), 'utf8'))
  project = credentials.projectId
  const answer = await fetch(`http://127.0.0.1:${base}/v3/auth/tokens`, {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ auth: { identity: { methods: ['password'], password: { user: { name: credentials.user, password: credentials.password, domain: { name: credentials.domain } } } }, scope: { project: { id: project } } } }),
  })
  token = answer.headers.get('x-subject-token')!
  tell(`ready after ${Math.round(performance.now() - started)} ms`)
}

async function createRedis(name: string, specCode: string, quiet = false): Promise<string> {
  return (await call(1, 'POST', `/v2/${project}/instances`, {
    name, engine: 'Redis', engine_version: '7.0', capacity: 0.125, spec_code: specCode, az_codes: ['eu-de-01'], vpc_id: randomUUID(), subnet_id: randomUUID(), password,
  }, quiet)).instances[0].instance_id
}

async function createKafka(name: string): Promise<string> {
  return (await call(2, 'POST', `/v2/kafka/${project}/instances`, {
    name, engine: 'kafka', engine_version: '2.7', broker_num: 1, storage_space: 100, vpc_id: randomUUID(), subnet_id: randomUUID(), security_group_id: randomUUID(),
    available_zones: ['eu-de-01'], product_id: 'c6.2u4g.single', storage_spec_code: 'dms.physical.storage.ultra.v2',
  })).instance_id
}

/** Sends a batch, shows it, and follows the statuses until all are RUNNING again. */
async function act(service: 1 | 2, method: string, path: string, body: { instances: (string | undefined)[]; action: string }): Promise<void> {
  const started = performance.now()
  const { results } = await call(service, method, `/v2/${project}${path}`, body)
  const accepted = results.filter((result: any) => result.result === 'success').map((result: any) => result.instance as string)
  const seen = new Map<string, string>()
  await until(async () => {
    const states = await Promise.all(accepted.map(async (id: string) => (await show(service, id)).status as string))
    states.forEach((status, i) => {
      const id = accepted[i]!
      if (seen.get(id) !== status) console.log(dim(`    ${Math.round(performance.now() - started)} ms  ${id}  ${status}`))
      seen.set(id, status)
    })
    return states.every((status) => status === 'RUNNING')
  }, 5)
}

async function raw(service: 1 | 2, method: string, path: string, body?: object): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${base + service}${path}`, { method, headers: { 'content-type': 'application/json', 'x-auth-token': token }, ...(body ? { body: JSON.stringify(body) } : {}) })
  return { status: response.status, text: await response.text() }
}

async function call(service: 1 | 2, method: string, path: string, body?: object, quiet = false): Promise<any> {
  const { status, text } = await raw(service, method, path, body)
  if (!quiet) {
    console.log(`  ${method} :${base + service}${path.replace(project, '{project_id}')}  ${body ? JSON.stringify(body).replaceAll(password, '********') : ''}`)
    console.log(`  → ${status} ${text}`)
  }
  return text ? JSON.parse(text) : null
}

async function show(service: 1 | 2, id: string): Promise<any> { return JSON.parse((await raw(service, 'GET', `/v2/${project}/instances/${id}`)).text) }
async function running(service: 1 | 2, id: string): Promise<void> {
  await until(async () => {
    const { status } = await show(service, id)
    if (status === 'CREATEFAILED') throw new Error(`${id} could not be created: npx sluice logs ${id} tells why`)
    return status === 'RUNNING'
  })
}
async function runId(redis: Redis): Promise<string> { return /run_id:(\w+)/.exec(await redis.info('server'))![1]! }
function short(id: string): string { return id.slice(0, 8) }

function end(): Promise<void> {
  ending ??= (async () => {
    for (const client of clients) client.disconnect()
    if (!server) return
    if (server.exitCode === null && server.signalCode === null) {
      for (const [service, all] of [[1, '/instances?limit=50'], [2, '/instances?engine=kafka&include_failure=true&limit=50']] as const) {
        const { instances = [] } = JSON.parse((await raw(service, 'GET', `/v2/${project}${all}`)).text)
        for (const { instance_id: id } of instances) await raw(service, 'DELETE', `/v2/${project}/instances/${id}`)
      }
      await until(async () => readdirSync(join(home, 'nodes')).length === 0, 50).catch(() => {})
      await fetch(`http://127.0.0.1:${base + 5}/v1/down`, { method: 'POST', headers: { 'x-auth-token': token } }).catch(() => server.kill('SIGTERM'))
      await Promise.race([gone, sleep(30_000, undefined, { ref: false })])
    }
    rmSync(work, { recursive: true, force: true, maxRetries: 5 })
    console.log('\neverything this demo started has ended, and its files are removed')
  })()
  return ending
}

function say(text: string): void { console.log(`\n${bold(text)}`) }
function tell(text: string): void { console.log(`  ${text}`) }
