/** A real Sluice server of its own: own home, own ports, real processes; driven through its external contract only. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { randomInt, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { hostId } from '../../src/home.ts'
import { tableOf } from '../../src/runtimes/process/screen.ts'
import { whenCut } from './cut.ts'
import { pidIn } from './pid.ts'
import { freshDatabase } from './postgres.ts'

export const root = resolve(import.meta.dirname, '..', '..')
export const password = 'Abcd1234!'
export { sleep }

export interface Answer { readonly status: number; readonly text: string; readonly json: any; readonly headers: Headers }
export type Service = 'iam' | 'dcs' | 'dms' | 'network' | 'compute' | 'console'
const offsets: Readonly<Record<Service, number>> = { iam: 0, dcs: 1, dms: 2, network: 3, compute: 4, console: 5 }

export interface Server {
  readonly home: string
  readonly project: string
  readonly base: number
  readonly env: NodeJS.ProcessEnv
  readonly log: () => string
  /** Adds to the environment and to node's arguments of every later start. */
  always(extra: NodeJS.ProcessEnv, nodeArguments: readonly string[]): void
  /** `SLUICE_TEST_ROOT`: another checkout than this one. */
  start(extra?: NodeJS.ProcessEnv): Promise<void>
  /** Ends the control plane only; resolves when it is gone. */
  end(signal: NodeJS.Signals): Promise<void>
  /** Resolves when the control plane has ended by itself. */
  ended(): Promise<void>
  readonly pid: () => number
  call(service: Service, method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  dcs(method: string, path: string, body?: unknown): Promise<Answer>
  dms(method: string, path: string, body?: unknown): Promise<Answer>
  status(service: 'dcs' | 'dms', id: string): Promise<string | undefined>
  running(service: 'dcs' | 'dms', id: string, ms?: number): Promise<any>
  createRedis(name: string, more?: object): Promise<string>
  createKafka(name: string, more?: object): Promise<string>
  /** Ends everything and removes the home. */
  destroy(): Promise<void>
}

