/**
 * The control plane is killed at a seeded sample of the checkpoints of each action, on PostgreSQL: the lease of the dead one
 * has to end before its successor goes on. All of them run in `npm run test:sweep`. The seed is the date, or SLUICE_TEST_SEED.
 */
import { test } from 'node:test'
import { redisHaScenarios } from './crash/ha.ts'
import { redisScenarios } from './crash/scenarios.ts'
import { sweep } from './crash/sweep.ts'

const seed = Number(process.env['SLUICE_TEST_SEED'] ?? new Date().toISOString().slice(0, 10).replaceAll('-', ''))
console.log(`SLUICE_TEST_SEED=${seed}`)
/** One of the first seven, which all actions pass. */
const sample = (index: number) => (at: number): boolean => at === 1 + (seed + index * 3) % 7

for (const [index, scenario] of [...redisScenarios, ...redisHaScenarios.filter(({ name }) => /r2 (soft_restart|flush)/.test(name))].entries()) {
  test(`${scenario.name} on PostgreSQL: killed at one of its checkpoints, it happens exactly once`, async (t) => {
    for (const point of await sweep(scenario, sample(index), { SLUICE_TEST_DATABASE: 'postgres' })) t.diagnostic(`${point.at} ${point.checkpoint}${point.accepted ? ', after the 200' : ''}`)
  })
}
