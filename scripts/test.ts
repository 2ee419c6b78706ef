/**
 * `npm test`: installs what is missing, then runs every test on real engines and databases.
 * `npm run test:fast`: what needs neither Kafka nor much time, within a minute or two.
 * `npm run test:postgres`: every test with its control planes on PostgreSQL instead of SQLite.
 * `npm run test:kubernetes`: what runs on a cluster, which KUBECONFIG names.
 * `npm run test:kubernetes:sweep`: every kill point there, where the former takes some.
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
const slow = /whitelist|systemd|kafka|clients|crash|deadline|several|outage|hosts|upgrade|transfer/

const whole = mode === 'kubernetes-sweep'
const cluster = whole || mode === 'kubernetes'
/** Wait for deadlines, leases and servers that come back most of their time, and measure none: beside the others, one at a time. What they say comes in one piece. */
const waiting = cluster ? /crash/ : /crash-redis|deadline|hosts|outage|several/
if (cluster && !process.env['KUBECONFIG']) {
  console.error(`npm run test:${mode.replace('-', ':')} needs a cluster: set KUBECONFIG (docs/kubernetes.md says how to get one)`)
  process.exit(1)
}
const clients = mode === 'all' || mode === 'postgres'
await ensureEngines({ redis: true, kafka: mode !== 'fast' && !cluster, nftables: clients, machine: clients, postgres: true, openssl: mode !== 'sweep', compiler: !cluster && mode !== 'sweep', python: clients, interactive: process.stdin.isTTY ?? false, log: (line) => console.log(line) })
if (clients) for (const set of ['huawei', 'openstack'] as const) pythonWith(set, (line) => console.log(line))
// One for all of them: each test has a database of its own in it.
const postgres = process.env['SLUICE_TEST_POSTGRES'] ? null : await startPostgres()
if (postgres) process.env['SLUICE_TEST_POSTGRES'] = postgres.url
if (whole) process.env['SLUICE_TEST_SWEEP'] = 'whole'
if (mode === 'postgres') process.env['SLUICE_TEST_DATABASE'] = 'postgres'
const named = process.argv.slice(3)
const files = named.length > 0 ? named : globSync(whole ? 'test/kubernetes/crash*.test.ts' : cluster ? 'test/kubernetes/*.test.ts' : 'test/*.test.ts', { cwd: root }).filter((file) => mode !== 'fast' || !slow.test(file)).toSorted()
// Two at a time: each starts servers of its own, and the machine of a contributor may have two cores.
// The limit is for what hangs. It holds for a file as for a test: the slowest crash sweep needs three minutes, all of them in a cluster ten on a busy machine.
const tests = (atOnce: number, some: readonly string[]): string[] => ['--test', '--test-force-exit', `--test-concurrency=${atOnce}`, `--test-timeout=${whole ? 6 * 3600_000 : cluster ? 1_200_000 : 600_000}`, ...some]
const beside = named.length > 0 || whole || mode === 'fast' || mode === 'sweep' ? [] : files.filter((file) => waiting.test(file))
const words = mode === 'sweep' ? [resolve(root, 'test/crash/sweep-all.ts'), ...named] : tests(cluster ? 1 : 2, files.filter((file) => !beside.includes(file)))
const running = [spawn(process.execPath, words, { cwd: root, stdio: 'inherit' })]
if (beside.length > 0) {
  const other = spawn(process.execPath, tests(1, beside), { cwd: root, stdio: ['inherit', 'pipe', 'inherit'] })
  const said: Buffer[] = []
  other.stdout.on('data', (data: Buffer) => said.push(data)).on('end', () => process.stdout.write(Buffer.concat(said)))
  running.push(other)
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => { for (const one of running) one.kill(signal) })
const codes = await Promise.all(running.map(async (one) => (await once(one, 'close') as [number | null])[0] ?? 1))
await postgres?.destroy()
process.exitCode = Math.max(...codes)
