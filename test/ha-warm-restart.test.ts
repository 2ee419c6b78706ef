/** A soft restart of a replicated Redis with data: nobody copies it, whatever dies meanwhile loses nothing, and nothing of it stays. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Redis } from 'ioredis'
import { haGround, intact, rolesOf, type HaGround } from './crash/ha-ground.ts'
import { makeServer, nodePid, password, root, until, type Server } from './support/server.ts'

const copied = /Full resync from master/g
const wentOn = /accepted a Partial Resynchronization/g
const fromDump = /DB loaded from disk/g
const fromFile = /DB loaded from append only file/g

const logOf = (server: Server, id: string, n: number): string => readFileSync(join(server.home, 'nodes', `${id}-${n}`, 'log'), 'utf8')
const counts = (server: Server, ground: HaGround, what: RegExp): number[] => ground.ordinals.map((n) => [...logOf(server, ground.id, n).matchAll(what)].length)
const more = (now: readonly number[], then: readonly number[]): number[] => now.map((count, n) => count - then[n]!)
const softRestart = (server: Server, { id }: HaGround) => server.dcs('PUT', '/instances/status', { action: 'soft_restart', instances: [id] })

/** INFO of each process, wherever it listens. */
async function infos({ doors }: HaGround): Promise<Map<number, string>> {
  const found = new Map<number, string>()
  for (const door of doors) {
    const redis = new Redis({ ...door, password, protocol: 2, lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 })
    redis.on('error', () => {})
    await redis.connect().then(async () => { const info = await redis.info(); found.set(Number(/process_id:(\d+)/.exec(info)![1]), info) }).catch(() => {})
    redis.disconnect()
  }
  return found
}

/** While an fsync takes its time Redis acknowledges what it has not written yet, and of that SIGKILL takes what it likes: not what is tested here. */
async function neverPostponed({ doors }: HaGround): Promise<void> {
  for (const door of doors) {
    const redis = new Redis({ ...door, password, protocol: 2, lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 })
    redis.on('error', () => {})
    await redis.connect().then(() => redis.config('SET', 'appendfsync', 'no'), () => {})
    redis.disconnect()
  }
}

/** Each node keeps its append-only file, and no dump of it lies about. */
async function asBefore(server: Server, ground: HaGround): Promise<void> {
  const all = await infos(ground)
  for (const n of ground.ordinals) {
    assert.match(all.get(nodePid(server.home, ground.id, n)) ?? 'silent', /aof_enabled:1\r\naof_rewrite_in_progress:0/)
    assert.ok(!existsSync(join(server.home, 'nodes', `${ground.id}-${n}`, 'data/dump.rdb')), `node ${n} has a dump still`)
  }
}

/** The least share of the processors that each node's processes had until this was called: 0 is a server's, more is less (sched(7), autogroup). */
function leastShares(server: Server, { id, ordinals }: HaGround): () => number[] {
  const least = ordinals.map(() => 0)
  const share = (n: number): number => { try { return Number(/nice (-?\d+)/.exec(readFileSync(`/proc/${nodePid(server.home, id, n)}/autogroup`, 'latin1'))![1]) } catch { return 0 } }
  const timer = setInterval(() => { for (const n of ordinals) least[n] = Math.max(least[n]!, share(n)) }, 1)
  return () => {
    clearInterval(timer)
    assert.deepEqual(ordinals.map(share), ordinals.map(() => 0), 'who serves still gives way')
    return least
  }
}

/** Of one mode all; the other differs in its addresses alone. */
const modes = [
  { name: 'own addresses', env: {}, ends: ['engine.saving', 'engine.warmed', 'runtime.launched', 'engine.followed', 'engine.appending', 'engine.discarded'], kills: ['engine.drained', 'runtime.prepared', 'runtime.applied'] },
  { name: 'one host', env: { SLUICE_NODE_HOST: '127.0.0.1', SLUICE_NODE_PORTS: '22700-22760' }, ends: ['engine.warmed'], kills: ['runtime.applied'] },
]

