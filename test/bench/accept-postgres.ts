/** Accepting batches on PostgreSQL with one, two and three control planes, beside bare routes on the same server that commit the same rows. */
import { once } from 'node:events'
import { freshDatabase, startPostgres } from '../support/postgres.ts'
import { batch, batches, callers, send, start, type Side } from './accept.ts'
import { atEnd, each, folder, rounds } from './ground.ts'
import { median, quantile, type Line } from './report.ts'

const most = 3

export async function acceptPostgres(): Promise<Line[]> {
  const work = folder()
  const postgres = await startPostgres()
  atEnd(() => postgres.destroy())
  const [sluice, bare] = [await crew(work, 'sluice', 1), await crew(work, 'bare-postgres', 0)]
  const lines: Line[] = []
  for (let planes = 1; planes <= most; planes += 1) {
    const [ours, theirs]: [number[], number[]] = [[], []]
    const [oursMs, theirsMs]: [number[], number[]] = [[], []]
    for (let n = 0; n < 6; n += 1) { await round(sluice, planes, []); await round(bare, planes, []) }
    await rounds({ most: 30, least: 6, ms: 15_000 }, async () => { ours.push(await round(sluice, planes, oursMs)) }, async () => { theirs.push(await round(bare, planes, theirsMs)) })
    const line = (what: string, of: (rates: readonly number[], times: readonly number[]) => number): Pick<Line, 'topic' | 'what' | 'sluice' | 'bare'> => ({ topic: 'postgres', what: `${what}, ${planes} control plane${planes > 1 ? 's' : ''}`, sluice: of(ours, oursMs), bare: of(theirs, theirsMs) })
    lines.push(
      { ...line(`batches of ${batch} a second, ${callers} callers, median round`, (rates) => median(rates)), unit: 'requests/s', samples: ours.length, target: { atLeast: 0.5 }, note: `bare: Fastify and pg, ${3 * batch} rows in one transaction of three statements, on the same server` },
      { ...line('one batch, p50', (_, times) => quantile(times, 0.5)), unit: 'ms', samples: oursMs.length },
    )
  }
  for (const side of [...sluice, ...bare]) {
    side.agent.destroy()
    const gone = once(side.child, 'exit')
    side.child.disconnect()
    await gone
  }
  return lines

  /** Processes that share one database; the first one has filled it. */
  async function crew(in_: string, name: string, offset: number): Promise<Side[]> {
    const { url: databaseUrl } = await freshDatabase(postgres)
    const project = '0123456789abcdef0123456789abcdef'
    const first = await start(in_, name, offset, { databaseUrl, project })
    return [first, ...await Promise.all(Array.from({ length: most - 1 }, () => start(in_, name, offset, { databaseUrl, project, count: 0 })))]
  }
}

/** Sends every batch once, to so many of the processes in turns, then makes the instances free again. Answers requests a second. */
async function round(sides: readonly Side[], planes: number, times: number[]): Promise<number> {
  let next = 0
  const [first] = sides as [Side]
  const started = performance.now()
  await each(first.bodies, callers, async (body) => {
    const sent = performance.now()
    const { status, text } = await send(sides[next++ % planes]!, 'PUT', body)
    times.push(performance.now() - sent)
    if (status !== 200 || text.split('"success"').length - 1 !== batch) throw new Error(`not every restart was accepted: ${status} ${text.slice(0, 300)}`)
  })
  const rate = batches / (performance.now() - started) * 1000
  const finished = once(first.child, 'message', { signal: AbortSignal.timeout(20_000) })
  first.child.send('finish')
  await finished
  return rate
}
