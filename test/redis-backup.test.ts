/** Backups of real instances that serve meanwhile, and what becomes of the data when one is loaded. Long, for all of it shares one server and what was backed up on it. */
import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import Sqlite from 'better-sqlite3'
import { flavor } from './crash/ha-ground.ts'
import { databases } from './support/matrix.ts'
import { dueTime } from '../src/calendar.ts'
import { followData } from '../src/state/followed.ts'
import { insertInstances, instancesByIds } from '../src/store/instances.ts'
import { transact } from '../src/store/database.ts'
import type { Instance } from '../src/core/instance.ts'
import { clusterClient, clusterNodes, smallCluster, tell } from './support/cluster.ts'
import { client, makeServer, nodePid, sleep, until, type Answer, type Server } from './support/server.ts'

let server: Server
let id: string
before(async () => {
  server = await makeServer()
  await server.start()
  id = await server.createRedis('copied', flavor(2))
  await server.running('dcs', id)
})
after(async () => { await server.destroy() })

const path = (more = '', of = id): string => `/instances/${of}${more}`

async function backUp(body: object, of = id): Promise<any> {
  const answer = await server.dcs('POST', path('/backups', of), body)
  assert.equal(answer.status, 200, answer.text)
  return ended(answer.json.backup_id, of)
}

/** The record once nothing is open any more. */
async function ended(backupId: string, of = id): Promise<any> {
  return until('the backup to end', async () => {
    const found = (await server.dcs('GET', path('/backups', of))).json.backup_record_response.find((one: any) => one.backup_id === backupId)
    return found && found.status !== 'backuping' && found
  })
}

async function restored(backupId: string, of = id): Promise<any> {
  const answer = await server.dcs('POST', path('/restores', of), { backup_id: backupId, remark: 'back' })
  assert.equal(answer.status, 200, answer.text)
  assert.equal((await server.dcs('GET', path('', of))).json.status, 'RESTORING')
  return until('the restore to end', async () => {
    const [last] = (await server.dcs('GET', path('/restores', of))).json.restore_record_response
    return last.restore_id === answer.json.restore_id && last.status !== 'restoring' && last
  }, 60_000)
}

const code = (answer: Answer): string => `${answer.status} ${answer.json?.error_code ?? answer.json?.error?.code}`

test('a backup is whole files of a running instance, and a restore brings exactly those back on every node', async () => {
  const instance = await server.running('dcs', id)
  const redis = client(instance)
  await redis.set('kept', 'then')
  await redis.select(3)
  await redis.hset('hash', { a: '1', b: '2' })
  await redis.select(0)
  const pids = [nodePid(server.home, id, 0), nodePid(server.home, id, 1)]
  // A replica keeps the dump that it got from its master at first.
  const onDisk = (): string[] => [0, 1].flatMap((n) => readdirSync(join(server.home, 'nodes', `${id}-${n}`, 'data')))
  const before = onDisk()
  const rdb = await backUp({ remark: 'before', backup_format: 'rdb' })
  const aof = await backUp({ backup_format: 'aof' })
  assert.deepEqual([rdb.status, rdb.backup_type, rdb.backup_format, rdb.remark, rdb.is_support_restore, rdb.progress, aof.status, aof.backup_format], ['succeed', 'manual', 'rdb', 'before', 'TRUE', '100.00', 'succeed', 'aof'])
  assert.match(rdb.backup_name, /^backup_\d{14}$/)
  assert.deepEqual([nodePid(server.home, id, 0), nodePid(server.home, id, 1)], pids, 'nothing was stopped')
  assert.deepEqual(onDisk(), before, 'the nodes have no file of it')

  const folder = join(server.home, 'backups', id, rdb.backup_id)
  assert.equal(statSync(join(folder, 'shard-0.rdb')).mode & 0o777, 0o600)
  const bytes = readFileSync(join(folder, 'shard-0.rdb'))
  assert.deepEqual([bytes.length, bytes.subarray(0, 5).toString()], [rdb.size, 'REDIS'])

  for (const backup of [rdb, aof]) {
    await redis.set('kept', 'later')
    await redis.set('new', 'yes')
    const done = await restored(backup.backup_id)
    assert.deepEqual([done.status, done.restore_remark, done.backup_name], ['succeed', 'back', backup.backup_name])
    const now = client(await server.running('dcs', id))
    assert.deepEqual([await now.get('kept'), await now.get('new')], ['then', null])
    await now.select(3)
    assert.deepEqual(await now.hgetall('hash'), { a: '1', b: '2' })
    assert.equal(await now.dbsize(), 1)
    now.disconnect()
  }
  for (const n of [0, 1]) {
    // Each has one folder of data, and in it an append-only file of its own.
    const names = readdirSync(join(server.home, 'nodes', `${id}-${n}`)).filter((name) => name.startsWith('data-'))
    assert.equal(names.length, 1)
    assert.ok(!existsSync(join(server.home, 'nodes', `${id}-${n}`, 'data/appendonlydir')))
  }
  // What was restored is on the disk as everything else is.
  await redis.set('after', 'restore')
  assert.equal((await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })).status, 200)
  await server.running('dcs', id)
  const again = client(instance)
  assert.deepEqual([await again.get('kept'), await again.get('after')], ['then', 'restore'])
  again.disconnect()
  redis.disconnect()
})

