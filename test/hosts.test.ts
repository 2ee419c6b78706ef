/** Control planes of different hosts on one PostgreSQL: each looks after its own nodes. A host here is a home of its own. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { sharedCredentials, sharedSecrets } from '../src/agreement.ts'
import { readConfig } from '../src/config.ts'
import { openDatabase } from '../src/store/database.ts'
import { freshDatabase } from './support/postgres.ts'
import { client, isAlive, makeServer, nodePid, sleep, starts, until, type Server } from './support/server.ts'

const masterKey = 'one-key-for-both-hosts'

describe('control planes of two hosts', { concurrency: false }, () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>
  let here: Server
  let there: Server
  before(async () => {
    database = await freshDatabase()
    here = await makeServer({ SLUICE_DATABASE_URL: database.url, SLUICE_MASTER_KEY: masterKey })
    await here.start()
    there = await makeServer({ SLUICE_DATABASE_URL: database.url, SLUICE_MASTER_KEY: masterKey, SLUICE_PROJECT_ID: here.project })
    await there.start()
  })
  after(async () => { await there?.destroy(); await here?.destroy(); await database.drop() })

  test('an instance is placed where it is accepted, is looked after there, and is shown and changed from anywhere', async () => {
    const id = await there.createRedis('there')
    await here.running('dcs', id)
    assert.ok(existsSync(join(there.home, 'nodes', `${id}-0`)) && !existsSync(join(here.home, 'nodes', `${id}-0`)))
    assert.equal((await here.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })).json.results[0].result, 'success')
    await here.running('dcs', id)
    assert.equal(starts(there.home, id), 2)
    const [node] = (await here.call('console', 'GET', '/v1/nodes')).json.nodes
    assert.deepEqual([node.phase, node.pid, node.status], ['unknown', null, 'running'])
    assert.equal((await here.dcs('GET', `/instances/${id}/logical-nodes`)).json.nodes[0].status, 'Active')
    assert.equal((await here.call('console', 'GET', `/v1/instances/${id}/log`)).json.error_code, 'SLUICE.0411')
    assert.equal((await there.call('console', 'GET', `/v1/instances/${id}/log`)).status, 200)
    assert.equal((await here.dcs('DELETE', `/instances/${id}`)).status, 204)
    await until('it to be gone', () => !existsSync(join(there.home, 'nodes', `${id}-0`)))
  })

  test('of a silent host nothing is known: not dead, nothing started elsewhere, and what was accepted is done when it is back', async () => {
    const [served, killed, wished] = [await there.createRedis('served'), await there.createRedis('killed'), await there.createRedis('wished')]
    const [instance] = await Promise.all([served, killed, wished].map((id) => here.running('dcs', id)))
    const redis = client(instance)
    await redis.set('kept', 'yes')
    await there.end('SIGKILL')
    const pid = nodePid(there.home, killed)
    process.kill(pid, 'SIGKILL')
    assert.equal((await here.dcs('PUT', '/instances/status', { action: 'restart', instances: [wished] })).json.results[0].result, 'success')
    await until('UNKNOWN', async () => await here.status('dcs', served) === 'UNKNOWN' && await here.status('dcs', killed) === 'UNKNOWN', 15_000, 100)
    assert.equal(await here.status('dcs', wished), 'RESTARTING')
    const nodes = (await here.call('console', 'GET', '/v1/nodes')).json.nodes
    assert.deepEqual([...new Set(nodes.map((node: { phase: string }) => node.phase))], ['unknown'])
    await sleep(2000)
    assert.equal(await redis.get('kept'), 'yes')
    assert.ok(!isAlive(pid) && nodePid(there.home, killed) === pid, 'nobody started it')
    assert.equal((await here.call('console', 'GET', '/v1/operations?open=true')).json.operations.length, 1)
    await there.start()
    await Promise.all([served, killed, wished].map((id) => here.running('dcs', id)))
    await until('it to be brought back', () => nodePid(there.home, killed) !== pid)
    assert.deepEqual([starts(there.home, served), starts(there.home, wished)], [1, 2])
    redis.disconnect()
  })

  test('a host that never comes back is forgotten with its instances, by whoever may, and only while it is silent', async () => {
    const id = (await here.dcs('GET', '/instances')).json.instances[0].instance_id
    const hosts = async (): Promise<{ id: string; own: boolean; heard: boolean; instances: number }[]> => (await here.call('console', 'GET', '/v1/hosts')).json.hosts
    const lost = (await hosts()).find((host) => !host.own)!
    assert.deepEqual([lost.heard, lost.instances], [true, 3])
    const forget = () => here.call('console', 'DELETE', `/v1/hosts/${lost.id}`)
    assert.equal((await forget()).json.error_code, 'SLUICE.0412')
    assert.equal((await here.call('console', 'DELETE', `/v1/hosts/${(await hosts()).find((host) => host.own)!.id}`)).json.error_code, 'SLUICE.0412')
    assert.equal((await here.call('console', 'DELETE', '/v1/hosts/nobody')).status, 404)
    await there.end('SIGKILL')
    const pid = nodePid(there.home, id)
    await until('UNKNOWN', async () => await here.status('dcs', id) === 'UNKNOWN', 15_000, 100)
    const counted = (await here.dcs('GET', '/instances/status')).json
    assert.deepEqual([counted.unknown_count, counted.running_count], [3, 0])
    assert.match((await here.call('console', 'GET', '/metrics')).text, /sluice_instances\{engine="redis",status="unknown"\} 3/)
    // What was wished for it waited.
    assert.equal((await here.dcs('DELETE', `/instances/${id}`)).status, 204)
    assert.equal((await forget()).json.instances.length, 3)
    assert.equal((await here.dcs('GET', '/instances')).json.instance_num, 0)
    assert.deepEqual((await hosts()).map((host) => host.own), [true])
    assert.equal((await forget()).status, 404)
    assert.ok(isAlive(pid), 'what runs there is not stopped')
    const db = await openDatabase({ home: '', databaseUrl: database.url })
    const audited = await db.selectFrom('audit').select(['action', 'actor']).where('action', 'like', '%.forgotten').orderBy('action').execute()
    await db.destroy()
    assert.deepEqual(audited.map((row) => `${row.action} ${row.actor}`), ['host.forgotten admin', ...Array.from({ length: 3 }, () => 'instance.forgotten admin')])
    // If it does come back, it finds nothing to do.
    await there.start()
    assert.equal((await there.dcs('GET', '/instances')).json.instance_num, 0)
  })
})

test('what is generated is the same for all who share a database; another master key is refused, and none is made', async () => {
  const database = await freshDatabase()
  const homes = [1, 2, 3].map(() => mkdtempSync(join(tmpdir(), 'sluice-agree-')))
  const db = await openDatabase({ home: '', databaseUrl: database.url })
  const config = (n: number, more: NodeJS.ProcessEnv = {}) => readConfig({ SLUICE_HOME: homes[n]!, SLUICE_DATABASE_URL: database.url, ...more })
  const agree = async (n: number, more: NodeJS.ProcessEnv = {}) => sharedCredentials(db, await sharedSecrets(db, config(n, more)), config(n, more))
  try {
    const first = await agree(0)
    const key = readFileSync(join(homes[0]!, 'master.key'), 'utf8')
    await assert.rejects(agree(1), /belongs to another master key: give this control plane the SLUICE_MASTER_KEY of the others/)
    assert.ok(!existsSync(join(homes[1]!, 'master.key')), 'no key was made')
    await assert.rejects(agree(1, { SLUICE_MASTER_KEY: 'a wrong one' }), /another master key/)
    writeFileSync(join(homes[1]!, 'master.key'), key)
    assert.deepEqual(await agree(1), first)
    assert.equal(JSON.parse(readFileSync(join(homes[1]!, 'credentials.json'), 'utf8')).password, first.password, 'for the CLI')
    assert.deepEqual(await agree(0), first, 'and the same at the next start')
    // Given ones are kept nowhere, so each has to be given them.
    writeFileSync(join(homes[2]!, 'master.key'), key)
    assert.equal((await agree(2, { SLUICE_PASSWORD: 'Given-1234' })).password, 'Given-1234')
    await assert.rejects(agree(0), /SLUICE_PASSWORD came from the environment of the control planes that share this database/)
    for (const row of await db.selectFrom('settings').selectAll().execute()) assert.ok(!row.value.includes(first.password) && !row.value.includes(first.secretKey) && !row.value.includes(key.trim()), row.name)
  } finally {
    await db.destroy()
    await database.drop()
    for (const home of homes) rmSync(home, { recursive: true })
  }
})
