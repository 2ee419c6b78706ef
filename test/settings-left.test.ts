/** What a change that failed has left is put right although something is in the way of that. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { client, makeServer, nodePid, root, sleep, until, type Server } from './support/server.ts'
import { ha, item, operationsOf, settingsOf } from './support/settings.ts'

describe('what a failed change has left', { concurrency: true }, () => {
  let server: Server
  const crash = (): string => join(server.home, '..', 'crash')
  before(async () => {
    server = await makeServer()
    server.always({ CRASH_FILE: crash(), DEADLINES: JSON.stringify({ configure: 8000, ssl: 8000 }) }, ['deadlines', 'hook'].flatMap((name) => ['--import', join(root, `test/crash/${name}.ts`)]))
    await server.start()
  })
  after(async () => { await server.destroy() })
  const { put, everywhere } = settingsOf(() => server)
  const { last, failed, recovered } = operationsOf(() => server)

  test('a former value that a server cannot have any more: it gets what a start would give it, and the instance is well', async () => {
    const id = await server.createRedis('fewer-files', ha)
    await server.running('dcs', id)
    const [master, replica] = [0, 1].map((n) => nodePid(server.home, id, n))
    process.kill(replica!, 'SIGSTOP')
    assert.equal((await put(id, item('maxclients', '2000'))).status, 500)
    execFileSync('sh', ['-c', `prlimit --pid ${master} --nofile=4096:4096`])
    process.kill(replica!, 'SIGCONT')
    await recovered(id)
    assert.deepEqual(await everywhere(id, 'maxclients'), ['4064', '10000'])
    await server.running('dcs', id)
  })

  test('a flush that takes the place of the recovery has that put right as well', async () => {
    const id = await server.createRedis('flushes', ha)
    const made = await server.running('dcs', id)
    writeFileSync(crash(), `engine.turned stop ${join(server.home, 'nodes', `${id}-1`, 'pid')}`)
    const replica = nodePid(server.home, id, 1)
    await server.dcs('PUT', `/instances/${id}/ssl`, { enabled: true })
    await failed(id, 'ssl')
    // Only while a recovery is open; that waits for the replica now, before it turns the master.
    await until('the flush', async () => (await server.dcs('PUT', '/instances/status', { action: 'flush', instances: [id] })).json.results?.[0].result === 'success', 40_000, 20)
    await sleep(1000)
    process.kill(replica, 'SIGCONT')
    await until('the flush to end', async () => { const now = await last(id); return now.action === 'recover' || now.outcome === 'done' }, 15_000, 20)
    await server.running('dcs', id)
    const redis = client(made)
    assert.equal(await redis.dbsize(), 0)
    assert.equal((await server.dcs('GET', `/instances/${id}/ssl`)).json.enabled, false)
    redis.disconnect()
  })
})
