/** Accepting restarts of fifty instances in one call, beside a bare route that commits the same rows as durably. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { randomUUID } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { freeBase } from '../support/server.ts'
import { each, folder, rounds } from './ground.ts'
import { median, quantile, type Line } from './report.ts'

export const batch = 50
/** Batches of a round; each has instances of its own, so that all of them are accepted. */
export const batches = 24
/** Callers at once. */
export const callers = 4

export async function accept(): Promise<Line[]> {
  const work = folder()
  const sides = { sluice: await start(work, 'sluice', 1), bare: await start(work, 'bare', 0) }
  const run = async (side: Side): Promise<void> => { side.rates.push(await round(side, side.times)) }
  // Both are warm before anything counts: the first hundreds of requests run in an interpreter.
  for (const side of [sides.sluice, sides.bare]) {
    for (let n = 0; n < 12; n += 1) await round(side, [])
  }
  await rounds({ most: 40, least: 6, ms: 20_000 }, () => run(sides.sluice), () => run(sides.bare))
  for (const side of [sides.sluice, sides.bare]) {
    side.agent.destroy()
    const gone = once(side.child, 'exit')
    side.child.disconnect()
    await gone
  }
  const line = (what: string, of: (side: Side) => number): Pick<Line, 'topic' | 'what' | 'sluice' | 'bare'> => ({ topic: 'accept', what, sluice: of(sides.sluice), bare: of(sides.bare) })
  const samples = sides.sluice.times.length
  return [
    { ...line(`batches of ${batch} a second, ${callers} callers, median round`, (side) => median(side.rates)), unit: 'requests/s', samples: sides.sluice.rates.length, target: { atLeast: 0.5 }, note: `bare: Fastify and better-sqlite3, ${3 * batch} rows a commit, synchronous=FULL` },
    { ...line('one batch, p50', (side) => quantile(side.times, 0.5)), unit: 'ms', samples },
    { ...line('one batch, p99', (side) => quantile(side.times, 0.99)), unit: 'ms', samples },
  ]
}

export interface Side {
  readonly child: ChildProcess; readonly agent: Agent; readonly port: number; readonly path: string
  readonly headers: Readonly<Record<string, string>>; readonly bodies: readonly string[]
  /** Of the stored instances. */
  readonly ids: readonly string[]
  readonly rates: number[]; readonly times: number[]
}

/** One process that accepts, with instances of its own; or beside others that share theirs, none. */
export async function start(work: string, name: string, offset: number, { project = randomUUID().replaceAll('-', ''), databaseUrl = '', count = batch * batches } = {}): Promise<Side> {
  const base = await freeBase()
  const home = mkdtempSync(join(work, `${name}-`))
  const child = fork(join(import.meta.dirname, `accept-${name}.ts`), [home, String(base), project, String(count)], { cwd: work, env: { ...process.env, SLUICE_DATABASE_URL: databaseUrl }, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [ready] = await once(child, 'message', { signal: AbortSignal.timeout(20_000) }) as [{ ids: string[] }]
  const agent = new Agent({ keepAlive: true, maxSockets: callers })
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (offset > 0) {
    const token = await send({ agent, port: base, path: '/v3/auth/tokens', headers }, 'POST', JSON.stringify({ auth: { identity: { methods: ['password'], password: { user: { name: 'admin', password: 'Bench-Passw0rd', domain: { name: 'sluice' } } } }, scope: { project: { id: project } } } }))
    headers['x-auth-token'] = String(token.headers['x-subject-token'])
  }
  const bodies = Array.from({ length: batches }, (_, n) => JSON.stringify({ action: 'restart', instances: ready.ids.slice(n * batch, (n + 1) * batch) }))
  return { child, agent, port: base + offset, path: `/v2/${project}/instances/status`, headers, bodies, ids: ready.ids, rates: [], times: [] }
}

/** Sends every batch once, then makes the instances free again outside the measured time. Answers requests a second. */
async function round(side: Side, times: number[]): Promise<number> {
  const started = performance.now()
  await each(side.bodies, callers, async (body) => {
    const sent = performance.now()
    const { status, text } = await send(side, 'PUT', body)
    times.push(performance.now() - sent)
    if (status !== 200 || text.split('"success"').length - 1 !== batch) throw new Error(`not every restart was accepted: ${status} ${text.slice(0, 300)}`)
  })
  const rate = side.bodies.length / (performance.now() - started) * 1000
  const finished = once(side.child, 'message', { signal: AbortSignal.timeout(20_000) })
  side.child.send('finish')
  await finished
  return rate
}

export function send(to: { readonly agent: Agent; readonly port: number; readonly path: string; readonly headers: Readonly<Record<string, string>> }, method: string, body: string): Promise<{ status: number; text: string; headers: Readonly<Record<string, unknown>> }> {
  return new Promise((resolve, reject) => {
    const sending = request({ agent: to.agent, host: '127.0.0.1', port: to.port, path: to.path, method, headers: { ...to.headers, 'content-length': Buffer.byteLength(body) } }, (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (data) => { text += data }).on('end', () => resolve({ status: answer.statusCode!, text, headers: answer.headers })).on('error', reject)
    })
    sending.on('error', reject).end(body)
  })
}