/** On SQLite; with SLUICE_TEST_DATABASE=postgres, there or in the environment, on a fresh database of a real PostgreSQL. */
export async function makeServer(extra: NodeJS.ProcessEnv = {}): Promise<Server> {
  const database = (extra['SLUICE_TEST_DATABASE'] ?? process.env['SLUICE_TEST_DATABASE']) === 'postgres' && !('SLUICE_DATABASE_URL' in extra) ? await freshDatabase() : null
  const work = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  const home = extra['SLUICE_HOME'] ?? join(work, 'home')
  const base = await freeBase()
  const project = extra['SLUICE_PROJECT_ID'] ?? randomUUID().replaceAll('-', '')
  const env: NodeJS.ProcessEnv = {
    ...process.env, SLUICE_HOME: home, SLUICE_PORT: String(base), SLUICE_USER: 'admin', SLUICE_PASSWORD: 'Test-Passw0rd', SLUICE_DOMAIN: 'sluice',
    SLUICE_PROJECT: 'eu-de_test', SLUICE_PROJECT_ID: project, SLUICE_ACCESS_KEY: 'TESTACCESSKEY0000000', SLUICE_SECRET_KEY: 'test-secret-key-0123456789-0123456789',
    SLUICE_LOG_LEVEL: 'warn', SLUICE_GUARD: 'off', ...database ? { SLUICE_DATABASE_URL: database.url } : {}, ...extra,
  }
  let child: ChildProcess | null = null
  let gone: Promise<void> = Promise.resolve()
  let log = ''
  let token = ''
  let destroyed = false

  let always: { readonly env: NodeJS.ProcessEnv; readonly arguments: readonly string[] } = { env: {}, arguments: [] }

  async function start(more: NodeJS.ProcessEnv = {}): Promise<void> {
    // A test that is cut short may be about to start one.
    if (destroyed) throw new Fatal('the server was destroyed')
    const all: NodeJS.ProcessEnv = { ...env, ...always.env, ...more }
    const started = spawn(process.execPath, [...always.arguments, entry(all['SLUICE_TEST_ROOT'] ?? root)], { env: all, stdio: ['ignore', 'pipe', 'pipe'], cwd: work })
    child = started
    let over = false
    gone = new Promise((done) => { started.once('exit', () => { over = true; done() }) })
    for (const stream of [started.stdout, started.stderr]) stream!.on('data', (data) => { log += data })
    await until('the server to be ready', async () => {
      if (over) throw new Fatal(`the server ended: ${log.slice(-1500)}`)
      return (await fetch(`http://127.0.0.1:${base + 5}/healthz`)).status === 200
    }, 30_000, 10)
    const r = await fetch(`http://127.0.0.1:${base}/v3/auth/tokens`, {
      method: 'POST', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ auth: { identity: { methods: ['password'], password: { user: { name: 'admin', password: env['SLUICE_PASSWORD'], domain: { name: 'sluice' } } } }, scope: { project: { id: env['SLUICE_PROJECT_ID'] } } } }),
    })
    token = r.headers.get('x-subject-token') ?? ''
    if (r.status !== 201 || !token) throw new Error(`no token: ${r.status} ${await r.text()}`)
  }

  async function call(service: Service, method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const r = await fetch(`http://127.0.0.1:${base + offsets[service]}${path}`, {
      method, headers: { 'content-type': 'application/json', 'x-auth-token': token, ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await r.text()
    let json: any
    try { json = JSON.parse(text) } catch { /* some answers are empty */ }
    return { status: r.status, text, json, headers: r.headers }
  }
  const on = (service: 'dcs' | 'dms') => (method: string, path: string, body?: unknown): Promise<Answer> => call(service, method, `/v2/${env['SLUICE_PROJECT_ID']}${path}`, body)
  const [dcs, dms] = [on('dcs'), on('dms')]

  async function destroy(): Promise<void> {
    destroyed = true
    uncut()
    child?.kill('SIGKILL')
    await gone
    for (const pid of processesUnder(work)) try { process.kill(pid, 'SIGKILL') } catch { /* ended meanwhile */ }
    await until('processes to be gone', async () => processesUnder(work).length === 0, 10_000)
    // A server that was killed could not give its block of addresses back.
    for (const name of existsSync(claims) ? readdirSync(claims) : []) try { if (readFileSync(join(claims, name), 'utf8').trim() === home) rmSync(join(claims, name)) } catch { /* another test's, gone meanwhile */ }
    // Of instances with a whitelist that nobody deleted: the next test's may get their addresses.
    if (existsSync(join(home, 'screened'))) try { execFileSync('nft', ['delete', 'table', 'inet', tableOf(hostId(home))], { stdio: 'ignore', env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` } }) } catch { /* none was left */ }
    rmSync(work, { recursive: true, force: true, maxRetries: 5 })
    await database?.drop()
  }

  const uncut = whenCut(destroy)
  return {
    home, project, base, env, log: () => log, start, call, dcs, dms,
    always(extra, nodeArguments) { always = { env: extra, arguments: nodeArguments } },
    pid: () => child!.pid!,
    ended: () => gone,
    async end(signal) { child?.kill(signal); await gone },
    async status(service, id) { return (await on(service)('GET', `/instances/${id}`)).json?.status },
    async running(service, id, ms = 60_000) {
      return until(`${id} to be RUNNING`, async () => {
        const { json } = await on(service)('GET', `/instances/${id}`)
        if (json?.status === 'CREATEFAILED') throw new Fatal(`${id} is CREATEFAILED: ${JSON.stringify(json)}\n${log.slice(-1500)}`)
        return json?.status === 'RUNNING' && json
      }, ms, 5)
    },
    async createRedis(name, more = {}) {
      const r = await dcs('POST', '/instances', redisBody(name, more))
      if (r.status !== 200) throw new Error(`creation refused: ${r.status} ${r.text}`)
      return r.json.instances[0].instance_id
    },
    async createKafka(name, more = {}) {
      const r = await call('dms', 'POST', `/v2/kafka/${env['SLUICE_PROJECT_ID']}/instances`, kafkaBody(name, more))
      if (r.status !== 200) throw new Error(`creation refused: ${r.status} ${r.text}`)
      return r.json.instance_id
    },
    destroy,
  }
}

/** The server of a checkout; earlier releases began elsewhere. */
function entry(checkout: string): string {
  const path = join(checkout, 'bin/server.js')
  return existsSync(path) ? path : join(checkout, 'src/main.ts')
}

/** Another control plane beside one on PostgreSQL: the same database and home, other ports. To be destroyed before that one. */
export function sibling(of: Server, extra: NodeJS.ProcessEnv = {}): Promise<Server> {
  return makeServer({ SLUICE_HOME: of.home, SLUICE_PROJECT_ID: of.project, SLUICE_DATABASE_URL: of.env['SLUICE_DATABASE_URL'], ...extra })
}

/** A creation as a customer sends it. */
export function redisBody(name: string, more: object = {}): object {
  return { name, engine: 'Redis', engine_version: '7.0', capacity: 0.125, spec_code: 'redis.single.xu1.tiny.128', az_codes: ['eu-de-01'], vpc_id: randomUUID(), subnet_id: randomUUID(), password, ...more }
}
export function kafkaBody(name: string, more: object = {}): object {
  return { name, engine: 'kafka', engine_version: '2.7', broker_num: 1, storage_space: 100, vpc_id: randomUUID(), subnet_id: randomUUID(), security_group_id: randomUUID(), available_zones: ['eu-de-01'], product_id: 'c6.2u4g.single', storage_spec_code: 'dms.physical.storage.ultra.v2', ...more }
}

const claims = '/var/tmp/sluice-addresses'

/** Ends a wait at once instead of trying again. */
export class Fatal extends Error {}

export async function until<T>(what: string, look: () => Promise<T | false | undefined | null | '' | 0> | T, ms = 30_000, everyMs = 10): Promise<T> {
  const giveUp = Date.now() + ms
  let last: unknown
  for (;;) {
    try { last = await look(); if (last) return last as T } catch (error) { if (error instanceof Fatal) throw error; last = error }
    if (Date.now() > giveUp) throw new Error(`gave up waiting for ${what}: ${last instanceof Error ? last.message : JSON.stringify(last)}`)
    await sleep(everyMs)
  }
}

/** A client as a customer has one: reconnects by itself. */
export function client(instance: { ip: string; port: number }, secret = password): Redis {
  const redis = new Redis({ host: instance.ip, port: instance.port, password: secret, protocol: 2, maxRetriesPerRequest: null, retryStrategy: () => 20, connectTimeout: 2000 })
  redis.on('error', () => {})
  return redis
}

/** Resolves when SIGKILL takes nothing of what this server acknowledged: while an fsync takes its time Redis keeps back for up to two seconds what it writes to its append-only file. */
export async function written(redis: Pick<Redis, 'info'>): Promise<void> {
  await until('what was acknowledged to be written', async () => (await redis.info('persistence')).includes('aof_buffer_length:0\r'))
}

/** Processes that work in this folder: servers, launchers, control planes. */
export function processesUnder(folder: string): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((pid) => {
    try { return readlinkSync(`/proc/${pid}/cwd`).startsWith(folder) && isAlive(Number(pid)) } catch { return false }
  }).map(Number)
}

/** A zombie, whose parent has not asked for it yet, does not live. */
export function isAlive(pid: number): boolean {
  try { return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1')) } catch { return false }
}

/** How often the server of a node was started, by its own log. */
export function starts(home: string, instanceId: string, marker: RegExp = /Redis is starting/g, ordinal = 0): number {
  const path = join(home, 'nodes', `${instanceId}-${ordinal}`, 'log')
  return existsSync(path) ? [...readFileSync(path, 'utf8').matchAll(marker)].length : 0
}

/** The process behind a node, by its pid file. */
export function nodePid(home: string, instanceId: string, ordinal = 0): number {
  return pidIn(join(home, 'nodes', `${instanceId}-${ordinal}`, 'pid'))
}

/** Where a process listens, by the kernel. IPv4 only. */
export function listeners(pid: number): { host: string; port: number }[] {
  const sockets = new Set(readdirSync(`/proc/${pid}/fd`).map((fd) => { try { return /^socket:\[(\d+)\]/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] } catch { return undefined } }))
  return readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1).map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === '0A' && sockets.has(fields[9]))
    .map(([, local]) => {
      const [address, port] = local!.split(':')
      return { host: Buffer.from(address!, 'hex').toReversed().join('.'), port: Number.parseInt(port!, 16) }
    })
}

/** Six free ports in a row: below the range from which systems take the ports of outgoing connections, above 10080, which fetch refuses. */
export async function freeBase(): Promise<number> {
  for (;;) {
    const port = 11_000 + 10 * randomInt(900)
    const open = await Promise.all([0, 1, 2, 3, 4, 5].map((k) => new Promise<boolean>((done) => { const s = connect(port + k, '127.0.0.1'); s.on('connect', () => { s.destroy(); done(true) }); s.on('error', () => done(false)) })))
    if (!open.includes(true) && reserve(port)) return port
  }
}

const reserved = new Set<string>()
/** Whether it is this process's until it ends: a server that was killed leaves its ports for a while, and other tests look for some. */
function reserve(port: number): boolean {
  const folder = join(tmpdir(), 'sluice-test-ports')
  mkdirSync(folder, { recursive: true })
  const file = join(folder, String(port))
  try { if (existsSync(`/proc/${readFileSync(file, 'utf8')}`)) return false; rmSync(file) } catch { /* nobody's, or taken this instant */ }
  try { writeFileSync(file, String(process.pid), { flag: 'wx' }) } catch { return false }
  if (reserved.size === 0) process.once('exit', () => { for (const one of reserved) rmSync(one, { force: true }) })
  reserved.add(file)
  return true
}
