/** From SQLite to PostgreSQL and back: everything moves, and no server of an instance notices. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { freshDatabase } from './support/postgres.ts'
import { client, makeServer, nodePid, root, starts, until } from './support/server.ts'

test('export and import move everything between SQLite and PostgreSQL; the same processes run on, and what was accepted is done', async () => {
  const database = await freshDatabase()
  const server = await makeServer({ SLUICE_DATABASE_URL: '' })
  const postgres = { SLUICE_DATABASE_URL: database.url }
  const file = join(mkdtempSync(join(tmpdir(), 'sluice-moved-')), 'state.jsonl')
  const sluice = (args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<{ code: number | null; out: string; err: string }> => new Promise((done) => {
    const child = spawn(process.execPath, [join(root, 'bin/sluice.js'), ...args], { env: { ...server.env, ...env } })
    let [out, err] = ['', '']
    child.stdout.on('data', (data) => { out += data })
    child.stderr.on('data', (data) => { err += data })
    child.on('exit', (code) => done({ code, out, err }))
  })
  const says = async (args: readonly string[], env: NodeJS.ProcessEnv, sentence: RegExp): Promise<void> => {
    const { code, err } = await sluice(args, env)
    assert.equal(code, 1)
    assert.match(err, sentence)
    assert.equal(err.trim().split('\n').length, 1, err)
    assert.ok(!err.includes('never-in-a-log'), err)
  }
  const refused = async (env: NodeJS.ProcessEnv, sentence: RegExp): Promise<void> => assert.rejects(server.start(env), sentence)
  try {
    await server.start()
    const ids = [await server.createRedis('single'), await server.createRedis('pair', { spec_code: 'redis.ha.xu1.tiny.r2.128' }), await server.createRedis('open')]
    const [one, , open] = await Promise.all(ids.map((id) => server.running('dcs', id)))
    const redis = client(one)
    await redis.set('kept', 'yes')
    const token = (await server.call('iam', 'POST', '/v3/auth/tokens', { auth: { identity: { methods: ['password'], password: { user: { name: 'admin', password: 'Test-Passw0rd', domain: { name: 'sluice' } } } }, scope: { project: { id: server.project } } } })).headers.get('x-subject-token')!
    await says(['export', file], {}, /another Sluice server is using/)
    assert.ok(!existsSync(file))
    assert.equal((await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [ids[2]] })).status, 200)
    await server.end('SIGKILL')
    const pids = [nodePid(server.home, ids[0]!), nodePid(server.home, ids[1]!), nodePid(server.home, ids[1]!, 1)]

    const out = await sluice(['export', file])
    assert.equal(out.code, 0, out.err)
    assert.match(out.out, /exported 1 projects, 3 instances, 4 nodes, 4 operations, \d+ audit rows to /)
    assert.equal(statSync(file).mode & 0o77, 0)
    for (const secret of ['Abcd1234!', 'Test-Passw0rd', readFileSync(join(server.home, 'master.key'), 'utf8').trim()]) assert.ok(!readFileSync(file, 'utf8').includes(secret))
    await says(['export', file], {}, /is there already/)
    await refused(postgres, /has a database of its own, sluice.db: move it/)
    await says(['import', file], {}, /the database is not empty/)
    await says(['import', file], { ...postgres, SLUICE_MASTER_KEY: 'another' }, /sealed with another master key/)
    writeFileSync(`${file}.bad`, '{"export":"somebody else"}\n')
    await says(['import', `${file}.bad`], postgres, /is not an export of Sluice/)
    await says(['import', file], { SLUICE_DATABASE_URL: 'postgres://sluice:never-in-a-log@127.0.0.1:1/none' }, /the database does not answer/)

    const moved = await sluice(['import', file], postgres)
    assert.equal(moved.code, 0, moved.err)
    assert.equal(moved.out.replace('imported', 'exported').trim(), out.out.replace(/ to .*/s, '').trim())
    await says(['import', file], postgres, /the database is not empty/)
    await refused({}, /was moved to PostgreSQL: set SLUICE_DATABASE_URL/)
    await server.start(postgres)
    assert.equal((await server.call('dcs', 'GET', `/v2/${server.project}/instances/${ids[0]}`, undefined, { 'x-auth-token': token })).status, 200, 'the old token is good')
    await Promise.all(ids.map((id) => server.running('dcs', id)))
    assert.deepEqual([nodePid(server.home, ids[0]!), nodePid(server.home, ids[1]!), nodePid(server.home, ids[1]!, 1)], pids)
    assert.equal(starts(server.home, ids[2]!), 2, 'the accepted restart was done, once')
    assert.equal(await redis.get('kept'), 'yes')
    assert.equal((await server.dcs('GET', `/instances/${ids[2]}`)).json.ip, open.ip)
    // Its password opens, its addresses are held: it can be restarted, and another one created beside it.
    await server.running('dcs', await server.createRedis('beside'))
    assert.equal((await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [ids[0]] })).status, 200)
    await server.running('dcs', ids[0]!)
    await until('the data', async () => await redis.get('kept') === 'yes')

    await server.end('SIGTERM')
    const pid = nodePid(server.home, ids[0]!)
    assert.equal((await sluice(['export', `${file}.back`], postgres)).code, 0)
    assert.equal((await sluice(['import', `${file}.back`])).code, 0)
    await server.start()
    await Promise.all(ids.map((id) => server.running('dcs', id)))
    assert.equal(nodePid(server.home, ids[0]!), pid)
    assert.equal((await server.dcs('GET', '/instances')).json.instance_num, 4)
    redis.disconnect()
  } finally {
    await server.destroy()
    await database.drop()
    rmSync(join(file, '..'), { recursive: true })
  }
})