test('files are downloaded by links that are signed and end', async () => {
  const { json } = await server.dcs('GET', path('/backups?limit=1'))
  assert.equal(json.total_num, 2)
  const [{ backup_id, size }] = json.backup_record_response
  const { json: given } = await server.dcs('POST', path(`/backups/${backup_id}/links`), { expiration: 300 })
  const [{ link, file_name }] = given.links
  assert.equal(file_name, 'shard-0.aof')
  const whole = Buffer.from(await (await fetch(link)).arrayBuffer())
  assert.equal(whole.length, size)
  const part = await fetch(link, { headers: { range: 'bytes=1-4' } })
  assert.deepEqual([part.status, await part.text(), part.headers.get('content-range')], [206, 'EDIS', `bytes 1-4/${size}`])
  assert.equal((await fetch(link, { headers: { range: `bytes=${size}-` } })).status, 416)
  assert.equal((await fetch(link.replace(/expires=\d/, 'expires=9'))).status, 401)
  assert.equal((await fetch(link.replace('shard-0', 'shard-1'))).status, 401)
  for (const expiration of [299, 86_401, undefined, 'x']) assert.equal(code(await server.dcs('POST', path(`/backups/${backup_id}/links`), { expiration })), '400 DCS.4062')
})

test('a damaged file leaves the instance as it is, and one that cannot be loaded is given back', async (t) => {
  const { backup_id } = await backUp({})
  const file = join(server.home, 'backups', id, backup_id, 'shard-0.rdb')
  const good = readFileSync(file)
  const redis = client(await server.running('dcs', id))
  await redis.set('kept', 'as it was')
  const pid = nodePid(server.home, id, 0)
  const bad = Buffer.from(good)
  bad[bad.length - 12]! ^= 0xff
  writeFileSync(file, bad)
  const refused = await restored(backup_id)
  assert.equal(refused.status, 'failed')
  assert.match(refused.error_msg, /checksum/)
  assert.equal(nodePid(server.home, id, 0), pid, 'nothing was stopped for a file that is known to be damaged')
  assert.equal((await server.dcs('GET', path(''))).json.status, 'RUNNING')
  assert.equal(await redis.get('kept'), 'as it was')
  redis.disconnect()
  // One that is as recorded and that no server takes, as if it had been written badly in the first place: found out after every node has stopped.
  if (server.env['SLUICE_DATABASE_URL']) return t.skip('the second half alters a row in the file of SQLite')
  await server.end('SIGTERM')
  const rows = new Sqlite(join(server.home, 'sluice.db'))
  rows.prepare("update backups set files = json_set(files, '$[0].sum', ?) where id = ?").run(createHash('sha256').update(bad).digest('hex'), backup_id)
  rows.close()
  await server.start()
  const returned = await restored(backup_id)
  assert.equal(returned.status, 'failed')
  assert.match(returned.error_msg, /has its old data again.*ended right after each of 3 starts/s)
  assert.notEqual(nodePid(server.home, id, 0), pid)
  assert.equal((await server.dcs('GET', path(''))).json.status, 'RUNNING')
  const again = client(await server.running('dcs', id))
  assert.equal(await again.get('kept'), 'as it was')
  again.disconnect()
  writeFileSync(file, good)
  assert.equal((await server.dcs('DELETE', path(`/backups/${backup_id}`))).status, 204)
  assert.ok(!existsSync(file))
  assert.equal(code(await server.dcs('DELETE', path(`/backups/${backup_id}`))), '400 DCS.4062')
  assert.equal(code(await server.dcs('POST', path('/restores'), { backup_id })), '400 DCS.4087')
})

