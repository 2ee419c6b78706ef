/** The engine contract on real Redis servers, and what only Redis does: flushing exactly once. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Redis } from 'ioredis'
import { redisEngine } from '../src/engines/redis/index.ts'
import { findRedis, locateRedis } from '../src/engines/redis/program.ts'
import { runnable } from '../src/engines/redis/versions.ts'
import { readConfig } from '../src/config.ts'
import { testGround, type TestGround } from './support/ground.ts'
import { until } from './support/server.ts'
import { engineContract, instanceFor, still } from './contracts/engine.ts'
import type { Instance, NodeRecord } from '../src/core/instance.ts'
import type { NodeState } from '../src/core/runtime.ts'

const { programs } = readConfig(process.env)
const engine = redisEngine({ account: (id) => `account-of-${id}`, customer: () => null, open: (text: string) => text }, async () => (await findRedis(programs)).version)

engineContract('redis engine', async () => {
  const ground = await testGround(locateRedis(programs))
  return {
    engine, runtime: ground.runtime, version: '7.0', flavor: 'redis.single.xu1.tiny.128',
    place: () => ground.place(engine.ports({ topology: 'single' })),
    async impostor(node) {
      const folder = mkdtempSync(join(tmpdir(), 'sluice-impostor-'))
      // It even knows our account's password, as a Redis restored from our files would.
      const child = spawn((await findRedis(programs)).path, ['--bind', node.address, '--port', String(node.ports['service']), '--save', '', '--user', 'sluice', 'on', `>account-of-${node.instanceId}`, '~*', '&*', '+@all'], { cwd: folder, stdio: 'ignore' })
      const redis = new Redis({ host: node.address, port: node.ports['service']!, retryStrategy: () => 10, maxRetriesPerRequest: null })
      redis.on('error', () => {})
      await redis.set('foreign', 'data')
      return async () => {
        assert.equal(await redis.get('foreign'), 'data', 'the foreign server was flushed')
        redis.disconnect()
        child.kill('SIGKILL')
        await new Promise((done) => child.once('exit', done))
        rmSync(folder, { recursive: true })
      }
    },
    destroy: () => ground.destroy(),
  }
})

describe('redis engine', () => {
  let ground: TestGround
  let instance: Instance
  let node: NodeRecord
  let customer: Redis
  const state = async (): Promise<NodeState> => (await ground.runtime.inspect(instance.id, [node.id]))[0]!
  const world = async () => still(instance, [node], [await state()])

  before(async () => {
    ground = await testGround(locateRedis(programs))
    instance = instanceFor(engine, '7.0', 'redis.single.xu1.tiny.128')
    instance = { ...instance, spec: { ...instance.spec, memoryBytes: 8 << 20, parameters: { 'maxmemory-policy': 'noeviction' }, renamedCommands: { flushall: 'wipe-it-all' } } }
    node = { id: `${instance.id}-0`, instanceId: instance.id, ordinal: 0, host: 'h', ...await ground.place(engine.ports({ topology: 'single' })) }
    await ground.runtime.apply(engine.layout(instance, [node])[0]!, { force: false })
    await until('the engine to answer', async () => (await engine.probe(instance, [node], [await state()])).ok)
    customer = new Redis({ host: node.address, port: node.ports['service']!, maxRetriesPerRequest: null })
    customer.on('error', () => {})
  })
  after(async () => { customer.disconnect(); await ground.destroy() })

  test('a flush happens once for a key, however often it is asked for', async () => {
    await customer.set('before', '1')
    await engine.flush!(await world(), 'k1')
    assert.equal(await customer.get('before'), null)
    await customer.set('after', '1')
    await engine.flush!(await world(), 'k1')
    assert.equal(await customer.get('after'), '1')
    await engine.forgetFlush!(await world(), 'k1')
    assert.deepEqual(await customer.keys('*'), ['after'])
  })

  test('a flush works while memory is full', async () => {
    const value = 'x'.repeat(100_000)
    await assert.rejects(async () => { for (let i = 0; ; i += 1) await customer.set(`big:${i}`, value) }, /OOM/)
    await engine.flush!(await world(), 'k2')
    await engine.forgetFlush!(await world(), 'k2')
    assert.equal(await customer.dbsize(), 0)
  })

  test('a predecessor\'s connection with the flush still in its socket is cut before ours', async () => {
    const predecessor = new Redis({ host: node.address, port: node.ports['service']!, username: 'sluice', password: `account-of-${instance.id}`, connectionName: 'sluice-flush-k3', retryStrategy: () => null, maxRetriesPerRequest: 0 })
    predecessor.on('error', () => {})
    await predecessor.ping()
    await engine.flush!(await world(), 'k3')
    await assert.rejects(predecessor.ping())
    await engine.forgetFlush!(await world(), 'k3')
  })

  test('customers cannot take the node away from the control plane', async () => {
    for (const command of [['ACL', 'SETUSER', 'sluice', 'off'], ['DEBUG', 'SLEEP', '1'], ['REPLICAOF', '127.0.0.1', '1'], ['MODULE', 'LIST'], ['CLIENT', 'PAUSE', '1'], ['CLIENT', 'UNPAUSE']]) {
      await assert.rejects(customer.call(command[0]!, ...command.slice(1)), /NOPERM|not allowed/)
    }
    assert.equal(typeof await customer.client('ID'), 'number')
  })

  test('what waits to be sent to a replica counts as used, and not as filling the memory that a customer has', async () => {
    const ours = new Redis({ host: node.address, port: node.ports['service']!, username: 'sluice', password: `account-of-${instance.id}` })
    // Its copy begins at once, and not with others after 5 s.
    await ours.config('SET', 'repl-diskless-sync', 'no')
    const replica = connect(node.ports['service']!, node.address).pause()
    replica.write('SYNC\r\n')
    await until('the replica to be there', async () => /slave0:.*state=online/.test(await ours.info('replication')))
    const value = 'x'.repeat(1 << 20)
    for (let n = 0; n < 40; n += 1) await customer.set('large', value)
    const facts = await engine.facts!(instance, [node], [await state()])
    assert.ok(facts.usedBytes > 16 << 20 && facts.fullestBytes < 8 << 20, `${facts.usedBytes} used, ${facts.fullestBytes} of them the customer's`)
    replica.destroy()
    ours.disconnect()
    await customer.del('large')
  })

  test('what an earlier release let customers do is taken from them with the next change', async () => {
    const ours = new Redis({ host: node.address, port: node.ports['service']!, username: 'sluice', password: `account-of-${instance.id}` })
    await ours.call('ACL', 'SETUSER', 'default', '+client')
    ours.disconnect()
    assert.equal(await customer.call('CLIENT', 'UNPAUSE'), 'OK')
    assert.deepEqual(await engine.configure!(await world(), instance.spec), { ok: true })
    await assert.rejects(customer.call('CLIENT', 'UNPAUSE'), /NOPERM/)
  })

  test('only 4.0 and later can be flushed', () => {
    assert.deepEqual(['3.0', '4.0', '5.0', '6.0', '7.0'].map((version) => engine.flushable!({ ...instance, version })), [false, true, true, true, true])
  })

  test('an asked version runs on the installed one when that is the same or newer', () => {
    assert.deepEqual([runnable('6.0', '7.0.15'), runnable('7.0', '6.2.7'), runnable('6.0', '6.2.7'), runnable('8.0', '8.2.1'), runnable('3.0', '8.0.1')], ['7.0.15', null, '6.2.7', null, '8.0.1'])
  })

  test('a program that is no redis-server, or too old, is refused with its path', async () => {
    await assert.rejects(findRedis({ ...programs, redisServer: '/bin/false' }), /\/bin\/false/)
    await assert.rejects(findRedis({ ...programs, redisServer: '/nowhere/redis-server' }), /\/nowhere\/redis-server does not exist/)
    const { writeFileSync, chmodSync } = await import('node:fs')
    const old = join(ground.folder, 'redis-server')
    writeFileSync(old, '#!/bin/sh\necho "Redis server v=6.0.16 sha=0 malloc=libc bits=64 build=0"\n')
    chmodSync(old, 0o755)
    await assert.rejects(findRedis({ ...programs, redisServer: old }), new RegExp(`${old} is Redis 6.0.16`))
  })
})
