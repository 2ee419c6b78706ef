/**
 * `npm run test:sweep`: all points of all actions of all engines, both ways of addressing and both databases. Resumable: what passed
 * is kept in a file beside the system's temporary files (or `--state FILE`) and not run again; `--fresh` starts over, and
 * `--only TEXT` takes the rows with that in their name. Prints its table at the end.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { backupScenarios } from './backup.ts'
import { redisClusterScenarios } from './cluster.ts'
import { growBlow, growSteps, growTurns, growVictims, redisClusterGrows } from './cluster-grow.ts'
import { freezeControlPlane, nodeBlow, redisHaNodeScenarios, redisHaScenarios } from './ha.ts'
import { kafkaClusterScenarios, kafkaScenarios } from './kafka.ts'
import { redisScenarios, type Scenario } from './scenarios.ts'
import { sweep, type Blow, type Point } from './sweep.ts'

/** What is swept: scenarios, what happens at each of their checkpoints, and at which of them when not at all. */
interface Row { readonly scenarios: readonly Scenario[]; readonly blow?: Blow; readonly every?: number; readonly only?: readonly number[] }
const rows: readonly Row[] = [
  // The control plane is killed.
  { scenarios: redisScenarios }, { scenarios: kafkaScenarios }, { scenarios: redisHaScenarios }, { scenarios: redisClusterScenarios }, { scenarios: kafkaClusterScenarios }, { scenarios: backupScenarios },
  { scenarios: redisHaNodeScenarios, blow: freezeControlPlane },
  // A node is hit.
  { scenarios: redisHaNodeScenarios, blow: nodeBlow('kill', 'master') }, { scenarios: redisHaNodeScenarios, blow: nodeBlow('kill', 'next master') },
  { scenarios: redisHaNodeScenarios, blow: nodeBlow('freeze 1500', 'master') }, { scenarios: redisHaNodeScenarios, blow: nodeBlow('freeze 1500', 'next master') },
  // Each costs the ten seconds after which a node counts as hanging, or forty where nobody is working on the instance.
  { scenarios: redisHaNodeScenarios, blow: nodeBlow('stop', 'master'), every: 4 }, { scenarios: redisHaNodeScenarios, blow: nodeBlow('stop', 'last replica'), every: 4 },
  // It passes more checkpoints than are ever swept, the same ones for every few slots: so each of those, by name.
  ...growVictims.flatMap((victim) => growSteps.map((step) => ({ scenarios: [redisClusterGrows], blow: growBlow(step, victim), only: growTurns }))),
]

const { values } = parseArgs({ options: { state: { type: 'string' }, fresh: { type: 'boolean' }, only: { type: 'string', default: '' } } })
const statePath = values.state ?? join(tmpdir(), 'sluice-sweep.json')
if (values.fresh) rmSync(statePath, { force: true })
const done: Record<string, Point[]> = existsSync(statePath) ? JSON.parse(readFileSync(statePath, 'utf8')) : {}

const oneHost = { SLUICE_NODE_HOST: '127.0.0.1', SLUICE_NODE_PORTS: '23000-23400' }
// On PostgreSQL each kill costs the eight seconds of a lease; how nodes are addressed is nothing to the database.
const modes: readonly (readonly [string, NodeJS.ProcessEnv])[] = [['own addresses', {}], ['one host', oneHost], ['own addresses, PostgreSQL', { SLUICE_TEST_DATABASE: 'postgres' }]]
const failures: string[] = []
for (const [mode, env] of modes) {
  for (const { scenario, blow, every, only } of rows.flatMap(({ scenarios, ...how }) => scenarios.map((scenario) => ({ scenario, blow: undefined, every: 1, only: undefined, ...how })))) {
    const name = `${scenario.name}, ${mode}${blow ? `, ${blow.name}` : ''}`
    if (!name.includes(values.only)) continue
    if (done[name]) { console.log(`kept  ${name}`); continue }
    try {
      done[name] = await sweep(scenario, (at) => only?.includes(at) ?? at % every === 0, env, blow)
      writeFileSync(statePath, JSON.stringify(done))
      console.log(done[name].length > 0 ? `ok    ${name}: ${done[name].length} points` : `none  ${name}: not offered by this release`)
    } catch (error) {
      failures.push(name)
      console.log(`FAIL  ${name}: ${(error as Error).message}`)
    }
  }
}

console.log('\n| action | points | checkpoints hit |\n|---|---|---|')
for (const [name, points] of Object.entries(done)) console.log(`| ${name} | ${points.length} | ${[...new Set(points.map((point) => point.checkpoint.replace(/^\d+ /, '')))].join(', ')} |`)
const points = Object.values(done).flat().length
console.log(`${points} passed, ${failures.length} failed`)
process.exitCode = failures.length === 0 ? 0 : 1