test('a policy makes one backup for each of its hours, and old ones go but for the last', async () => {
  const now = new Date()
  const hour = (n: number): string => `${String(n % 24).padStart(2, '0')}:00`
  const policy = { backup_type: 'auto', save_days: 1, periodical_backup_plan: { backup_at: [1, 2, 3, 4, 5, 6, 7], period_type: 'weekly', begin_at: `${hour(now.getUTCHours())}-${hour(now.getUTCHours() + 1)}` } }
  const planned = await server.createRedis('planned', { ...flavor(2), instance_backup_policy: policy })
  await server.running('dcs', planned)
  const [made] = await until('the scheduled backup', async () => {
    const list = (await server.dcs('GET', path('/backups', planned))).json.backup_record_response
    return list[0]?.status === 'succeed' && list
  })
  assert.deepEqual([made.backup_type, made.backup_format], ['auto', 'rdb'])
  // A manual one in between changes nothing about the hour, and a look at the calendar neither.
  await backUp({}, planned)
  await sleep(6000)
  assert.equal((await server.dcs('GET', path('/backups', planned))).json.total_num, 2)
  const folder = join(server.home, 'backups', planned)
  assert.equal(readdirSync(folder).length, 2)
  assert.equal((await server.dcs('DELETE', path('', planned))).status, 204)
  await until('its backups to go', () => !existsSync(folder))
})

test('the hour of a plan is found, also when it is over and something failed', () => {
  const monday = { days: [1], hour: 23, offset: null }
  const at = (text: string): unknown => dueTime(monday, Date.parse(text))
  const due = Date.parse('2026-11-23T23:00:00Z')
  assert.deepEqual([at('2026-11-23T22:59:59Z'), at('2026-11-23T23:00:00Z'), at('2026-11-23T23:59:59Z'), at('2026-11-24T00:00:00Z'), at('2026-11-24T03:10:00Z'), at('2026-11-24T04:00:00Z'), at('2026-11-24T23:10:00Z')],
    [null, { at: due, late: false }, { at: due, late: false }, { at: due, late: true }, { at: due, late: true }, null, null])
})

