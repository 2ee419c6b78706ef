/** From an earlier release to this one: with instances, and an operation in flight. Needs the repository's history. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openDatabase } from '../src/store/database.ts'
import { ask, freshDatabase } from './support/postgres.ts'
import { client, makeServer, nodePid, root, sibling, starts, until, type Server } from './support/server.ts'

/** The last one before this database was there, and the first one that had it. */
const earlier = { SQLite: '1132b0289ade5093588b4d33dacb46e1ba19fd7c', PostgreSQL: 'f35279e8441536d2408aa09d796c1bbce82bba41' } as const

for (const [database, commit] of Object.entries(earlier)) {
  const isThere = spawnSync('git', ['-C', root, 'cat-file', '-e', `${commit}^{commit}`]).status === 0
  // Said aloud: a copy without history has no earlier release to start, and nothing here can bring one.
  if (!isThere) console.error(`upgrade: NOT TESTED on ${database}: this copy lacks ${commit}; clone the whole history`)
  describe(`from ${commit.slice(0, 7)} to this release, on ${database}`, { concurrency: false, skip: !isThere && `this copy of the repository lacks ${commit}` }, () => {
    const checkout = mkdtempSync(join(tmpdir(), 'sluice-earlier-'))
    const env = database === 'SQLite' ? { SLUICE_DATABASE_URL: '' } : { SLUICE_TEST_DATABASE: 'postgres' }
    let server: Server
    before(async () => {
      const found = spawnSync('git', ['-C', root, 'archive', '-o', join(checkout, 'all.tar'), commit], { encoding: 'utf8' })
      assert.equal(found.status, 0, found.stderr)
      execFileSync('tar', ['xf', 'all.tar'], { cwd: checkout })
      symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'))
      server = await makeServer(env)
    })
    after(async () => { await server?.destroy(); rmSync(checkout, { recursive: true, force: true }) })

    test('the same processes are found, and what was in flight is finished, once', async () => {
      const crash = join(server.home, '..', 'crash')
      server.always({ CRASH_FILE: crash }, ['--import', join(checkout, 'test/crash/hook.ts')])
      await server.start({ SLUICE_TEST_ROOT: checkout })
      const [kept, pair, moved] = [await server.createRedis('kept'), await server.createRedis('pair', { spec_code: 'redis.ha.xu1.tiny.r2.128' }), await server.createRedis('moved')]
      const [one] = await Promise.all([kept, pair, moved].map((id) => server.running('dcs', id)))
      const redis = client(one)
      await redis.set('kept', 'yes')
      const pids = [nodePid(server.home, kept), nodePid(server.home, pair), nodePid(server.home, pair, 1)]
      await until('quiet', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0)
      // In the middle: the old server of the node has ended, the new one is not started.
      writeFileSync(crash, '4 end')
      await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [moved] }).catch(() => null)
      await server.ended()
      rmSync(crash)
      assert.match(readFileSync(`${crash}.passed`, 'utf8').trim().split('\n').at(-1)!, /runtime/)
      await server.start()
      await Promise.all([kept, pair, moved].map((id) => server.running('dcs', id)))
      assert.deepEqual([nodePid(server.home, kept), nodePid(server.home, pair), nodePid(server.home, pair, 1)], pids)
      assert.equal(starts(server.home, moved), 2)
      assert.equal(await redis.get('kept'), 'yes')
      redis.disconnect()
      assert.ok(existsSync(join(server.home, 'nodes', `${moved}-0`)))
    })

    if (database === 'PostgreSQL') test('both work on the same schema while one after the other is replaced', async () => {
      const old = await sibling(server, { SLUICE_TEST_ROOT: checkout })
      try {
        await old.start()
        const [there, here] = [await old.createRedis('by-the-old'), await server.createRedis('by-the-new')]
        for (const plane of [old, server]) for (const id of [there, here]) await plane.running('dcs', id)
        assert.equal((await old.dcs('PUT', '/instances/status', { action: 'restart', instances: [here] })).status, 200)
        assert.equal((await server.dcs('PUT', '/instances/status', { action: 'soft_restart', instances: [there] })).status, 200)
        await Promise.all([there, here].map((id) => old.running('dcs', id)))
        await old.end('SIGTERM')
        assert.equal((await server.dcs('DELETE', '/instances', { instances: [there, here] })).status, 200)
        await until('both to be gone', () => ![there, here].some((id) => existsSync(join(server.home, 'nodes', `${id}-0`))))
      } finally { await old.destroy() }
    })
  })
}

test('a schema to which a newer release has added is served; one that needs a newer release is refused with a sentence', async () => {
  const { url, drop } = await freshDatabase()
  const open = async (): Promise<void> => { await (await openDatabase({ home: '', databaseUrl: url })).destroy() }
  const ours = readdirSync(join(root, 'src/store/migrations')).map((file) => file.replace('.ts', '')).toSorted()
  try {
    await Promise.all([open(), open(), open()])
    assert.equal((await ask(url, 'select count(*)::int as count from kysely_migration')).rows[0].count, ours.length, 'each migration ran once')
    await ask(url, 'alter table instances add column newer text')
    await ask(url, `insert into kysely_migration values ('9999-newer', now()::text)`)
    await open()
    await ask(url, `insert into settings values ('least schema', '"9999-newer"')`)
    await assert.rejects(open(), { message: `the database of SLUICE_DATABASE_URL needs a release that knows its schema 9999-newer, and this one knows ${ours.at(-1)} at most: start the newer release` })
  } finally { await drop() }
})
