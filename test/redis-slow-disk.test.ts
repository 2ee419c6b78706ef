/** What a forced restart takes with it while a disk is slow. Needs a C compiler and Linux: a Redis gets a disk that is as slow as is wanted. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { readConfig } from '../src/config.ts'
import { redisEngine } from '../src/engines/redis/index.ts'
import { findRedis, locateRedis } from '../src/engines/redis/program.ts'
import { instanceFor } from './contracts/engine.ts'
import { testGround } from './support/ground.ts'
import { root, until } from './support/server.ts'
import type { Instance, NodeRecord } from '../src/core/instance.ts'

const isLinux = process.platform === 'linux'
// Said aloud: nothing else here makes a disk slow.
if (!isLinux) console.error('slow disk: NOT TESTED: this is not Linux')

test('a write that is acknowledged between the drain of a forced restart and the kill is there afterwards, however slow the disk', { skip: !isLinux }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-slow-'))
  const [flag, library, program] = ['slow', 'slow.so', 'redis-server'].map((name) => join(folder, name)) as [string, string, string]
  execFileSync('cc', ['-shared', '-fPIC', `-DFLAG="${flag}"`, '-o', library, join(root, 'test/support/slow-disk.c')])
  const { programs } = readConfig(process.env)
  writeFileSync(program, `#!/bin/sh\nLD_PRELOAD=${library} exec ${(await findRedis(programs)).path} "$@"\n`, { mode: 0o755 })
  const engine = redisEngine({ account: (id) => `account-of-${id}`, customer: () => null, open: (text: string) => text }, async () => '7.0')
  const ground = await testGround(locateRedis({ ...programs, redisServer: program }))
  try {
    let instance: Instance = instanceFor(engine, '7.0', 'redis.single.xu1.tiny.128')
    const node: NodeRecord = { id: `${instance.id}-0`, instanceId: instance.id, ordinal: 0, host: 'h', ...await ground.place(engine.ports(instance.spec)) }
    const state = async () => (await ground.runtime.inspect(instance.id, [node.id]))[0]!
    const start = async () => {
      await ground.runtime.apply(engine.layout(instance, [node])[0]!, { force: true })
      await until('it to answer', async () => (await engine.probe(instance, [node], [await state()])).ok)
      return new Redis({ host: node.address, port: node.ports['service']!, retryStrategy: () => null }).on('error', () => {})
    }
    const redis = await start()
    writeFileSync(flag, '')
    await redis.set('early', 'yes')
    await until('the disk to be waited for', async () => (await redis.info('persistence')).includes('aof_pending_bio_fsync:1'))
    await engine.drain!(instance, node, await state(), { force: true })
    await redis.set('late', 'yes')
    await ground.runtime.kill(node.id, (await state()).identity!)
    redis.disconnect()
    rmSync(flag)
    instance = { ...instance, generation: 2 }
    const again = await start()
    assert.deepEqual(await again.mget('early', 'late'), ['yes', 'yes'])
    assert.deepEqual(await again.config('GET', 'appendfsync'), ['appendfsync', 'everysec'])
    again.disconnect()
  } finally {
    await ground.destroy()
    rmSync(folder, { recursive: true, force: true })
  }
})
