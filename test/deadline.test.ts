/** Never stuck: an operation that cannot get done ends at its deadline, with the cause. */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { findRedis } from '../src/engines/redis/program.ts'
import { links, loads, words, writes } from '../src/engines/redis/headway.ts'
import { deadlineOf, within } from '../src/operations/deadline.ts'
import { readConfig } from '../src/config.ts'
import { smallCluster } from './support/cluster.ts'
import { makeServer, nodePid, processesUnder, root, sleep, until } from './support/server.ts'

test('a server that starts and never answers: CREATEFAILED within 120 s, with the cause, and nothing of it goes on running', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-hangs-'))
  const program = join(folder, 'redis-server')
  writeFileSync(program, '#!/bin/sh\n[ "$1" = --version ] && echo "Redis server v=7.0.15 sha=0 bits=64" && exit\necho "I only wait"\nexec sleep 1000\n')
  chmodSync(program, 0o755)
  const server = await makeServer({ SLUICE_REDIS_SERVER: program })
  try {
    await server.start()
    const began = Date.now()
    const id = await server.createRedis('never-answers')
    const pid = await until('the process', () => { try { return nodePid(server.home, id) } catch { return 0 } })
    await until('CREATEFAILED', async () => await server.status('dcs', id) === 'CREATEFAILED', 120_000, 200)
    assert.ok(Date.now() - began < 120_000)
    const { json } = await server.call('console', 'GET', `/v1/operations?instance=${id}`)
    assert.match(json.operations[0].cause, /gave up after 90 s: nobody listens on /)
    assert.ok(!processesUnder(server.home).includes(pid))
    assert.equal((await server.dcs('DELETE', `/instances/${id}`)).status, 204)
    await until('404', async () => (await server.dcs('GET', `/instances/${id}`)).status === 404)
  } finally { await server.destroy(); rmSync(folder, { recursive: true }) }
})

test('a Redis that is frozen is called ERROR, is not killed for it, and is RUNNING again when it answers; restart helps as well', async () => {
  await findRedis(readConfig(process.env).programs)
  const server = await makeServer()
  try {
    await server.start()
    const id = await server.createRedis('frozen')
    await server.running('dcs', id)
    const pid = nodePid(server.home, id)
    process.kill(pid, 'SIGSTOP')
    await until('ERROR', async () => await server.status('dcs', id) === 'ERROR', 90_000, 200)
    assert.equal(nodePid(server.home, id), pid)
    process.kill(pid, 'SIGCONT')
    await server.running('dcs', id)
    assert.equal(nodePid(server.home, id), pid)
    process.kill(pid, 'SIGSTOP')
    await sleep(50)
    const r = await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })
    assert.equal(r.json.results[0].result, 'success')
    await server.running('dcs', id)
    assert.notEqual(nodePid(server.home, id), pid)
  } finally { await server.destroy() }
})

test('a soft restart that is cancelled while a server hangs ends soon, and the instance is not called well', async () => {
  const server = await makeServer()
  const crash = join(server.home, '..', 'crash')
  server.always({ CRASH_FILE: crash }, ['--import', join(root, 'test/crash/hook.ts')])
  try {
    await server.start()
    const id = await server.createRedis('hangs')
    await server.running('dcs', id)
    writeFileSync(crash, `runtime.applied stop ${join(server.home, 'nodes', `${id}-0`, 'pid')}`)
    await server.dcs('PUT', '/instances/status', { action: 'soft_restart', instances: [id] })
    const operation = async () => (await server.call('console', 'GET', `/v1/operations?instance=${id}&limit=1`)).json.operations[0]
    const { id: task } = await until('it to wait for the server', async () => { const now = await operation(); return /nobody listens|does not answer/.test(now.progress) && now })
    assert.equal((await server.call('console', 'DELETE', `/v1/operations/${task}`)).status, 202)
    const { outcome, cause } = await until('its end', async () => { const now = await operation(); return now.outcome && now }, 30_000, 100)
    assert.equal(outcome, 'cancelled')
    assert.match(cause, /nobody listens|does not answer/)
    assert.equal(await server.status('dcs', id), 'ERROR')
    process.kill(nodePid(server.home, id), 'SIGCONT')
    await server.running('dcs', id)
  } finally { await server.destroy() }
})

