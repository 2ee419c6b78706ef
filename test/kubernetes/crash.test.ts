/** The control plane is killed at a sample of the checkpoints of every action in a cluster, and the world must be right afterwards. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { client, makeServer, redisBody, root, sleep, until, type Answer, type Server } from '../support/server.ts'
import { inCluster, type TestCluster } from './cluster.ts'

interface Pod { readonly uid: string; readonly generation: number; readonly restarts: number }
interface Scenario {
  readonly name: string
  readonly code: string
  /** Kill points: the first, and every so many after it. */
  readonly every: number
  act(server: Server, id: string): Promise<Answer>
  verify(before: readonly Pod[], after: readonly Pod[], accepted: boolean): void
  /** What stays of the data. */
  readonly keeps: 'yes' | 'no' | 'instance gone'
}

const single = 'redis.single.xu1.tiny.128'
const ha = 'redis.ha.xu1.tiny.r2.128'
const change = (action: string) => (server: Server, id: string): Promise<Answer> => server.dcs('PUT', '/instances/status', { action, instances: [id] })
/** Accepted means exactly once. Each pod is new, is of the next generation, and was started once. */
const replacedOnce: Scenario['verify'] = (before, after, accepted) => {
  assert.equal(after.length, before.length)
  for (const [n, pod] of after.entries()) {
    if (accepted) assert.equal(pod.generation, before[n]!.generation + 1)
    else assert.ok([0, 1].includes(pod.generation - before[n]!.generation))
    assert.equal(pod.uid !== before[n]!.uid, pod.generation !== before[n]!.generation)
    assert.ok(pod.restarts <= 1, `a container started ${pod.restarts + 1} times`)
  }
}
const untouched: Scenario['verify'] = (before, after) => assert.deepEqual(after, before)
const scenarios: readonly Scenario[] = [
  { name: 'restart', code: single, every: 2, act: change('restart'), verify: replacedOnce, keeps: 'yes' },
  { name: 'soft_restart', code: single, every: 3, act: change('soft_restart'), verify: replacedOnce, keeps: 'yes' },
  { name: 'flush', code: single, every: 2, act: change('flush'), verify: untouched, keeps: 'no' },
  { name: 'soft_restart of a master and a replica', code: ha, every: 7, act: change('soft_restart'), verify: replacedOnce, keeps: 'yes' },
  { name: 'switchover', code: ha, every: 3, act: (server, id) => server.dcs('POST', `/instances/${id}/swap`), verify: untouched, keeps: 'yes' },
  { name: 'delete', code: single, every: 2, act: (server, id) => server.dcs('DELETE', `/instances/${id}`), verify() {}, keeps: 'instance gone' },
]
/** No action passes so many checkpoints. */
const most = 100

describe('a control plane that is killed', { concurrency: false }, () => {
  let cluster: TestCluster
  let server: Server
  let file: string
  before(async () => {
    cluster = await inCluster()
    server = await makeServer(cluster.env)
    file = join(server.home, '..', 'crash')
    server.always({ CRASH_FILE: file }, ['--import', join(root, 'test/crash/hook.ts')])
    await server.start()
  })
  after(async () => { await server.destroy(); await cluster.destroy() })

  const open = async (): Promise<any[]> => (await server.call('console', 'GET', '/v1/operations?open=true')).json.operations
  const settled = (): Promise<unknown> => until('operations to settle', async () => { const all = await open(); return all.length === 0 || Promise.reject(new Error(JSON.stringify(all[0]))) }, 150_000, 25)
  const podsOf = async (id: string): Promise<Pod[]> => JSON.parse(await cluster.kubectl('get', 'pods', '-l', `app.kubernetes.io/instance=${id}`, '-o', 'json')).items
    .toSorted((a: any, b: any) => a.metadata.name < b.metadata.name ? -1 : 1)
    .map((pod: any) => ({ uid: pod.metadata.uid, generation: Number(pod.metadata.labels['sluice/generation']), restarts: pod.status.containerStatuses[0].restartCount }))
  const leftOf = (id: string): Promise<string> => cluster.kubectl('get', 'statefulset,pod,service,secret,configmap,pvc,pdb', '-l', `app.kubernetes.io/instance=${id}`, '-o', 'name')
  /** Kills at the checkpoint, or finds that the action ends before it. Answers what was passed. */
  async function strike(at: number, act: () => Promise<Answer>): Promise<{ accepted: boolean; struck: string | null }> {
    rmSync(`${file}.passed`, { force: true })
    writeFileSync(file, `${at} end`)
    const answer = await act().catch(() => null)
    if (answer && answer.status >= 300) throw new Error(`refused: ${answer.status} ${answer.text}`)
    const died = await Promise.race([server.ended().then(() => true), settled().then(() => sleep(100)).then(() => false)])
    rmSync(file, { force: true })
    if (died) await server.start()
    await settled()
    const passed = existsSync(`${file}.passed`) ? readFileSync(`${file}.passed`, 'utf8').trim().split('\n') : []
    return { accepted: answer !== null, struck: passed[at - 1]?.split(' ')[1] ?? null }
  }

  test('create: killed at a sample of its checkpoints, there is one or none, and nothing else', async (t) => {
    for (let at = 1; at <= most; at += 3) {
      const { accepted, struck } = await strike(at, () => server.dcs('POST', '/instances', redisBody(`created-${at}`)))
      const { json } = await server.dcs('GET', `/instances?name=created-${at}&include_failure=true`)
      assert.ok(accepted ? json.instance_num === 1 : json.instance_num <= 1)
      for (const { instance_id: id } of json.instances) {
        const redis = client(await server.running('dcs', id))
        assert.equal(await redis.set('a', '1'), 'OK')
        redis.disconnect()
        assert.deepEqual((await podsOf(id)).map(({ restarts }) => restarts), [0])
        await server.dcs('DELETE', `/instances/${id}`)
        await settled()
      }
      assert.equal((await cluster.kubectl('get', 'statefulset,pod,pvc', '-o', 'name')).trim(), '')
      t.diagnostic(`${at} ${struck ?? 'none: ended before it'}`)
      if (!struck) return
    }
  })

  for (const scenario of scenarios) {
    test(`${scenario.name}: killed at a sample of its checkpoints, it happens exactly once`, async (t) => {
      let id = ''
      let instance: any
      for (let at = 1; at <= most; at += scenario.every) {
        if (!id) {
          id = await server.createRedis('swept', { spec_code: scenario.code })
          instance = await server.running('dcs', id, 120_000)
        }
        const redis = client(instance)
        await redis.set('kept', String(at))
        redis.disconnect()
        await settled()
        const before = await podsOf(id)
        const { accepted, struck } = await strike(at, () => scenario.act(server, id))
        t.diagnostic(`${at} ${struck ?? 'none: ended before it'}${accepted ? ', after the answer' : ''}`)
        if (scenario.keeps === 'instance gone' && (await server.dcs('GET', `/instances/${id}`)).status === 404) {
          assert.equal(await leftOf(id), '')
          id = ''
        } else {
          const shown = await server.running('dcs', id)
          assert.deepEqual([shown.ip, shown.port], [instance.ip, instance.port])
          scenario.verify(before, await podsOf(id), accepted)
          const reader = client(instance)
          const value = await reader.get('kept')
          reader.disconnect()
          if (scenario.keeps === 'yes') assert.equal(value, String(at))
          else if (accepted) assert.equal(value, null)
        }
        if (!struck) break
      }
      if (id) {
        await server.dcs('DELETE', `/instances/${id}`)
        await settled()
        assert.equal(await leftOf(id), '')
      }
    })
  }
})