for (const mode of modes) {
  describe(`a soft restart of much data, ${mode.name}`, { concurrency: false }, () => {
    let server: Server
    let file: string
    before(async () => {
      server = await makeServer(mode.env)
      file = join(server.home, '..', 'crash')
      server.always({ CRASH_FILE: file }, ['--import', join(root, 'test/crash/hook.ts')])
      await server.start()
    })
    after(async () => { await server.destroy() })

    test('both nodes go on where they were, and nothing of it is left', async () => {
      const ground = await haGround(server, 2, true)
      const [copies, resumed] = [counts(server, ground, copied), counts(server, ground, wentOn)]
      const shares = leastShares(server, ground)
      assert.equal((await softRestart(server, ground)).status, 200)
      assert.equal(await intact(server, ground), 0, 'acknowledged writes are lost')
      assert.ok(shares().every((least) => least > 0), 'a node that loads or writes its file takes the processor from who serves')
      assert.deepEqual(more(counts(server, ground, copied), copies), [0, 0], 'somebody copied everything')
      const steps = more(counts(server, ground, wentOn), resumed)
      // The old master goes on once when it becomes a replica, and again after its start.
      assert.ok(steps.every((count) => count >= 1), steps.join())
      assert.match([...(await infos(ground)).values()].find((info) => info.includes('role:master'))!, /sync_full:0\r\nsync_partial_ok:[1-9]/)
      await asBefore(server, ground)
      // Later it is the append-only file that counts.
      const loaded = counts(server, ground, fromFile)
      const replica = [...await rolesOf(ground.doors)].find(([, role]) => role === 'slave')![0]
      process.kill(replica, 'SIGKILL')
      await until('the killed one to be back', async () => { const roles = await rolesOf(ground.doors); return roles.size === 2 && !roles.has(replica) })
      await server.running('dcs', ground.id)
      assert.equal(more(counts(server, ground, fromFile), loaded).reduce((a, b) => a + b), 1)
    })

    test('an append-only file that a customer turned off is on again before anybody stops', async () => {
      const ground = await haGround(server, 2, true)
      const redis = new Redis({ ...ground.doors[0]!, password, protocol: 2 })
      await redis.config('SET', 'appendonly', 'no')
      redis.disconnect()
      await softRestart(server, ground)
      assert.equal(await intact(server, ground), 0, 'acknowledged writes are lost')
      await asBefore(server, ground)
    })

    for (const point of mode.ends) {
      test(`the control plane is killed at ${point}`, async () => {
        const ground = await haGround(server, 2, true)
        await struck(`${point} end`, async () => {
          await softRestart(server, ground).catch(() => {})
          await server.ended()
        })
        await server.start()
        assert.equal(await intact(server, ground), 0, 'acknowledged writes are lost')
        await asBefore(server, ground)
      })
    }

    for (const point of mode.kills) {
      test(`the master is killed at ${point}, while its replica has only what its dump has`, async () => {
        const ground = await haGround(server, 2, true)
        await neverPostponed(ground)
        const [dumps, master] = [counts(server, ground, fromDump), nodePid(server.home, ground.id, ground.master)]
        await struck(`${point} kill ${join(server.home, 'nodes', `${ground.id}-${ground.master}`, 'pid')}`, async () => {
          await softRestart(server, ground)
          await until('the master to be dead', async () => !(await rolesOf(ground.doors)).has(master))
        })
        assert.equal(await intact(server, ground), 0, 'acknowledged writes are lost')
        assert.ok(more(counts(server, ground, fromDump), dumps)[ground.ordinals.indexOf(ground.replicas[0]!)]! > 0, 'the replica was not warm')
        await asBefore(server, ground)
      })
    }

    test('everything is killed while the replica has only what its dump has', async () => {
      const ground = await haGround(server, 2, true)
      await neverPostponed(ground)
      await struck('runtime.applied end', async () => {
        await softRestart(server, ground).catch(() => {})
        await server.ended()
      })
      for (const n of ground.ordinals) process.kill(nodePid(server.home, ground.id, n), 'SIGKILL')
      await server.start()
      assert.equal(await intact(server, ground), 0, 'acknowledged writes are lost')
      await asBefore(server, ground)
    })

    async function struck(order: string, meanwhile: () => Promise<void>): Promise<void> {
      writeFileSync(file, order)
      try { await meanwhile() } finally { rmSync(file, { force: true }) }
    }
  })
}