test('a deadline begins anew when something is said that never was before, by one node or by the whole, and ends for good', () => {
  const fixed = deadlineOf({ deadlineMs: 90_000 }, 1000)
  fixed.hears('a step', 50_000)
  assert.deepEqual([fixed.leftMs(50_000), fixed.leftMs(91_001), fixed.spent(91_001)], [41_000, -1, '90 s'])
  const minute = 60_000
  const long = deadlineOf({ deadlineMs: 30 * minute, mostMs: 100 * minute }, 0)
  for (const [text, at, left] of [['0 of 2 nodes', 1, 30], ['0 of 2 nodes', 20, 11], ['node loads (1 %)', 25, 30], ['node loads (2 %)', 54, 30], ['node loads (1 %)', 60, 24], ['1 of 2 nodes', 83, 17]] as const) {
    long.hears(text, at * minute)
    assert.equal(long.leftMs(at * minute) / minute, left, `${text} after ${at} min`)
  }
  assert.equal(long.spent(101 * minute), '6000 s')
  const stuck = deadlineOf({ deadlineMs: 30 * minute, mostMs: 100 * minute }, 0)
  stuck.hears('1 of 2 nodes', 10 * minute)
  assert.equal(stuck.spent(41 * minute), '2460 s, the last 1860 s of them without getting any further')
  // A circle that has something new to say for ever.
  const circle = deadlineOf({ deadlineMs: 30 * minute, mostMs: 1000 * minute }, 0)
  for (let n = 0; n < 100_000; n += 1) circle.hears(`${n} bytes`, n * minute / 1000)
  assert.ok(circle.leftMs(99 * minute) < 0)
  const over = deadlineOf({ deadlineMs: 30 * minute, mostMs: 100 * minute }, 0)
  over.hears('something new, and too late', 31 * minute)
  assert.equal(over.leftMs(31 * minute), -minute)
})

test('a roll that takes longer than its deadline is done, for it gets further node by node', async () => {
  const server = await makeServer()
  try {
    await server.start()
    const id = await server.createRedis('rolls', smallCluster)
    await server.running('dcs', id)
    const roll = async (): Promise<number> => {
      const { json } = await server.dcs('PUT', '/instances/status', { action: 'soft_restart', instances: [id] })
      assert.equal(json.results[0].result, 'success')
      const [ended] = await until('the roll to end', async () => { const { json: { operations } } = await server.call('console', 'GET', `/v1/operations?instance=${id}`); return operations[0].action === 'soft_restart' && operations[0].outcome && operations }, 120_000, 20)
      assert.deepEqual([ended.outcome, ended.cause], ['done', null])
      return ended.finished_at - ended.started_at
    }
    const tookMs = await roll()
    assert.ok(tookMs > 0)
    await server.end('SIGTERM')
    server.always({ DEADLINES: JSON.stringify({ soft_restart: 0.7 * tookMs }) }, ['--import', join(root, 'test/crash/deadlines.ts')])
    await server.start()
    await server.running('dcs', id)
    await roll()
  } finally { await server.destroy() }
})

test('a step is given as long as there is headway, and what it threw comes through', async () => {
  let until = performance.now() + 500
  const left = (): number => until - performance.now()
  const step = sleep(1600).then(() => 'done')
  setTimeout(() => { until += 3000 }, 300)
  assert.equal(await within(step, left, () => ''), 'done')
  await assert.rejects(within(new Promise(() => {}), () => -1, () => 'loads'), /a step did not come back; before it: loads/)
  await assert.rejects(within(Promise.reject(new Error('own')), () => 1000, () => ''), /own/)
})

test('what a Redis says of long work has few steps, or a circle would be headway for hours', () => {
  const of = (fields: Readonly<Record<string, string>>) => (field: string): string | undefined => fields[field]
  assert.deepEqual(['43.21', '43.99', '44.00'].map((perc) => loads(of({ loading_loaded_perc: perc }))), ['loading its data (43 %)', 'loading its data (43 %)', 'loading its data (44 %)'])
  assert.deepEqual([0, 90_000_000, 1_300_000_000, 1_390_000_000].map((read) => links(of({ master_sync_in_progress: '1', master_sync_read_bytes: String(read) }))), ['', '', ' (1.2 GiB)', ' (1.2 GiB)'].map((part) => `copying the data from the master${part}`))
  assert.deepEqual([links(of({ master_sync_in_progress: '0' })), writes(of({ aof_rewrite_in_progress: '1', current_fork_perc: '7.65' })), writes(of({ aof_rewrite_in_progress: '0', current_fork_perc: '7.65' }))], ['connecting to the master', ' (7 %)', ''])
  assert.equal(words(new Error('connect ENETUNREACH 192.0.2.1:6379 - Local (127.33.4.5:46709)')), 'connect ENETUNREACH 192.0.2.1:6379')
})
