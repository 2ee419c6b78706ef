/** Who may take over from a dead master of a replicated Redis, and what customers can set on its nodes, on real servers. */
import assert from 'node:assert/strict'
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Redis } from 'ioredis'
import { client, makeServer, nodePid, password, root, until, written, type Server } from './support/server.ts'

let server: Server
let crash: string
before(async () => {
  server = await makeServer()
  crash = join(server.home, '..', 'crash')
  server.always({ CRASH_FILE: crash }, ['--import', join(root, 'test/crash/hook.ts')])
  await server.start()
})
after(() => server.destroy())

interface Pair { readonly id: string; readonly redis: Redis; readonly nodes: readonly Redis[]; /** Ordinals. */ readonly master: number; readonly replica: number }

/** A pair, a client of its address, and one of each node. */
async function withPair(name: string, work: (pair: Pair) => Promise<void>, count = 2): Promise<void> {
  const id = await server.createRedis(name, { spec_code: `redis.ha.xu1.tiny.r${count}.128` })
  const redis = client(await server.running('dcs', id))
  const found: any[] = (await server.call('console', 'GET', '/v1/nodes')).json.nodes.filter((node: any) => node.instance_id === id)
  const nodes = [0, 1].map((n) => { const { address, ports } = found.find((one) => one.id === `${id}-${n}`); return client({ ip: address, port: ports.service }, password) })
  const master = (await nodes[0]!.info('replication')).includes('role:master') ? 0 : 1
  try { await work({ id, redis, nodes, master, replica: 1 - master }) } finally { for (const one of [redis, ...nodes]) one.disconnect() }
  assert.equal((await server.dcs('DELETE', `/instances/${id}`)).status, 204)
}
const quiet = (id: string) => until('nothing to be open', async () => (await server.call('console', 'GET', `/v1/operations?open=true&instance=${id}`)).json.operations.length === 0, 60_000, 50)
async function append(id: string, param_value: 'yes' | 'no'): Promise<void> { assert.equal((await server.dcs('PUT', `/instances/${id}/configs`, { redis_config: [{ param_name: 'appendonly', param_value }] })).status, 204) }
async function fill(redis: Redis, name: string): Promise<void> { for (let n = 0; n < 50; n += 1) await redis.set(`${name}${n}`, n) }

test('append-only files are turned on again, and the master is killed before its own has anything: its replica has all', () => withPair('turned-on', async ({ id, redis, master }) => {
  await append(id, 'no')
  await quiet(id)
  await fill(redis, 'k')
  const pid = nodePid(server.home, id, master)
  writeFileSync(crash, `engine.appending kill ${join(server.home, 'nodes', `${id}-${master}`, 'pid')}`)
  try {
    await append(id, 'yes')
    await until('it to be killed and back', () => nodePid(server.home, id, master) !== pid)
  } finally { rmSync(crash) }
  await quiet(id)
  assert.equal(await redis.dbsize(), 50)
}))

test('a new master that has served alone comes back itself: who was master before lacks what was written since', () => withPair('served-alone', async ({ id, redis, replica }) => {
  writeFileSync(crash, 'engine.promoted end')
  await server.dcs('POST', `/instances/${id}/swap`).catch(() => {})
  await server.ended()
  rmSync(crash)
  await fill(redis, 'late')
  await written(redis)
  const pid = nodePid(server.home, id, replica)
  process.kill(pid, 'SIGKILL')
  await server.start()
  await until('it to be back', () => nodePid(server.home, id, replica) !== pid)
  await quiet(id)
  assert.equal(await redis.dbsize(), 50)
}))