test('what is busy with a copy says so, and a restart takes its place', async () => {
  const single = await server.createRedis('alone')
  await server.running('dcs', single)
  assert.equal(code(await server.dcs('POST', path('/backups', single), {})), '400 DCS.4095')
  assert.equal(code(await server.call('dcs', 'POST', `/v1.0/${server.project}/instances/${single}/backups`, {})), '400 111400095')
  assert.equal(code(await server.dcs('POST', path('/backups'), { remark: 'x'.repeat(129) })), '400 DCS.4098')
  assert.equal(code(await server.dcs('POST', path('/backups'), { backup_format: 'zip' })), '400 DCS.4062')
  assert.equal(code(await server.dcs('POST', path('/restores'), { backup_id: single })), '400 DCS.4087')
  // So much that it takes a while.
  const redis = client(await server.running('dcs', id))
  await redis.eval("for i = 1, 40 do redis.call('SET', 'big:' .. i, string.rep(tostring(i), 500000)) end", 0)
  redis.disconnect()
  const stop = (await server.dcs('POST', path('/backups'), {})).json.backup_id
  const [detail, rival, restart] = await Promise.all([server.dcs('GET', path()), server.dcs('POST', path('/backups'), {}), server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })])
  assert.deepEqual([detail.json.status, detail.json.task, code(rival), restart.status], ['RUNNING', 'BACKUPING', '400 DCS.4096', 200])
  const broken = await ended(stop)
  assert.deepEqual([broken.status, broken.is_support_restore], ['failed', 'FALSE'])
  await server.running('dcs', id)
})

test('each shard of a cluster gets back what it had', async () => {
  const sharded = await server.createRedis('sharded', smallCluster)
  const instance = await server.running('dcs', sharded)
  const cluster = clusterClient(instance)
  const keys = Array.from({ length: 60 }, (_, n) => `key:${n}`)
  for (const key of keys) await cluster.set(key, 'then')
  const made = await backUp({}, sharded)
  assert.equal(made.status, 'succeed', made.error_msg)
  assert.deepEqual(readdirSync(join(server.home, 'backups', sharded, made.backup_id)).toSorted(), ['shard-0.rdb', 'shard-1.rdb', 'shard-2.rdb'])
  for (const key of keys) await cluster.set(key, 'later')
  await cluster.set('new', 'yes')
  const done = await restored(made.backup_id, sharded)
  assert.equal(done.status, 'succeed', done.error_msg)
  for (const key of keys) assert.equal(await cluster.get(key), 'then')
  assert.equal(await cluster.get('new'), null)
  cluster.disconnect()
  const sizes = await Promise.all((await clusterNodes(server, sharded)).map((node) => tell<number>(node, 'DBSIZE')))
  assert.equal(sizes.reduce((sum, size) => sum + size, 0), 2 * keys.length, 'masters and replicas alike')
  await server.dcs('DELETE', path('', sharded))
})

