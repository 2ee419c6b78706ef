/** Several control planes on one PostgreSQL: any of them answers, one of them works, and any of them may die or freeze. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { watch } from './crash/watch.ts'
import { ask, freshDatabase } from './support/postgres.ts'
import { client, makeServer, nodePid, processesUnder, root, sibling, sleep, starts, until, type Server } from './support/server.ts'

/** What others may wait for the work of one that is gone. */
const takenOverWithinMs = 10_000

describe('control planes that share a database and a home', { concurrency: false }, () => {
  let database: Awaited<ReturnType<typeof freshDatabase>>
  let planes: Server[] = []
  let a: Server
  let b: Server
  before(async () => {
    database = await freshDatabase()
    a = await makeServer({ SLUICE_DATABASE_URL: database.url })
    planes = [a, b = await sibling(a), await sibling(a)]
    a.always({ CRASH_FILE: join(a.home, '..', 'crash') }, ['--import', join(root, 'test/crash/hook.ts')])
    await Promise.all(planes.map((plane) => plane.start()))
  })
  after(async () => {
    for (const plane of planes.toReversed()) await plane.destroy()
    await database.drop()
  })
  const tokenOf = async (plane: Server): Promise<string> => (await plane.call('iam', 'POST', '/v3/auth/tokens', {
    auth: { identity: { methods: ['password'], password: { user: { name: 'admin', password: 'Test-Passw0rd', domain: { name: 'sluice' } } } }, scope: { project: { id: plane.project } } },
  }, { 'x-auth-token': '' })).headers.get('x-subject-token')!
  const crash = (): string => join(a.home, '..', 'crash')
  const rows = async (text: string): Promise<any[]> => (await ask(database.url, text)).rows

  /**
   * Restarts an instance through the first control plane, which is hit at a checkpoint of it. Another one may have been faster
   * to take it; then it is done again. Answers how often each node had been started before.
   */
  async function restartAndHit(id: string, order: string, action: string, nodes = 1): Promise<{ readonly before: readonly number[]; readonly generation: number }> {
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      await quiet()
      const before = Array.from({ length: nodes }, (_, n) => starts(b.home, id, undefined, n))
      const generation = Number(readFileSync(join(b.home, 'nodes', `${id}-0`, 'generation'), 'utf8')) + 1
      rmSync(`${crash()}.passed`, { force: true })
      writeFileSync(crash(), order)
      const answer = await a.dcs('PUT', '/instances/status', { action, instances: [id] }).catch(() => null)
      if (answer) assert.equal(answer.status, 200, answer.text)
      const [at] = order.split(' ')
      const hit = await until('the checkpoint', () => existsSync(`${crash()}.passed`) && readFileSync(`${crash()}.passed`, 'utf8').split('\n').length > Number(at), 4000).catch(() => false)
      rmSync(crash(), { force: true })
      if (hit) return { before, generation }
    }
    throw new Error('the first control plane was never hit in the middle')
  }

  test('a token of one is good for all, and what one accepts all of them show alike', async () => {
    const token = await tokenOf(a)
    const id = await a.createRedis('shared')
    // Figures of a server are asked for by each control plane in its own time.
    const shown = await Promise.all(planes.map(async (plane) => ({ ...await plane.running('dcs', id), used_memory: null })))
    for (const one of shown) assert.deepEqual(one, shown[0])
    for (const plane of planes) assert.equal((await plane.call('dcs', 'GET', `/v2/${a.project}/instances/${id}`, undefined, { 'x-auth-token': token })).json.name, 'shared')
    const made = await b.call('iam', 'POST', '/v3/projects', { project: { name: 'eu-de_made-at-b' } })
    assert.equal(made.status, 201, made.text)
    const list = await planes[2]!.call('iam', 'GET', '/v3/projects')
    assert.ok(list.json.projects.some((project: { id: string }) => project.id === made.json.project.id))
    const pids = await Promise.all(planes.map(async (plane) => (await plane.call('console', 'GET', '/v1/nodes')).json.nodes[0].pid))
    assert.deepEqual(pids, planes.map(() => nodePid(a.home, id)))
  })

  test('created everywhere at once, no two get the same address; restarted everywhere at once, each as often as was promised', async () => {
    const ids = (await Promise.all(planes.flatMap((plane, p) => Array.from({ length: 5 }, (_, n) => plane.createRedis(`at-${p}-${n}`))))).toSorted()
    const shown = await Promise.all(ids.map((id) => b.running('dcs', id)))
    assert.equal(new Set(shown.map(({ ip }) => ip)).size, ids.length)
    const before = ids.map((id) => starts(a.home, id))
    const answers = await Promise.all(planes.flatMap((plane) => ['restart', 'soft_restart'].map((action) => plane.dcs('PUT', '/instances/status', { action, instances: ids.toSorted(() => Math.random() - 0.5) }))))
    const wins = new Map<string, number>()
    for (const { status, json } of answers) {
      assert.equal(status, 200)
      for (const { instance, result } of json.results) if (result === 'success') wins.set(instance, (wins.get(instance) ?? 0) + 1)
    }
    await Promise.all(ids.map((id) => a.running('dcs', id)))
    ids.forEach((id, n) => assert.equal(starts(a.home, id) - before[n]!, wins.get(id), id))
    const [chain] = await rows('select count(*)::int as count, max(sequence)::int as last from audit')
    assert.equal(chain.count, chain.last, 'the audit has no gap')
    await a.dcs('DELETE', '/instances', { instances: ids })
    await until('all to be gone', async () => (await b.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0)
  })

  for (const at of [4, 6]) {
    test(`killed at checkpoint ${at} of a restart, its work is taken over within 10 s and happens once`, async () => {
      const id = await b.createRedis('taken-over')
      const redis = client(await b.running('dcs', id))
      await redis.set('kept', 'yes')
      const { before } = await restartAndHit(id, String(at), 'restart')
      const hitAt = Date.now()
      await a.ended()
      await b.running('dcs', id)
      console.log(`taken over and done ${Date.now() - hitAt} ms after the kill`)
      assert.ok(Date.now() - hitAt < takenOverWithinMs)
      assert.equal(starts(b.home, id) - before[0]!, 1)
      assert.equal(await redis.get('kept'), 'yes')
      redis.disconnect()
      await a.start()
    })
  }

  for (const [at, then] of [[3, 'nothing'], [4, 'a restart'], [5, 'its deletion'], [6, 'nothing'], [7, 'a restart']] as const) {
    test(`frozen at checkpoint ${at} of a restart, its work is taken over; after ${then} it wakes up, and writes and touches nothing`, async () => {
      const id = await b.createRedis('frozen')
      const redis = client(await b.running('dcs', id))
      await redis.set('kept', 'yes')
      const { before, generation } = await restartAndHit(id, `${at} freeze 13000`, 'restart')
      const frozenAt = Date.now()
      await b.running('dcs', id)
      console.log(`taken over and done ${Date.now() - frozenAt} ms after the freeze`)
      assert.ok(Date.now() - frozenAt < takenOverWithinMs)
      let restarts = 1
      if (then === 'a restart') {
        assert.equal((await b.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })).json.results[0].result, 'success')
        await b.running('dcs', id)
        restarts = 2
      }
      if (then === 'its deletion') {
        assert.equal((await b.dcs('DELETE', `/instances/${id}`)).status, 204)
        await until('the folder to be gone', () => !existsSync(join(b.home, 'nodes', `${id}-0`)))
        await quiet()
      }
      const [audited] = await rows(`select count(*)::int as count from audit where instance_id = '${id}'`)
      const pid = then === 'its deletion' ? 0 : nodePid(b.home, id)
      await until('it to wake up', async () => (await a.call('console', 'GET', '/healthz')).status === 200, 15_000, 100)
      await sleep(1500)
      assert.deepEqual((await rows(`select count(*)::int as count from audit where instance_id = '${id}'`))[0], audited, 'it wrote nothing')
      if (then === 'its deletion') {
        assert.ok(!existsSync(join(b.home, 'nodes', `${id}-0`)), 'what was deleted stays so')
        assert.ok(!processesUnder(join(b.home, 'nodes')).some((one) => readFileSync(`/proc/${one}/cmdline`, 'utf8').includes(id)))
      } else {
        assert.equal(nodePid(b.home, id), pid)
        assert.equal(starts(b.home, id) - before[0]!, restarts)
        assert.equal(readFileSync(join(b.home, 'nodes', `${id}-0`, 'generation'), 'utf8').trim(), String(generation + restarts - 1))
        assert.equal(await redis.get('kept'), 'yes')
        assert.equal(await a.status('dcs', id), 'RUNNING')
      }
      redis.disconnect()
    })
  }

  // The handover of a soft restart of two nodes is between its 8th and its 13th checkpoint.
  for (const at of [9, 11]) {
    test(`frozen at checkpoint ${at} of a rolling restart, while clients write: another hands the role over, no write is lost, and never are there two masters`, async () => {
      const id = await b.createRedis('pair', { spec_code: 'redis.ha.xu1.tiny.r2.128' })
      const instance = await b.running('dcs', id)
      await quiet()
      const nodes = (await b.call('console', 'GET', '/v1/nodes')).json.nodes.filter((node: any) => node.instance_id === id)
      const doors = [{ host: instance.ip, port: instance.port }, ...nodes.map((node: any) => ({ host: node.address, port: node.ports.service }))]
      const writes = watch(doors[0]!, doors)
      let hit: Awaited<ReturnType<typeof restartAndHit>>
      try {
        hit = await restartAndHit(id, `${at} freeze 13000`, 'soft_restart', 2)
        const frozenAt = Date.now()
        await until('it to be done', async () => (await b.call('console', 'GET', `/v1/operations?instance=${id}`)).json.operations[0].outcome === 'done', 20_000, 50)
        console.log(`taken over and done ${Date.now() - frozenAt} ms after the freeze`)
        await until('it to wake up', async () => (await a.call('console', 'GET', '/healthz')).status === 200, 15_000, 100)
        await sleep(2500)
      } finally { await writes.stop() }
      assert.deepEqual(writes.rivals(), [])
      const redis = client(instance)
      for (const keys of writes.keys) {
        assert.ok(keys.length > 0)
        assert.equal(await redis.exists(...keys), keys.length, 'every acknowledged write is there')
      }
      assert.match(await redis.info('replication'), /role:master[^]*connected_slaves:1/)
      redis.disconnect()
      assert.deepEqual((await b.call('console', 'GET', `/v1/operations?instance=${id}`)).json.operations.filter((one: any) => one.outcome !== 'done' || one.action === 'recover'), [])
      assert.deepEqual(nodes.map((_: unknown, n: number) => starts(b.home, id, undefined, n) - hit.before[n]!), [1, 1])
    })
  }

  test('nodes that die are brought back once, whoever sees it; and a restart that is wished elsewhere meanwhile waits until nobody is busy with the nodes', async () => {
    const id = await b.createRedis('dies')
    const redis = client(await b.running('dcs', id))
    await redis.set('kept', 'yes')
    await quiet()
    const before = starts(b.home, id)
    process.kill(nodePid(b.home, id), 'SIGKILL')
    await until('it to be back', () => starts(b.home, id) === before + 1)
    await quiet()
    await sleep(1200)
    assert.equal(starts(b.home, id), before + 1)
    for (let round = 0; round < 6; round += 1) {
      const plane = planes[round % planes.length]!
      process.kill(nodePid(b.home, id), 'SIGKILL')
      await sleep(round * 12)
      const { json } = await plane.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })
      assert.equal(json.results?.[0]?.result, 'success', JSON.stringify(json))
      const wishedAt = Date.now()
      await until('the restart to be done', async () => (await b.call('console', 'GET', `/v1/operations?instance=${id}`)).json.operations.find((one: any) => one.id === json.results[0].task_id)?.outcome === 'done', 20_000)
      assert.ok(Date.now() - wishedAt < 5000, 'nobody had to wait for a lease to end')
      await plane.running('dcs', id)
      await quiet()
    }
    assert.equal(await redis.get('kept'), 'yes')
    assert.equal(readFileSync(join(b.home, 'nodes', `${id}-0`, 'generation'), 'utf8').trim(), '7')
    redis.disconnect()
  })

  test('what runs at one can be cancelled at another, which says truthfully that it runs elsewhere', async () => {
    const id = await a.createRedis('rolls', { spec_code: 'redis.ha.xu1.tiny.r3.128' })
    await a.running('dcs', id)
    await quiet()
    rmSync(`${crash()}.passed`, { force: true })
    // A node that does not answer holds the soft restart up, for as long as we need.
    const last = nodePid(a.home, id, 2)
    process.kill(last, 'SIGSTOP')
    try {
      const answer = await a.dcs('PUT', '/instances/status', { action: 'soft_restart', instances: [id] })
      const task = answer.json.results[0].task_id
      const open = await until('it to be begun', async () => (await b.call('console', 'GET', '/v1/operations?open=true')).json.operations.find((one: any) => one.id === task && one.progress))
      assert.ok(/works on it|nodes|node/.test(open.progress), open.progress)
      assert.equal((await b.call('console', 'DELETE', `/v1/operations/${task}`)).status, 202)
      process.kill(last, 'SIGCONT')
      await until('it to end as cancelled', async () => (await b.call('console', 'GET', `/v1/operations?instance=${id}`)).json.operations.find((one: any) => one.id === task)?.outcome === 'cancelled', 20_000)
    } finally { try { process.kill(last, 'SIGCONT') } catch { /* replaced meanwhile */ } }
  })

  async function quiet(): Promise<void> {
    await until('quiet', async () => (await b.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0)
    await sleep(100)
  }
})