/** Has the replica copy everything, and write its append-only file for two seconds; answers its process. */
async function unwritten({ id, redis, nodes, replica }: Pair): Promise<number> {
  const next = nodes[replica]!
  await next.config('SET', 'rdb-key-save-delay', 30_000)
  await fill(redis, 'early')
  const pid = nodePid(server.home, id, replica)
  process.kill(pid, 'SIGSTOP')
  try {
    await redis.call('CLIENT', 'KILL', 'TYPE', 'replica')
    // More than is kept for a replica that comes back, which then copies everything.
    await redis.config('SET', 'repl-backlog-size', 16_384)
    for (let n = 0; n < 20; n += 1) await redis.set('large', 'x'.repeat(10_000))
    await fill(redis, 'late')
  } finally { process.kill(pid, 'SIGCONT') }
  await until('its file to be written', async () => /aof_rewrite_in_progress:1/.test(await next.info('persistence')) && /master_link_status:up/.test(await next.info('replication')), 10_000, 2)
  return pid
}

test('a replica that copied everything and became master before that was in its file is restarted by force: nothing is lost', () => withPair('unwritten', async (pair) => {
  const { id, redis, master, replica } = pair
  const pid = await unwritten(pair)
  process.kill(nodePid(server.home, id, master), 'SIGKILL')
  // By the address: of the node itself, connections from before are not closed as long as a child has them, too.
  await until('it to be master', async () => (await redis.info('server')).includes(`process_id:${pid}`))
  assert.match(await redis.info('persistence'), /aof_rewrite_in_progress:1/)
  assert.equal((await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })).status, 200)
  await quiet(id)
  assert.equal(nodePid(server.home, id, replica) !== pid, true)
  assert.equal(await redis.dbsize(), 101)
}))

test('a replica that copied everything is handed the role when that is in its file, not before', () => withPair('unfinished', async (pair) => {
  const pid = await unwritten(pair)
  assert.equal((await server.dcs('POST', `/instances/${pair.id}/swap`)).status, 204)
  await until('it to be master', async () => (await pair.redis.info('server')).includes(`process_id:${pid}`))
  assert.match(await pair.redis.info('persistence'), /aof_rewrite_in_progress:0/)
  await quiet(pair.id)
}))

test('the password by which a replica copies opens nothing else', () => withPair('copies', async ({ nodes, replica }) => {
  const config = nodes[replica]!
  const [[, username], [, secret]] = await Promise.all([config.config('GET', 'masteruser'), config.config('GET', 'masterauth')]) as [string[], string[]]
  const asCopier = config.duplicate({ lazyConnect: true, enableReadyCheck: false, disableClientInfo: true, retryStrategy: () => null, maxRetriesPerRequest: 0 })
  await asCopier.connect()
  try {
    assert.equal(await asCopier.call('AUTH', username!, secret!), 'OK')
    for (const command of [['GET', 'key'], ['SET', 'key', 'value'], ['REPLICAOF', 'NO', 'ONE'], ['CONFIG', 'GET', 'port'], ['ACL', 'WHOAMI'], ['SHUTDOWN']] as [string, ...string[]][]) await assert.rejects(asCopier.call(...command), /NOPERM/, command.join(' '))
    await assert.rejects(asCopier.call('AUTH', 'sluice', secret!), /WRONGPASS/)
  } finally { asCopier.disconnect() }
}))

test('a replica that a customer lets take writes, or keeps from its master, is put right', () => withPair('put-right', async ({ id, redis, nodes, master, replica }) => {
  const [own, other] = [nodes[replica]!, nodes[master]!]
  // Of a master it counts from the day on which it is none.
  await redis.config('SET', 'replica-read-only', 'no')
  assert.equal((await server.dcs('POST', `/instances/${id}/swap`)).status, 204)
  await until('the other one to be master', async () => (await own.info('replication')).includes('role:master'))
  await assert.rejects(other.set('split', 'brain'), /READONLY/)
  await other.config('SET', 'replica-read-only', 'no')
  await other.config('SET', 'masterauth', 'wrong')
  await redis.call('CLIENT', 'KILL', 'TYPE', 'replica')
  await until('it to be put right', async () => /master_link_status:up[^]*slave_read_only:1/.test(await other.info('replication')))
  await quiet(id)
}))

