/** What cannot get done ends at its deadline, and afterwards what is shown is what is in force. Servers of several instances freeze beside each other. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { client, makeServer, nodePid, root, until, type Server } from './support/server.ts'
import { ha, item, operationsOf, settingsOf } from './support/settings.ts'

describe('what ends by its deadline', { concurrency: true }, () => {
  let server: Server
  const crash = (): string => join(server.home, '..', 'crash')
  before(async () => {
    server = await makeServer()
    server.always({ CRASH_FILE: crash(), DEADLINES: JSON.stringify({ configure: 8000, port: 8000, restore: 2000, rename: 2500 }) }, ['deadlines', 'hook'].flatMap((name) => ['--import', join(root, `test/crash/${name}.ts`)]))
    await server.start()
  })
  after(async () => { await server.destroy() })
  const { put, value, everywhere } = settingsOf(() => server)
  const { last, failed, recovered } = operationsOf(() => server)

  test('a change of parameters: the former ones are shown, and a node that had the new ones has them again', async () => {
    const id = await server.createRedis('half', ha)
    const master = client(await server.running('dcs', id))
    const replica = nodePid(server.home, id, 1)
    process.kill(replica, 'SIGSTOP')
    const asked = put(id, item('timeout', '99'))
    // Before the deadline: who puts it back afterwards is quick.
    await until('the master to have the new one', async () => (await master.config('GET', 'timeout') as string[])[1] === '99')
    master.disconnect()
    const answer = await asked
    assert.deepEqual([answer.status, answer.json.error_code], [500, 'DCS.4842'], answer.text)
    assert.match(answer.json.error_msg, /gave up/)
    assert.equal(await value(id, 'timeout'), '0')
    process.kill(replica, 'SIGCONT')
    await recovered(id)
    assert.deepEqual(await everywhere(id, 'timeout'), ['0', '0'])
    assert.equal(nodePid(server.home, id, 1), replica, 'nothing was restarted')
    await server.running('dcs', id)
  })

  test('a change of the port: the former one is shown, and clients come by it', async () => {
    const id = await server.createRedis('moves', ha)
    const made = await server.running('dcs', id)
    const replica = nodePid(server.home, id, 1)
    process.kill(replica, 'SIGSTOP')
    assert.equal((await server.dcs('PUT', `/instances/${id}`, { port: 24_888 })).status, 204)
    const moved = client({ ...made, port: 24_888 })
    assert.equal(await moved.ping(), 'PONG')
    moved.disconnect()
    await failed(id, 'port')
    process.kill(replica, 'SIGCONT')
    await recovered(id)
    const now = await server.running('dcs', id)
    assert.equal(now.port, made.port)
    const redis = client(now)
    assert.equal(await redis.set('still', 'there'), 'OK')
    assert.equal(await redis.wait(1, 5000), 1)
    redis.disconnect()
    // The other one is free again.
    const other = await server.createRedis('comes', { ...ha, port: 24_888 })
    await server.running('dcs', other)
  })
  test('other names of commands: the former ones work, and the same wish can be made again', async () => {
    const id = await server.createRedis('renamed', ha)
    const redis = client(await server.running('dcs', id))
    const replica = nodePid(server.home, id, 1)
    process.kill(replica, 'SIGSTOP')
    const rename = () => server.dcs('PUT', `/instances/${id}`, { rename_commands: { keys: 'list-keys' } })
    assert.equal((await rename()).status, 204)
    await failed(id, 'rename')
    process.kill(replica, 'SIGCONT')
    await recovered(id)
    assert.deepEqual(await redis.keys('*'), [])
    assert.equal((await rename()).status, 204)
    await until('other names', async () => (await redis.call('list-keys', '*')) !== null, 20_000)
    await server.running('dcs', id)
    redis.disconnect()
  })

  test('a restore that stopped nobody: what a server was told before its stop is put back', async () => {
    const id = await server.createRedis('stays', ha)
    const master = client(await server.running('dcs', id))
    const pids = [0, 1].map((n) => nodePid(server.home, id, n))
    const { json: { backup_id } } = await server.dcs('POST', `/instances/${id}/backups`, {})
    await until('the backup', async () => (await last(id)).outcome === 'done')
    writeFileSync(crash(), `restore.copied stop ${join(server.home, 'nodes', `${id}-1`, 'pid')}`)
    assert.equal((await server.dcs('POST', `/instances/${id}/restores`, { backup_id })).status, 200)
    await failed(id, 'restore')
    assert.deepEqual(await master.config('GET', 'appendfsync'), ['appendfsync', 'no'])
    process.kill(pids[1]!, 'SIGCONT')
    await recovered(id)
    assert.deepEqual(await master.config('GET', 'appendfsync'), ['appendfsync', 'everysec'])
    assert.deepEqual([0, 1].map((n) => nodePid(server.home, id, n)), pids)
    master.disconnect()
  })
})
