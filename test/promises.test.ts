/** What Sluice promises beyond the wire form, on real Redis servers, through the external contract. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { client, makeServer, nodePid, starts, until, type Server } from './support/server.ts'

const modes = [['an address of its own for each node', {}], ['one host with a range of ports', { SLUICE_NODE_HOST: '127.0.0.1', SLUICE_NODE_PORTS: '24000-24300' }], ['PostgreSQL', { SLUICE_TEST_DATABASE: 'postgres' }]] as const

for (const [mode, env] of modes) {
  describe(`with ${mode}`, { concurrency: false }, () => {
    let server: Server
    before(async () => { server = await makeServer(env); await server.start() })
    after(async () => { await server.destroy() })
    const change = (action: string, ids: readonly string[]) => server.dcs('PUT', '/instances/status', { action, instances: ids })

    test('fifty instances, ten callers at once on the same fifty: each instance runs exactly one operation, and every answer is true', async () => {
      const ids = await Promise.all(Array.from({ length: 50 }, (_, i) => server.createRedis(`crowd-${i}`)))
      await Promise.all(ids.map((id) => server.running('dcs', id)))
      const before = ids.map((id) => starts(server.home, id))
      const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => change(i % 2 ? 'restart' : 'soft_restart', ids.toSorted(() => Math.random() - 0.5))))
      for (const answer of answers) assert.equal(answer.status, 200)
      const wins = new Map<string, number>()
      for (const answer of answers) for (const { instance, result, error_code: code } of answer.json.results) {
        if (result === 'success') wins.set(instance, (wins.get(instance) ?? 0) + 1)
        else assert.ok(['DCS.4111'].includes(code), code)
      }
      await Promise.all(ids.map((id) => server.running('dcs', id)))
      ids.forEach((id, i) => assert.equal(starts(server.home, id) - before[i]!, wins.get(id), `${id}: restarted as often as it was promised`))
      assert.ok([...wins.values()].every((n) => n >= 1))
      const tasks = await server.dcs('GET', `/instances/${ids[0]}/tasks`)
      assert.equal(Number(tasks.json.task_count), 1 + wins.get(ids[0]!)!)
      const gone = await server.dcs('DELETE', '/instances', { instances: ids })
      assert.ok(gone.json.results.every((r: { result: string }) => r.result === 'success'))
      await until('every node to be gone', () => readdirSync(join(server.home, 'nodes')).length === 0)
    })

    test('instances outlive the control plane: same process, same address, same data, and clients go on meanwhile', async () => {
      const id = await server.createRedis('outlives')
      const instance = await server.running('dcs', id)
      const redis = client(instance)
      await redis.set('a', '1')
      const pid = nodePid(server.home, id)
      for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
        await server.end(signal)
        assert.equal(await redis.incr('a') > 1, true)
        await server.start()
        const again = await server.running('dcs', id)
        assert.deepEqual([again.ip, again.port, nodePid(server.home, id)], [instance.ip, instance.port, pid])
      }
      assert.equal(await redis.get('a'), '3')
      redis.disconnect()
    })

    test('a node that is killed from outside comes back with its data, and the task says why', async () => {
      const id = await server.createRedis('killed')
      const redis = client(await server.running('dcs', id))
      await redis.set('a', '1')
      const pid = nodePid(server.home, id)
      process.kill(pid, 'SIGKILL')
      await until('another process', () => nodePid(server.home, id) !== pid)
      await server.running('dcs', id)
      assert.equal(await redis.get('a'), '1')
      redis.disconnect()
      const { json } = await server.call('console', 'GET', `/v1/operations?instance=${id}`)
      assert.equal(json.operations[0].action, 'recover')
    })

    test('a node that cannot stay up: the instance says ERROR and why, restart is accepted, delete works', async () => {
      const id = await server.createRedis('broken')
      await server.running('dcs', id)
      const folder = join(server.home, 'nodes', `${id}-0`)
      // The append-only file is destroyed: Redis refuses to start with it.
      const aof = join(folder, 'data', 'appendonlydir')
      const { chmodSync, writeFileSync } = await import('node:fs')
      for (const name of readdirSync(aof)) writeFileSync(join(aof, name), 'garbage'.repeat(20))
      process.kill(nodePid(server.home, id), 'SIGKILL')
      await until('ERROR', async () => await server.status('dcs', id) === 'ERROR')
      const failed = await until('the failed recovery', async () => (await server.call('console', 'GET', `/v1/operations?instance=${id}`)).json.operations.find((o: any) => o.outcome === 'failed'), 30_000)
      assert.match(failed.cause, /append|AOF|format|file/i)
      assert.equal(await server.status('dcs', id), 'ERROR')
      const flush = await change('flush', [id])
      assert.ok(flush.status === 200 || flush.json.error_code === 'DCS.4049', flush.text)
      const restart = await until('restart to be accepted', async () => { const r = await change('restart', [id]); return r.status === 200 && r.json.results[0].result === 'success' && r })
      assert.ok(restart)
      await until('ERROR again', async () => (await server.call('console', 'GET', `/v1/operations?instance=${id}&open=true`)).json.operations.length === 0 && await server.status('dcs', id) === 'ERROR', 30_000)
      chmodSync(folder, 0o700)
      assert.equal((await server.dcs('DELETE', `/instances/${id}`)).status, 204)
      assert.equal((await server.dcs('GET', `/instances/${id}`)).status, 404)
      await until('the folder to be gone', () => !existsSync(folder))
    })

    test('a restart that is wished while a recovery waits takes its place', async () => {
      const id = await server.createRedis('impatient')
      await server.running('dcs', id)
      const pid = nodePid(server.home, id)
      process.kill(pid, 'SIGKILL')
      const r = await change('restart', [id])
      assert.equal(r.json.results[0].result, 'success', r.text)
      await server.running('dcs', id)
      assert.notEqual(nodePid(server.home, id), pid)
    })

    test('another project\'s instance is exactly like an unknown one: in the path, in the body, in lists', async () => {
      const id = await server.createRedis('mine-alone')
      await server.running('dcs', id)
      const pid = nodePid(server.home, id)
      const made = await server.call('iam', 'POST', '/v3/projects', { project: { name: 'eu-de_other' } })
      assert.equal(made.status, 201, made.text)
      const other = made.json.project.id
      const token = (await server.call('iam', 'POST', '/v3/auth/tokens', { auth: { identity: { methods: ['password'], password: { user: { name: 'admin', password: 'Test-Passw0rd', domain: { name: 'sluice' } } } }, scope: { project: { id: other } } } }, { 'x-auth-token': '' })).headers.get('x-subject-token')!
      const as = (method: string, path: string, body?: unknown) => server.call('dcs', method, `/v2/${other}${path}`, body, { 'x-auth-token': token })
      const unknown = randomUUID()
      for (const action of ['restart', 'soft_restart', 'flush']) {
        const { json } = await as('PUT', '/instances/status', { action, instances: [id, unknown] })
        const [theirs, nobodys] = json.results
        assert.deepEqual({ ...theirs, instance: '' }, { ...nobodys, instance: '' })
        assert.equal(theirs.result, 'failed')
      }
      for (const path of [`/instances/${id}`, `/instances/${id}/tasks`]) assert.deepEqual((await as('GET', path)).json, (await as('GET', path.replace(id, unknown))).json)
      assert.equal((await as('DELETE', `/instances/${id}`)).status, 404)
      assert.deepEqual((await as('GET', '/instances')).json.instances, [])
      assert.equal((await server.call('dcs', 'GET', `/v2/${server.project}/instances`, undefined, { 'x-auth-token': token })).status, 401)
      assert.equal(nodePid(server.home, id), pid)
      assert.equal(await server.status('dcs', id), 'RUNNING')
    })
  })
}
