/**
 * `npm test`: installs what is missing, then runs every test on real engines and databases.
 * `npm run test:fast`: what needs neither Kafka nor much time, within a minute or two.
 * `npm run test:postgres`: every test with its control planes on PostgreSQL instead of SQLite.
 * `npm run test:kubernetes`: what runs on a cluster, which KUBECONFIG names.
 * `npm run test:sweep`: every kill point of every action; resumable (see test/crash/sweep-all.ts).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { resolve } from 'node:path'
import { startPostgres } from '../test/support/postgres.ts'
import { ensureEngines } from './engines.ts'
import { pythonWith } from './clients.ts'

const mode = process.argv[2] ?? 'all'
const root = resolve(import.meta.dirname, '..')
const slow = /kafka|clients|crash|deadline|several|outage|hosts|upgrade|transfer/

const cluster = mode === 'kubernetes'
if (cluster && !process.env['KUBECONFIG']) {
  console.error('npm run test:kubernetes needs a cluster: set KUBECONFIG (docs/kubernetes.md says how to get one)')
  process.exit(1)
}
const clients = mode === 'all' || mode === 'postgres'
await ensureEngines({ redis: true, kafka: mode !== 'fast' && !cluster, postgres: true, openssl: mode !== 'sweep', python: clients, interactive: process.stdin.isTTY ?? false, log: (line) => console.log(line) })
if (clients) for (const set of ['huawei', 'openstack'] as const) pythonWith(set, (line) => console.log(line))
// One for all of them: each test has a database of its own in it.
const postgres = process.env['SLUICE_TEST_POSTGRES'] ? null : await startPostgres()
if (postgres) process.env['SLUICE_TEST_POSTGRES'] = postgres.url
if (mode === 'postgres') process.env['SLUICE_TEST_DATABASE'] = 'postgres'
const named = process.argv.slice(3)
const files = named.length > 0 ? named : globSync(cluster ? 'test/kubernetes/*.test.ts' : 'test/*.test.ts', { cwd: root }).filter((file) => mode !== 'fast' || !slow.test(file)).toSorted()
// Two at a time: each starts servers of its own, and the machine of a contributor may have two cores.
// The limit of a single test is for one that hangs; the slowest crash sweep needs three minutes.
const words = mode === 'sweep' ? [resolve(root, 'test/crash/sweep-all.ts'), ...named] : ['--test', '--test-force-exit', `--test-concurrency=${cluster ? 1 : 2}`, '--test-timeout=600000', ...files]
const running = spawn(process.execPath, words, { cwd: root, stdio: 'inherit' })
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => running.kill(signal))
const [code] = await once(running, 'exit') as [number | null]
await postgres?.destroy()
process.exitCode = code ?? 1
