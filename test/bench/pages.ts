/** Lists, single instances and acceptance with a hundred and with ten thousand stored instances. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { freeBase } from '../support/server.ts'
import { each, folder, rounds } from './ground.ts'
import { median, quantile, type Line } from './report.ts'

const [few, many] = [100, 10_000] as const
const page = 100
/** Of one batch; the smaller side has no more to spare. */
const batch = 10
const callers = 4
const shows = 400

/** The larger side beside the smaller: what does not grow has the ratio 1. */
export async function pages(): Promise<Line[]> {
  const work = folder()
  const [small, large, bare] = [await start(work, 'sluice', few), await start(work, 'sluice', many), await start(work, 'bare', few)]
  const sides = [small, large]
  const lists = new Map(sides.map((side): [Side, number[]] => [side, []]))
  const accepts = new Map(sides.map((side): [Side, number[]] => [side, []]))
  const rates = new Map([...sides, bare].map((side): [Side, number[]] => [side, []]))
  const list = async (side: Side, times: number[]): Promise<void> => {
    const sent = performance.now()
    const { status, text } = await send(side, 'GET', `?limit=${page}`)
    times.push(performance.now() - sent)
    if (status !== 200 || JSON.parse(text).instances.length !== page) throw new Error(`no page: ${status} ${text.slice(0, 200)}`)
  }
  const accept = async (side: Side, times: number[]): Promise<void> => {
    const sent = performance.now()
    const { status, text } = await send(side, 'PUT', '/status', JSON.stringify({ action: 'restart', instances: side.ids.slice(0, batch) }))
    times.push(performance.now() - sent)
    if (status !== 200 || text.includes('failed')) throw new Error(`not accepted: ${status} ${text.slice(0, 200)}`)
    const finished = once(side.child, 'message', { signal: AbortSignal.timeout(20_000) })
    side.child.send('finish')
    await finished
  }
  const show = async (side: Side, rate: number[]): Promise<void> => {
    const started = performance.now()
    await each(side.ids.slice(0, 50).flatMap((id) => Array.from({ length: shows / 50 }, () => id)), callers, async (id) => { if ((await send(side, 'GET', `/${id}`)).status !== 200) throw new Error('not shown') })
    rate.push(shows / (performance.now() - started) * 1000)
  }
  for (const side of sides) for (let n = 0; n < 60; n += 1) { await list(side, []); await accept(side, []); if (n % 6 === 0) await show(side, []) }
  for (let n = 0; n < 10; n += 1) await show(bare, [])
  const turn = async (side: Side): Promise<void> => {
    for (let n = 0; n < 10; n += 1) await list(side, lists.get(side)!)
    for (let n = 0; n < 5; n += 1) await accept(side, accepts.get(side)!)
    await show(side, rates.get(side)!)
  }
  await rounds({ most: 20, least: 6, ms: 20_000 }, async () => { await turn(small); await show(bare, rates.get(bare)!) }, () => turn(large))
  for (const { child, agent } of [small, large, bare]) {
    agent.destroy()
    const gone = once(child, 'exit')
    child.disconnect()
    await gone
  }
  const samples = lists.get(large)!.length
  const note = `bare: the same with ${few} stored`
  return [
    { topic: 'pages', what: `a page of ${page}, ${many} stored, p50`, unit: 'ms', sluice: quantile(lists.get(large)!, 0.5), bare: quantile(lists.get(small)!, 0.5), limit: 10, samples, note },
    { topic: 'pages', what: `a page of ${page}, ${many} stored, p99`, unit: 'ms', sluice: quantile(lists.get(large)!, 0.99), bare: quantile(lists.get(small)!, 0.99), samples },
    { topic: 'pages', what: `accepting a batch of ${batch}, ${many} stored, p50`, unit: 'ms', sluice: quantile(accepts.get(large)!, 0.5), bare: quantile(accepts.get(small)!, 0.5), samples: accepts.get(large)!.length, note },
    { topic: 'pages', what: `one instance shown, ${many} stored, ${callers} callers`, unit: 'requests/s', sluice: median(rates.get(large)!), bare: median(rates.get(bare)!), target: { atLeast: 0.5 }, samples: rates.get(large)!.length, note: 'bare: a Fastify route that answers as much from memory' },
  ]
}

interface Side { readonly child: ChildProcess; readonly agent: Agent; readonly port: number; readonly path: string; readonly headers: Record<string, string>; readonly ids: readonly string[] }

async function start(work: string, name: 'sluice' | 'bare', count: number): Promise<Side> {
  const [base, project] = [await freeBase(), randomUUID().replaceAll('-', '')]
  const home = join(work, `${name}-${count}`)
  mkdirSync(home, { mode: 0o700 })
  const child = fork(join(import.meta.dirname, `accept-${name}.ts`), [home, String(base), project, String(count)], { cwd: work, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [ready] = await once(child, 'message', { signal: AbortSignal.timeout(60_000) }) as [{ ids: string[] }]
  const agent = new Agent({ keepAlive: true, maxSockets: callers })
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  const side = { child, agent, headers, ids: ready.ids, port: base + (name === 'sluice' ? 1 : 0), path: `/v2/${project}/instances` }
  if (name === 'sluice') {
    const asked = JSON.stringify({ auth: { identity: { methods: ['password'], password: { user: { name: 'admin', password: 'Bench-Passw0rd', domain: { name: 'sluice' } } } }, scope: { project: { id: project } } } })
    headers['x-auth-token'] = String((await send({ ...side, port: base, path: '/v3/auth' }, 'POST', '/tokens', asked)).headers['x-subject-token'])
  }
  return side
}

function send(to: Pick<Side, 'agent' | 'port' | 'path' | 'headers'>, method: string, path: string, body?: string): Promise<{ status: number; text: string; headers: Readonly<Record<string, unknown>> }> {
  return new Promise((resolve, reject) => {
    const sent = request({ agent: to.agent, host: '127.0.0.1', port: to.port, method, path: to.path + path, headers: body === undefined ? to.headers : { ...to.headers, 'content-length': Buffer.byteLength(body) } }, (answer) => {
      let text = ''
      answer.setEncoding('utf8').on('data', (data) => { text += data }).on('end', () => resolve({ status: answer.statusCode!, text, headers: answer.headers }))
    })
    sent.on('error', reject).end(body)
  })
}
