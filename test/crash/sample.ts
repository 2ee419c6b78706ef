/** Some points of a sweep, by chance that can be had again. */
import { randomInt } from 'node:crypto'
import { sweep } from './sweep.ts'
import type { TestContext } from 'node:test'
import type { Scenario } from './scenarios.ts'

export type Mode = readonly [name: string, env: NodeJS.ProcessEnv]

/** mulberry32: the same numbers for the same seed, which is `SLUICE_SEED` or another one each time. */
export function sampler(): { readonly seed: number; random(below: number): number; sampled(t: TestContext, scenario: Scenario, points: readonly number[], mode: Mode): Promise<void> } {
  const seed = Number(process.env['SLUICE_SEED'] ?? randomInt(1_000_000))
  let state = seed
  return {
    seed,
    random(below) {
      state = (state + 0x6d2b79f5) | 0
      let t = Math.imul(state ^ (state >>> 15), 1 | state)
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
      return ((t ^ (t >>> 14)) >>> 0) % below
    },
    async sampled(t, scenario, points, [, env]) {
      for (const point of await sweep(scenario, (at) => points.includes(at), env)) t.diagnostic(`${point.checkpoint}${point.accepted ? ', accepted' : ''}: ${point.remark ?? ''}`)
    },
  }
}
