/** Lists and single instances with a hundred and with ten thousand stored instances, and acceptance with ten and with ten thousand. */
import { once } from 'node:events'
import { callers, send, start, type Side } from './accept.ts'
import { each, folder, rounds } from './ground.ts'
import { median, quantile, type Line } from './report.ts'

const [least, few, many] = [10, 100, 10_000] as const
const page = 100
/** Of one batch; the smallest side has no more to spare. */
const batch = 10
const shows = 400

/** The larger side beside the smaller: what does not grow has the ratio 1. */
export async function pages(): Promise<Line[]> {
  const work = folder()
  const [tiny, small, large, bare] = [await start(work, 'sluice', 1, { count: least }), await start(work, 'sluice', 1, { count: few }), await start(work, 'sluice', 1, { count: many }), await start(work, 'bare', 0, { count: few })]
  const sides = [small, large]
  const lists = new Map(sides.map((side): [Side, number[]] => [side, []]))
  const accepts = new Map([tiny, large].map((side): [Side, number[]] => [side, []]))
  const rates = new Map([...sides, bare].map((side): [Side, number[]] => [side, []]))
  const list = async (side: Side, times: number[]): Promise<void> => {
    const sent = performance.now()
    const { status, text } = await ask(side, 'GET', `?limit=${page}`)
    times.push(performance.now() - sent)
    if (status !== 200 || JSON.parse(text).instances.length !== page) throw new Error(`no page: ${status} ${text.slice(0, 200)}`)
  }
  const accept = async (side: Side, times: number[]): Promise<void> => {
    const sent = performance.now()
    const { status, text } = await ask(side, 'PUT', '/status', JSON.stringify({ action: 'restart', instances: side.ids.slice(0, batch) }))
    times.push(performance.now() - sent)
    if (status !== 200 || text.includes('failed')) throw new Error(`not accepted: ${status} ${text.slice(0, 200)}`)
    const finished = once(side.child, 'message', { signal: AbortSignal.timeout(20_000) })
    side.child.send('finish')
    await finished
  }
  const show = async (side: Side, rate: number[]): Promise<void> => {
    const started = performance.now()
    await each(side.ids.slice(0, 50).flatMap((id) => Array.from({ length: shows / 50 }, () => id)), callers, async (id) => { if ((await ask(side, 'GET', `/${id}`)).status !== 200) throw new Error('not shown') })
    rate.push(shows / (performance.now() - started) * 1000)
  }
  for (const side of sides) for (let n = 0; n < 60; n += 1) { await list(side, []); if (n % 6 === 0) await show(side, []) }
  for (const side of accepts.keys()) for (let n = 0; n < 60; n += 1) await accept(side, [])
  for (let n = 0; n < 10; n += 1) await show(bare, [])
  const turn = async (side: Side): Promise<void> => {
    for (let n = 0; n < 10; n += 1) await list(side, lists.get(side)!)
    await show(side, rates.get(side)!)
  }
  const acceptTurn = async (side: Side): Promise<void> => { for (let n = 0; n < 5; n += 1) await accept(side, accepts.get(side)!) }
  await rounds({ most: 20, least: 6, ms: 20_000 }, async () => { await turn(small); await acceptTurn(tiny); await show(bare, rates.get(bare)!) }, async () => { await turn(large); await acceptTurn(large) })
  for (const { child, agent } of [tiny, small, large, bare]) {
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
    { topic: 'pages', what: `accepting a batch of ${batch}, ${many} stored, p50`, unit: 'ms', sluice: quantile(accepts.get(large)!, 0.5), bare: quantile(accepts.get(tiny)!, 0.5), samples: accepts.get(large)!.length, note: `bare: the same with ${least} stored` },
    { topic: 'pages', what: `one instance shown, ${many} stored, ${callers} callers`, unit: 'requests/s', sluice: median(rates.get(large)!), bare: median(rates.get(bare)!), target: { atLeast: 0.5 }, samples: rates.get(large)!.length, note: 'bare: a Fastify route that answers as much from memory' },
  ]
}

/** By a path below the project's instances. */
function ask(side: Side, method: string, below: string, body = ''): ReturnType<typeof send> {
  return send({ ...side, path: side.path.replace(/\/status$/, below) }, method, body)
}