test('what the data is made of is read from a backup, or from a copy of a node', async () => {
  const redis = client(await server.running('dcs', id))
  await redis.flushall()
  const value = (n: number): string => `value ${n} of some length, of which much is alike`
  await redis.set('text:long', 'x'.repeat(50_000))
  await redis.set('text:number', '12345')
  for (let n = 0; n < 30; n += 1) await redis.set(`user:${n}`, value(n), 'EX', 10_000)
  await redis.hset('hash:small', { a: '1', b: '2' })
  await redis.hset('hash:large', Object.fromEntries(Array.from({ length: 600 }, (_, n) => [`field ${n}`, value(n)])))
  await redis.rpush('list:small', 'a', 'b', 'c')
  await redis.rpush('list:large', ...Array.from({ length: 3000 }, (_, n) => value(n)), 'y'.repeat(20_000))
  await redis.sadd('set:numbers', 1, 2, 3)
  await redis.sadd('set:large', ...Array.from({ length: 700 }, (_, n) => value(n)))
  await redis.zadd('zset:small', 1, 'a', 2, 'b')
  await redis.zadd('zset:large', ...Array.from({ length: 500 }, (_, n) => [n / 3, value(n)]).flat())
  for (let n = 0; n < 150; n += 1) await redis.xadd('stream:s', '*', 'field', value(n))
  await redis.xgroup('CREATE', 'stream:s', 'group', '0')
  await redis.xreadgroup('GROUP', 'group', 'one', 'COUNT', 10, 'STREAMS', 'stream:s', '>')
  await redis.select(9)
  await redis.set('elsewhere', '1')
  redis.disconnect()
  const { backup_id } = await backUp({})
  const nodes = (await server.dcs('GET', path('/logical-nodes'))).json.nodes
  const replica = nodes.find((node: any) => node.node_type === 'slave')
  for (const body of [{ backup_id }, { node_id: replica.node_id }]) {
    const { json, status, text } = await server.dcs('POST', path('/offline/key-analysis'), body)
    assert.equal(status, 200, text)
    const found = await until('the analysis', async () => { const r = (await server.dcs('GET', path(`/offline/key-analysis/${json.task_id}`))).json; return r.finished_at && r })
    assert.equal(found.status, 'success', found.error_msg)
    assert.equal(found.total_num, 42)
    assert.deepEqual(Object.fromEntries(found.type_num.map((one: any) => [one.type, one.num])), { string: 33, hash: 2, list: 2, set: 2, zset: 2, stream: 1 })
    const elements = Object.fromEntries(found.largest_keys.map((one: any) => [one.key, one.num_of_elem]))
    assert.deepEqual([elements['text:long'], elements['hash:small'], elements['hash:large'], elements['list:small'], elements['list:large'], elements['set:numbers'], elements['set:large'], elements['zset:small'], elements['zset:large'], elements['stream:s'], elements['text:number']], [50_000, 2, 600, 3, 3001, 3, 700, 2, 500, 150, 5])
    assert.equal(found.largest_key_prefixes.find((one: any) => one.key_prefix === 'user:').num, 30)
    assert.deepEqual([found.analysis_type, found.backup_id, found.node_type], body.backup_id ? ['old_backup', backup_id, null] : ['new_backup', null, 'slave'])
    assert.deepEqual(readdirSync(join(server.home, 'backups', id)).filter((name) => name === json.task_id), [], 'nothing of it stays')
  }
  assert.equal(code(await server.dcs('POST', path('/offline/key-analysis'), { backup_id: id })), '400 DCS.4062')
  assert.equal(code(await server.dcs('POST', path('/offline/key-analysis'), {})), '400 DCS.3053')
})

for (const database of databases) {
  test(`a state from before a restore finds the data where the nodes have it since, on ${database.name}`, async () => {
    const home = mkdtempSync(join(tmpdir(), 'sluice-test-'))
    const { db, close } = await database.open()
    try {
      const made = (name: string, runtime: 'process' | 'kubernetes'): Instance => ({
        id: randomUUID(), projectId: 'p', name, engine: 'redis', version: '7.0', runtime, host: runtime === 'process' ? 'h' : 'kubernetes', spec: { flavor: 'f', memoryBytes: 1, topology: 'ha', shards: 1, replicas: 2, nodeCount: 1, port: null, parameters: {}, renamedCommands: {}, sealedPassword: null },
        attributes: {}, tags: [], endpoints: {}, grants: { master: 'm', replid: 'r' }, generation: 1, floor: 1, health: 'healthy', cause: null, readyAt: 1, crashes: 0, createdAt: 1, updatedAt: 1,
      })
      const [moved, stayed] = [made('moved', 'process'), made('stayed', 'process')]
      await transact(db, (tx) => insertInstances(tx, [moved, stayed], [moved, stayed].map(({ id }, n) => ({ id: `${id}-0`, instanceId: id, ordinal: 0, host: 'h', address: `127.9.9.${n + 1}`, ports: { service: 6379 } }))))
      for (const [{ id }, folder] of [[moved, 'data-0123'], [stayed, 'data']] as const) {
        mkdirSync(join(home, 'nodes', `${id}-0`), { recursive: true })
        writeFileSync(join(home, 'nodes', `${id}-0`, 'redis.conf'), `port 1\ndir ${folder}\n`)
      }
      await transact(db, (tx) => followData(tx, home))
      const now = await instancesByIds(db, [moved.id, stayed.id])
      assert.deepEqual([now.get(moved.id)!.grants, now.get(stayed.id)!.grants], [{ master: 'm', data: 'data-0123' }, { master: 'm', replid: 'r' }])
    } finally {
      await close()
      rmSync(home, { recursive: true })
    }
  })
}
