/**
 * `npm run test:sweep`: all kill points of all actions of all engines and both ways of addressing. Resumable: what passed
 * is kept in a file beside the system's temporary files (or `--state FILE`) and not run again; `--fresh` starts over.
 * Prints its table at the end.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { kafkaScenarios, redisScenarios } from './scenarios.ts'
import { sweep, type Point } from './sweep.ts'

const { values } = parseArgs({ options: { state: { type: 'string' }, fresh: { type: 'boolean' } } })
const statePath = values.state ?? join(tmpdir(), 'sluice-sweep.json')
if (values.fresh) rmSync(statePath, { force: true })
const done: Record<string, Point[]> = existsSync(statePath) ? JSON.parse(readFileSync(statePath, 'utf8')) : {}

const modes: readonly (readonly [string, NodeJS.ProcessEnv])[] = [['own addresses', {}], ['one host', { SLUICE_NODE_HOST: '127.0.0.1', SLUICE_NODE_PORTS: '23000-23400' }]]
const failures: string[] = []
for (const [mode, env] of modes) {
  for (const scenario of [...redisScenarios, ...kafkaScenarios]) {
    const name = `${scenario.name}, ${mode}`
    if (done[name]) { console.log(`kept  ${name}`); continue }
    try {
      done[name] = await sweep(scenario, undefined, env)
      writeFileSync(statePath, JSON.stringify(done))
      console.log(`ok    ${name}: ${done[name].length} kills`)
    } catch (error) {
      failures.push(name)
      console.log(`FAIL  ${name}: ${(error as Error).message}`)
    }
  }
}

console.log('\n| action | kill points | checkpoints killed at |\n|---|---|---|')
for (const [name, points] of Object.entries(done)) console.log(`| ${name} | ${points.length} | ${[...new Set(points.map((point) => point.checkpoint.replace(/^\d+ /, '')))].join(', ')} |`)
const kills = Object.values(done).flat().length
console.log(`${kills} passed, ${failures.length} failed`)
process.exitCode = failures.length === 0 ? 0 : 1
