/**
 * `npm test`: installs what is missing, then runs every test on real engines.
 * `npm run test:fast`: what needs neither Kafka nor root, within a minute.
 * `npm run test:kubernetes`: what runs on a cluster, which KUBECONFIG names.
 * `npm run test:sweep`: every kill point of every action; resumable (see test/crash/sweep-all.ts).
 */
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { resolve } from 'node:path'
import { ensureEngines } from './engines.ts'

const mode = process.argv[2] ?? 'all'
const root = resolve(import.meta.dirname, '..')
const slow = /kafka|crash|deadline/

if (mode === 'kubernetes' && !process.env['KUBECONFIG']) {
  console.error('npm run test:kubernetes needs a cluster: set KUBECONFIG (docs/kubernetes.md says how to get one)')
  process.exit(1)
}
if (mode !== 'kubernetes') await ensureEngines({ redis: true, kafka: mode !== 'fast', openssl: mode !== 'sweep', interactive: process.stdin.isTTY ?? false, log: (line) => console.log(line) })
if (mode === 'sweep') {
  process.exitCode = spawnSync(process.execPath, [resolve(root, 'test/crash/sweep-all.ts'), ...process.argv.slice(3)], { cwd: root, stdio: 'inherit' }).status ?? 1
} else {
  const named = process.argv.slice(3)
  const files = named.length > 0 ? named : globSync(mode === 'kubernetes' ? 'test/kubernetes/*.test.ts' : 'test/*.test.ts', { cwd: root }).filter((file) => mode !== 'fast' || !slow.test(file)).toSorted()
  // Two at a time: each starts servers of its own, and the machine of a contributor may have two cores.
  // The limit of a single test is for one that hangs; the slowest crash sweep needs three minutes.
  process.exitCode = spawnSync(process.execPath, ['--test', '--test-force-exit', `--test-concurrency=${mode === 'kubernetes' ? 1 : 2}`, '--test-timeout=600000', ...files], { cwd: root, stdio: 'inherit' }).status ?? 1
}
