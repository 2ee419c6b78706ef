/**
 * `npm run test:sweep`: all points of all actions of all engines, both ways of addressing and both databases. Resumable: what passed
 * is kept in a file beside the system's temporary files (or `--state FILE`) and not run again; `--fresh` starts over,
 * `--only TEXT` takes the rows with that in their name, and `--jobs N` works at so many rows at once: most of a row is waiting. Prints its
 * table at the end.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { backupScenarios } from './backup.ts'
import { redisClusterScenarios } from './cluster.ts'
import { growTurns, moveBlow, moveSteps, moveVictims, redisClusterGrows, redisClusterGrowsInMemory, redisClusterShrinks } from './cluster-resize.ts'
import { freezeControlPlane, nodeBlow, redisHaNodeScenarios, redisHaScenarios } from './ha.ts'
import { kafkaClusterScenarios, kafkaScenarios } from './kafka.ts'
import { redisScenarios, type Scenario } from './scenarios.ts'
import { redisTls } from './tls.ts'
import { heedSignals } from '../support/cut.ts'
import { sweep, type Blow, type Point } from './sweep.ts'
import { redisWhitelist } from './whitelist.ts'

const modes = ['own addresses', 'one host', 'own addresses, PostgreSQL'] as const
type Mode = typeof modes[number]
/** A node that dies is nothing to the database, nor are slots that move to how nodes are addressed. */
const [bothWays, oneWay] = [modes.slice(0, 2), modes.slice(0, 1)]

/** What is swept: scenarios, what happens at each of their checkpoints, at which of them when not at all, and in which modes. */
interface Row { readonly scenarios: readonly Scenario[]; readonly blow?: Blow; readonly every?: number; readonly only?: readonly number[]; readonly modes?: readonly Mode[] }
const rows: readonly Row[] = [
  // The control plane is killed.
  { scenarios: redisScenarios }, { scenarios: kafkaScenarios }, { scenarios: redisHaScenarios }, { scenarios: redisClusterScenarios }, { scenarios: kafkaClusterScenarios }, { scenarios: backupScenarios }, { scenarios: [redisWhitelist] }, { scenarios: [redisTls] },
  { scenarios: redisHaNodeScenarios, blow: freezeControlPlane },
  // A node is hit.
  { scenarios: redisHaNodeScenarios, blow: nodeBlow('kill', 'master'), modes: bothWays }, { scenarios: redisHaNodeScenarios, blow: nodeBlow('kill', 'next master'), modes: bothWays },
  { scenarios: redisHaNodeScenarios, blow: nodeBlow('freeze 1500', 'master'), modes: bothWays }, { scenarios: redisHaNodeScenarios, blow: nodeBlow('freeze 1500', 'next master'), modes: bothWays },
  // Each costs the ten seconds after which a node counts as hanging, or forty where nobody is working on the instance.
  { scenarios: redisHaNodeScenarios, blow: nodeBlow('stop', 'master'), modes: bothWays, every: 4 }, { scenarios: redisHaNodeScenarios, blow: nodeBlow('stop', 'last replica'), modes: bothWays, every: 4 },
  // It passes more checkpoints than are ever swept, the same ones for every few slots: so each of those, by name.
  ...moveVictims.flatMap((victim) => moveSteps.map((step) => ({ scenarios: [redisClusterGrows], blow: moveBlow('grow', step, victim), only: growTurns, modes: oneWay }))),
  ...moveSteps.map((step) => ({ scenarios: [redisClusterGrowsInMemory], blow: moveBlow('grow', step, 'the taking master'), only: growTurns, modes: oneWay })),
  ...(['shrink', 'last'] as const).flatMap((move) => moveVictims.flatMap((victim) => moveSteps.map((step) => ({ scenarios: [redisClusterShrinks], blow: moveBlow(move, step, victim), only: [1], modes: oneWay })))),
]

const portsOfLane = 400
const { values } = parseArgs({ options: { state: { type: 'string' }, fresh: { type: 'boolean' }, only: { type: 'string', default: '' }, jobs: { type: 'string', default: '1' }, help: { type: 'boolean' } } })
if (values.help) {
  console.log('npm run test:sweep [-- --only TEXT] [--jobs N] [--state FILE] [--fresh]\nRows with TEXT in their name, N at once; what passed is kept in FILE and not run again unless --fresh is given.')
  process.exit()
}
const statePath = values.state ?? join(tmpdir(), 'sluice-sweep.json')
if (values.fresh) rmSync(statePath, { force: true })
const done: Record<string, Point[]> = existsSync(statePath) ? JSON.parse(readFileSync(statePath, 'utf8')) : {}

// On PostgreSQL each kill costs the eight seconds of a lease.
const todo = modes.flatMap((mode) => rows.filter((row) => (row.modes ?? modes).includes(mode)).flatMap(({ scenarios, blow, every = 1, only }) => scenarios.map((scenario) => ({
  name: `${scenario.name}, ${mode}${blow ? `, ${blow.name}` : ''}`, mode, scenario, blow, picked: (at: number) => only?.includes(at) ?? at % every === 0,
})))).filter(({ name }) => name.includes(values.only))
const failures: string[] = []
// Told to end, no lane begins another row while what runs is ended.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => { todo.length = 0 })
heedSignals()

/** Rows at the same time must not meet on one host: each lane has ports of its own. */
function settings(mode: Mode, lane: number): NodeJS.ProcessEnv {
  if (mode === 'own addresses') return {}
  if (mode === 'own addresses, PostgreSQL') return { SLUICE_TEST_DATABASE: 'postgres' }
  const first = 26_000 + lane * portsOfLane
  return { SLUICE_NODE_HOST: '127.0.0.1', SLUICE_NODE_PORTS: `${first}-${first + portsOfLane - 1}` }
}

await Promise.all(Array.from({ length: Number(values.jobs) }, async (_, lane) => {
  for (let row = todo.shift(); row; row = todo.shift()) {
    const { name, mode, scenario, blow, picked } = row
    if (done[name]) { console.log(`kept  ${name}`); continue }
    const since = Date.now()
    try {
      done[name] = await sweep(scenario, picked, settings(mode, lane), blow)
      writeFileSync(statePath, JSON.stringify(done))
      console.log(done[name].length > 0 ? `ok    ${name}: ${done[name].length} points in ${Math.round((Date.now() - since) / 1000)} s` : `none  ${name}: not offered by this release`)
    } catch (error) {
      failures.push(name)
      console.log(`FAIL  ${name}: ${(error as Error).message}`)
    }
  }
}))

console.log('\n| action | points | checkpoints hit |\n|---|---|---|')
for (const [name, points] of Object.entries(done)) console.log(`| ${name} | ${points.length} | ${[...new Set(points.map((point) => point.checkpoint.replace(/^\d+ /, '')))].join(', ')} |`)
const points = Object.values(done).flat().length
console.log(`${points} passed, ${failures.length} failed`)
process.exitCode = failures.length === 0 ? 0 : 1