test('what was flushed does not come back from a dump that lies about', () => withPair('flushed', async ({ id, redis, nodes }) => {
  await append(id, 'no')
  await quiet(id)
  await redis.set('secret', 'yes')
  for (const [n, node] of nodes.entries()) {
    await node.bgsave()
    await until('the dump', async () => (await node.info('persistence')).includes('rdb_bgsave_in_progress:0') && existsSync(join(server.home, 'nodes', `${id}-${n}`, 'data/dump.rdb')))
  }
  for (const action of ['flush', 'restart']) {
    assert.equal((await server.dcs('PUT', '/instances/status', { action, instances: [id] })).json.results[0].result, 'success')
    await quiet(id)
  }
  assert.equal(await redis.dbsize(), 0)
}))

test('of two replicas one lost its master, and the other one, which has all, says nothing when that dies: the master comes back itself', () => withPair('silent', async ({ id, redis, nodes, master, replica }) => {
  // So that nobody mends the link.
  await server.end('SIGKILL')
  const behind = nodes[replica]!
  await behind.config('SET', 'masterauth', 'wrong')
  await behind.call('CLIENT', 'KILL', 'TYPE', 'master')
  await fill(redis, 'late')
  await until('it to be without its master for a while, and less than it is trusted for', async () => Number(/master_link_down_since_seconds:(\d+)/.exec(await behind.info('replication'))?.[1] ?? 0) >= 3)
  await written(redis)
  const [dead, silent] = [nodePid(server.home, id, master), nodePid(server.home, id, 2)]
  process.kill(silent, 'SIGSTOP')
  process.kill(dead, 'SIGKILL')
  await server.start()
  await until('the dead one to be back', () => nodePid(server.home, id, master) !== dead, 30_000)
  process.kill(silent, 'SIGCONT')
  await quiet(id)
  assert.equal(await until('the data', () => redis.dbsize()), 50)
}, 3))

test('a master that hangs while its port changes is replaced', () => withPair('hangs', async ({ id, redis, master }) => {
  await redis.set('kept', 'yes')
  const pid = nodePid(server.home, id, master)
  process.kill(pid, 'SIGSTOP')
  assert.equal((await server.dcs('PUT', `/instances/${id}`, { port: 24_444 })).status, 204)
  await until('it to be replaced', () => nodePid(server.home, id, master) !== pid, 60_000)
  await quiet(id)
  const moved = client(await server.running('dcs', id))
  assert.deepEqual([moved.options.port, await moved.get('kept')], [24_444, 'yes'])
  moved.disconnect()
}))

test('an instance whose shrinking fails has all of its nodes, says so, and can be shrunk later', () => withPair('shrinks', async ({ id }) => {
  const folder = join(server.home, 'nodes', `${id}-2`)
  const less = async () => server.dcs('POST', `/instances/${id}/resize`, { spec_code: 'redis.ha.xu1.tiny.r2.128', new_capacity: 0.125, change_type: 'deleteReplication', node_list: [(await server.dcs('GET', `/instances/${id}/logical-nodes`)).json.nodes[2].node_id] })
  renameSync(join(folder, 'data/appendonlydir'), join(folder, 'kept'))
  writeFileSync(join(folder, 'data/appendonlydir'), '')
  writeFileSync(crash, `store.committed kill ${join(folder, 'pid')}`)
  try { assert.equal((await less()).status, 204) } finally { rmSync(crash) }
  await until('it to fail', async () => (await server.call('console', 'GET', `/v1/operations?instance=${id}`)).json.operations.some((one: any) => one.action === 'shrink' && one.outcome === 'failed'), 60_000)
  rmSync(join(folder, 'data/appendonlydir'))
  renameSync(join(folder, 'kept'), join(folder, 'data/appendonlydir'))
  await until('it to be whole', async () => (await server.status('dcs', id)) === 'RUNNING', 60_000)
  assert.equal((await server.dcs('GET', `/instances/${id}`)).json.spec_code, 'redis.ha.xu1.tiny.r3.128')
  assert.equal((await less()).status, 204)
  await quiet(id)
}, 3))
