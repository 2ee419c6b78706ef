/** A sample of the sweeps of backups and restores, another one each time: `SLUICE_SEED` runs one again. All of it is in `npm run test:sweep`. */
import { test } from 'node:test'
import { backupScenarios } from './crash/backup.ts'
import { sampler, type Mode } from './crash/sample.ts'

const { random, sampled, seed } = sampler()
const modes: readonly Mode[] = [['own addresses', {}], ['one host', { SLUICE_NODE_HOST: '127.0.0.1', SLUICE_NODE_PORTS: '23710-23790' }]]
const [backup, restore] = backupScenarios as [typeof backupScenarios[number], typeof backupScenarios[number]]

/** A backup passes some 6 checkpoints, a restore some 30. */
test(`${backup.name} (seed ${seed})`, (t) => sampled(t, backup, [1 + random(3), 4 + random(3)], modes[random(2)]!))
for (const mode of modes) {
  const points = [1 + random(6), 7 + random(6), 13 + random(16)]
  test(`${restore.name}, ${mode[0]}: kill at ${points.join(', ')} (seed ${seed})`, (t) => sampled(t, restore, points, mode))
}
