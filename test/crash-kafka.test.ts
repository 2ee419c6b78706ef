/**
 * A seeded sample of the kill points of Kafka's actions, and of Redis's with one shared host address. All of them run in
 * `npm run test:sweep`. The seed is the date, or SLUICE_TEST_SEED; it is printed.
 */
import { test } from 'node:test'
import { kafkaClusterScenarios, kafkaScenarios } from './crash/kafka.ts'
import { redisScenarios } from './crash/scenarios.ts'
import { sweep } from './crash/sweep.ts'

const seed = Number(process.env['SLUICE_TEST_SEED'] ?? new Date().toISOString().slice(0, 10).replaceAll('-', ''))
console.log(`SLUICE_TEST_SEED=${seed}`)
/** Points 1 to 8, two of them for each scenario; the last ones may lie behind its end, which is a run without a kill. */
const sample = (index: number) => (at: number): boolean => (at + index + seed) % 4 === 0

for (const [index, scenario] of kafkaScenarios.entries()) {
  test(`${scenario.name}: killed at a sample of its checkpoints, it happens exactly once`, async (t) => {
    for (const point of await sweep(scenario, sample(index))) t.diagnostic(`${point.at} ${point.checkpoint}${point.accepted ? ', after the 200' : ''}`)
  })
}

// Three brokers have three times the checkpoints, and each run takes three times as long: one of them, and a run to its end.
for (const [index, scenario] of kafkaClusterScenarios.entries()) {
  test(`${scenario.name}: killed at one of its checkpoints, it happens exactly once`, async (t) => {
    for (const point of await sweep(scenario, (at) => at === 1 + (seed + index * 5) % 12 || at === 60)) t.diagnostic(`${point.at} ${point.checkpoint}${point.accepted ? ', after the 200' : ''}`)
  })
}

for (const [index, scenario] of redisScenarios.entries()) {
  test(`${scenario.name} on one host address: killed at a sample of its checkpoints, it happens exactly once`, async () => {
    await sweep(scenario, sample(index), { SLUICE_NODE_HOST: '127.0.0.1', SLUICE_NODE_PORTS: '22000-22400' })
  })
}
