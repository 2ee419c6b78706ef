/**
 * A real PostgreSQL for tests: the one of `SLUICE_TEST_POSTGRES` (a URL whose user may create databases), or one of our own
 * in a temporary folder, started at the first question and ended with this process. Debian's programs, as another user when
 * we are root, for it refuses that one.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { appendFileSync, chmodSync, chownSync, closeSync, existsSync, globSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, type QueryResult } from 'pg'

export interface Postgres {
  /** Of the database that is always there. */
  readonly url: string
  /** Starts again what was stopped. */
  start(): Promise<void>
  /** `smart` would wait for us; `fast` hangs up on everybody, `immediate` is a crash. */
  stop(how: 'fast' | 'immediate'): Promise<void>
  /** Ends it and removes its folder. */
  destroy(): Promise<void>
}

/** A database of its own; its URL, and its end. */
export async function freshDatabase(server?: Postgres): Promise<{ readonly url: string; drop(): Promise<void> }> {
  const { url } = server ?? await sharedPostgres()
  const name = `sluice_${randomUUID().replaceAll('-', '')}`
  await ask(url, `create database ${name}`)
  const own = new URL(url)
  own.pathname = `/${name}`
  return { url: own.href, drop: () => ask(url, `drop database ${name} with (force)`).then(() => {}) }
}

/** One question on a connection of its own. */
export async function ask(url: string, text: string): Promise<QueryResult> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try { return await client.query(text) } finally { await client.end() }
}

let shared: Promise<Pick<Postgres, 'url'>> | undefined

/** The server that the tests of this process share. */
export function sharedPostgres(): Promise<Pick<Postgres, 'url'>> {
  const given = process.env['SLUICE_TEST_POSTGRES']
  shared ??= given ? Promise.resolve({ url: given }) : startPostgres()
  return shared
}

/** The folder with PostgreSQL's programs; null when there is none. */
export function postgresPrograms(): string | null {
  const places = [...globSync('/usr/lib/postgresql/*/bin').toSorted((a, b) => Number(b.split('/')[4]) - Number(a.split('/')[4])), ...(process.env['PATH'] ?? '').split(delimiter), '/opt/homebrew/opt/postgresql/bin']
  return places.find((place) => existsSync(join(place, 'initdb')) && existsSync(join(place, 'postgres'))) ?? null
}

/** A server that nobody shares; as durable as one that people run. `address`: where it listens too, and `url` leads, for pods say; with a password there. */
export async function startPostgres(address?: string): Promise<Postgres> {
  const programs = postgresPrograms()
  if (!programs) throw new Error('PostgreSQL is missing: run "npm run engines -- --postgres", or set SLUICE_TEST_POSTGRES to the URL of one')
  const folder = mkdtempSync(join(tmpdir(), 'sluice-postgres-'))
  const user = servant()
  chmodSync(folder, 0o700)
  if (user) chownSync(folder, user.uid, user.gid)
  const data = join(folder, 'data')
  const made = spawnSync(join(programs, 'initdb'), ['-D', data, '-U', 'sluice', '-A', 'trust', '--no-sync', '-E', 'UTF8', '--no-locale'], { ...user, cwd: folder, encoding: 'utf8' })
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr || made.error?.message}`)
  const port = await freePort()
  appendFileSync(join(data, 'postgresql.conf'), `listen_addresses = '${['127.0.0.1', ...address === undefined ? [] : [address]].join()}'\nport = ${port}\nunix_socket_directories = ''\nmax_connections = 200\n`)
  let child: ChildProcess | undefined
  let gone: Promise<void> = Promise.resolve()
  const url = `postgres://sluice:never-in-a-log@127.0.0.1:${port}/postgres`
  async function start(): Promise<void> {
    // A file: nobody would read a pipe while this process waits for another one.
    const log = openSync(join(folder, 'log'), 'a', 0o600)
    const started = child = spawn(join(programs!, 'postgres'), ['-D', data], { ...user, cwd: folder, stdio: ['ignore', log, log] })
    closeSync(log)
    started.unref()
    let over = false
    gone = new Promise((done) => { started.once('exit', () => { over = true; done() }) })
    for (const giveUp = Date.now() + 30_000; ;) {
      try { await ask(url, 'select 1'); return } catch (error) {
        if (over || Date.now() > giveUp) throw new Error(`PostgreSQL did not start: ${readFileSync(join(folder, 'log'), 'utf8').slice(-2000)}`, { cause: error })
        await sleep(20)
      }
    }
  }
  async function stop(how: 'fast' | 'immediate'): Promise<void> {
    // Waited for now, so it keeps this process.
    child?.ref()
    child?.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT')
    await gone
  }
  const destroy = async (): Promise<void> => {
    process.off('exit', atExit)
    await stop('immediate')
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  function atExit(): void {
    child?.kill('SIGQUIT')
    // Its last process still writes for an instant, and nothing can be awaited here.
    for (let n = 0; n < 100 && existsSync(folder); n += 1) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
      try { rmSync(folder, { recursive: true, force: true }) } catch { /* still writing */ }
    }
  }
  process.on('exit', atExit)
  await start()
  if (address !== undefined) {
    const secret = randomUUID()
    appendFileSync(join(data, 'pg_hba.conf'), 'host all all 0.0.0.0/0 scram-sha-256\n')
    await ask(url, `alter user sluice password '${secret}'`)
    await ask(url, 'select pg_reload_conf()')
    return { url: url.replace('never-in-a-log', secret).replace('127.0.0.1', address), start, stop, destroy }
  }
  return {
    url, start, stop, destroy,
  }
}

/** Who runs it when we are root. */
function servant(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const line = readFileSync('/etc/passwd', 'utf8').split('\n').find((one) => /^(postgres|nobody):/.test(one))
  if (!line) throw new Error('PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody')
  const [, , uid, gid] = line.split(':')
  return { uid: Number(uid), gid: Number(gid) }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
