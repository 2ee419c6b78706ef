/**
 * `npm run bench [-- --only NAME] [--json FILE]`: how fast Sluice is, each figure beside the bare thing in the same run.
 * Real servers on this machine's loopback; a few minutes on two cores; nothing is left behind. Quote the ratios: the
 * times are those of this machine at this moment. Its own garbage is collected often, by itself and only as far as it is young (package.json): by default
 * that stopped the four writers of a gap for 20 to 70 ms at a time, and looking through all of the heap every three seconds for 5 to 25, with nothing going on.
 */
import { writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { accept } from './accept.ts'
import { acceptPostgres } from './accept-postgres.ts'
import { endAll } from './ground.ts'
import { cluster } from './cluster.ts'
import { ha } from './ha.ts'
import { restart50, soft } from './restarts.ts'
import { kafka } from './kafka.ts'
import { kubernetes } from './kubernetes.ts'
import { roll } from './kafka-roll.ts'
import { pages } from './pages.ts'
import { plane } from './plane.ts'
import { scale, scaleKubernetes } from './scale.ts'
import { isMet, ratioOf, table, type Line } from './report.ts'

/** A machine on which this takes longer has other things to do. */
const overAfterMs = 20 * 60_000
const topics: Readonly<Record<string, () => Promise<Line[]>>> = { accept, postgres: acceptPostgres, restart50, soft, ha, cluster, kafka, roll, plane, pages, scale, kubernetes, 'scale-kubernetes': scaleKubernetes }

const { values } = parseArgs({ options: { only: { type: 'string', multiple: true }, json: { type: 'string' } } })
/** Eight gigabytes of servers, or a cluster: not every machine has them to spare, so only when they are asked for. */
const onlyAsked = ['scale', 'kubernetes', 'scale-kubernetes']
const wanted = Object.keys(topics).filter((name) => values.only === undefined ? !onlyAsked.includes(name) : values.only.includes(name))
if (wanted.length === 0) { console.error(`--only takes ${Object.keys(topics).join(', ')}`); process.exit(2) }

async function cut(why: string): Promise<void> {
  console.error(`bench: ${why}`)
  await endAll()
  process.exit(1)
}
process.on('SIGINT', () => void cut('interrupted'))
process.on('SIGTERM', () => void cut('interrupted'))
setTimeout(() => void cut(`not done after ${overAfterMs / 60_000} minutes`), overAfterMs).unref()

const lines: Line[] = []
for (const name of wanted) {
  const started = Date.now()
  try { lines.push(...await topics[name]!()) } catch (error) {
    process.exitCode = 1
    console.error(`bench: ${name} could not be measured: ${(error as Error).stack}`)
  } finally { await endAll() }
  console.error(`${name}: ${((Date.now() - started) / 1000).toFixed(0)} s`)
}
console.log(table(lines))
const result = JSON.stringify({
  at: new Date().toISOString(), node: process.version, cpus: cpus().length, cpu: cpus()[0]?.model ?? null, memoryGb: Math.round(totalmem() / 1024 ** 3),
  lines: lines.map((line) => ({ ...line, ratio: ratioOf(line), met: isMet(line) })),
}, null, 2)
if (values.json) writeFileSync(values.json, `${result}\n`)
else console.log(`\n${result}`)
// Clients of a topic that failed would hold it.
process.exit()
