/**
 * A sample of the sweeps of a replicated Redis, another one each time: `SLUICE_SEED` runs one again. All of it is in
 * `npm run test:sweep`.
 */
import { randomInt } from 'node:crypto'
import { test, type TestContext } from 'node:test'
import { freezeControlPlane, nodeBlow, redisHaNodeScenarios, redisHaScenarios } from './crash/ha.ts'
import { sweep, type Blow } from './crash/sweep.ts'
import type { Scenario } from './crash/scenarios.ts'

const seed = Number(process.env['SLUICE_SEED'] ?? randomInt(1_000_000))
/** mulberry32: the same numbers for the same seed. */
let state = seed
function random(below: number): number {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) % below
}

const modes: readonly (readonly [string, NodeJS.ProcessEnv])[] = [['own addresses', {}], ['one host', { SLUICE_NODE_HOST: '127.0.0.1', SLUICE_NODE_PORTS: '23450-23700' }]]
const named = (list: readonly Scenario[], name: string): Scenario => list.find((scenario) => scenario.name === `redis ha ${name}`)!
/** A soft restart of two nodes passes some 22 checkpoints, with much data 35, of three 35; its handover is in the middle. */
const samples: readonly { readonly scenario: Scenario; readonly points: readonly number[]; readonly blow?: Blow }[] = [
  { scenario: named(redisHaScenarios, 'r2 soft_restart'), points: [1 + random(7), 8 + random(5), 13 + random(8)] },
  { scenario: named(redisHaScenarios, 'r2 soft_restart of much data'), points: [1 + random(16), 17 + random(16)] },
  { scenario: named(redisHaNodeScenarios, 'r2 soft_restart of much data'), points: [1 + random(32)], blow: nodeBlow('kill', (['master', 'next master'] as const)[random(2)]!) },
  { scenario: named(redisHaScenarios, 'r2 recovery of a killed master'), points: [1 + random(6)] },
  { scenario: named(redisHaScenarios, 'r2 configure'), points: [2 + random(3)] },
  { scenario: named(redisHaScenarios, 'r2 flush'), points: [2 + random(3)] },
  { scenario: named(redisHaNodeScenarios, 'r2 soft_restart'), points: [8 + random(5)], blow: freezeControlPlane },
  { scenario: named(redisHaNodeScenarios, 'r3 soft_restart'), points: [1 + random(30)], blow: nodeBlow('kill', (['master', 'next master', 'last replica'] as const)[random(3)]!) },
  { scenario: named(redisHaNodeScenarios, 'r2 soft_restart'), points: [8 + random(5)], blow: nodeBlow('freeze 1500', (['master', 'next master'] as const)[random(2)]!) },
]

for (const [mode, env] of modes) {
  for (const { scenario, points, blow } of samples) {
    test(`${scenario.name}, ${mode}: ${blow?.name ?? 'kill'} at ${points.join(', ')} (seed ${seed})`, (t) => sampled(t, scenario, points, env, blow))
  }
}

async function sampled(t: TestContext, scenario: Scenario, points: readonly number[], env: NodeJS.ProcessEnv, blow?: Blow): Promise<void> {
  for (const point of await sweep(scenario, (at) => points.includes(at), env, blow)) t.diagnostic(`${point.checkpoint}${point.accepted ? ', accepted' : ''}: ${point.remark ?? ''}`)
}
