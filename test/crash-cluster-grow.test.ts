/** One of the points of the sweep of addSharding, another one each time: `SLUICE_SEED` runs one again. All of it is in `npm run test:sweep`. */
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { growBlow, growSteps, growTurns, growVictims, redisClusterGrows, redisClusterGrowsInMemory } from './crash/cluster-grow.ts'
import { sweep } from './crash/sweep.ts'

const seed = Number(process.env['SLUICE_SEED'] ?? randomInt(1_000_000))
const [step, victim, turn] = [growSteps[seed % growSteps.length]!, growVictims[Math.floor(seed / growSteps.length) % growVictims.length]!, growTurns[Math.floor(seed / growSteps.length / growVictims.length) % growTurns.length]!]
const blow = growBlow(step, victim)
const rest = Math.floor(seed / growSteps.length / growVictims.length / growTurns.length)
const scenario = victim === 'the taking master' && rest % 2 === 1 ? redisClusterGrowsInMemory : redisClusterGrows

test(`${scenario.name}: ${blow.name}, turn ${turn} (seed ${seed})`, async (t) => {
  for (const point of await sweep(scenario, (at) => at === turn, {}, blow)) t.diagnostic(`${point.checkpoint}${point.accepted ? ', accepted' : ''}: ${point.remark ?? ''}`)
})
