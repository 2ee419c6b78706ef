/** One of the points of the sweep of more and fewer shards, another one each time: `SLUICE_SEED` runs one again. All of it is in `npm run test:sweep`. */
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { growTurns, moveBlow, moveSteps, moveVictims, redisClusterGrows, redisClusterGrowsInMemory, redisClusterShrinks, type Move } from './crash/cluster-resize.ts'
import { sweep } from './crash/sweep.ts'

const seed = Number(process.env['SLUICE_SEED'] ?? randomInt(1_000_000))
let rest = seed
const pick = <T>(among: readonly T[]): T => {
  const one = among[rest % among.length]!
  rest = Math.floor(rest / among.length)
  return one
}
const [step, victim, move, turn, inMemory] = [pick(moveSteps), pick(moveVictims), pick<Move>(['grow', 'shrink', 'last']), pick(growTurns), pick([true, false])]
const blow = moveBlow(move, step, victim)
const scenario = move !== 'grow' ? redisClusterShrinks : victim === 'the taking master' && inMemory ? redisClusterGrowsInMemory : redisClusterGrows

test(`${scenario.name}: ${blow.name}, turn ${turn} (seed ${seed})`, async (t) => {
  for (const point of await sweep(scenario, (at) => at === (move === 'grow' ? turn : 1), {}, blow)) t.diagnostic(`${point.checkpoint}${point.accepted ? ', accepted' : ''}: ${point.remark ?? ''}`)
})
