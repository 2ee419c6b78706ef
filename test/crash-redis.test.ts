/** The control plane is killed at every checkpoint of every action on one Redis, and the world must be right afterwards. */
import { test } from 'node:test'
import { redisScenarios } from './crash/scenarios.ts'
import { sweep } from './crash/sweep.ts'

for (const scenario of redisScenarios) {
  test(`${scenario.name}: killed after every durable write and every call that changes the world, it happens exactly once`, async (t) => {
    const points = await sweep(scenario)
    for (const point of points) t.diagnostic(`${point.at} ${point.checkpoint}${point.accepted ? ', after the 200' : ''}`)
    if (points.length < 3) throw new Error(`only ${points.length} points: the checkpoints are not passed`)
  })
}
