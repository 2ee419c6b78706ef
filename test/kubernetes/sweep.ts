/** A control plane in a real cluster that is killed at its checkpoints, whatever it is at: the next one brings every wish to its end, once. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Fatal, makeServer, root, sleep, until, type Answer, type Server } from '../support/server.ts'
import { inCluster, type TestCluster } from './cluster.ts'
import type { Subject } from './subjects.ts'

export interface Pod { readonly uid: string; readonly generation: number; readonly restarts: number }
/** Kill points: the first and every so many after it, or those of these names, where each costs much. */
export type Points = number | readonly string[]
export interface Scenario {
  readonly name: string
  readonly of: Subject
  readonly at: Points
  /** A wish; or what somebody takes away, for kubectl, which nobody tells the control plane. */
  readonly act: ((server: Server, id: string) => Promise<Answer>) | { readonly takes: (server: Server, id: string) => Promise<readonly string[]> }
  verify(before: readonly Pod[], after: readonly Pod[], accepted: boolean): void
  /** What else must be true when all has settled. */
  readonly holds?: (server: Server, id: string, instance: any, accepted: boolean) => Promise<void>
  /** What stays of the data. */
  readonly keeps: 'yes' | 'no' | 'instance gone'
}

/** Accepted means exactly once. Each pod is new, is of the next generation, and was started once. */
export const replacedOnce: Scenario['verify'] = (before, after, accepted) => {
  assert.equal(after.length, before.length)
  for (const [n, pod] of after.entries()) {
    if (accepted) assert.equal(pod.generation, before[n]!.generation + 1)
    else assert.ok([0, 1].includes(pod.generation - before[n]!.generation))
    assert.equal(pod.uid !== before[n]!.uid, pod.generation !== before[n]!.generation)
    assert.ok(pod.restarts <= 1, `a container started ${pod.restarts + 1} times`)
  }
}
export const untouched: Scenario['verify'] = (before, after) => assert.deepEqual(after, before)
/** What is missing is there again, and what is not was left alone. An owner takes along what does not get another one before it is looked at. */
export const revived = (least: number): Scenario['verify'] => (before, after) => {
  assert.deepEqual(after.map(({ generation }) => generation), before.map(({ generation }) => generation))
  const fresh = after.filter((pod, n) => pod.uid !== before[n]!.uid)
  assert.ok(fresh.length >= least && fresh.length <= 1, `${fresh.length} pods were replaced`)
  for (const { restarts } of fresh) assert.equal(restarts, 0)
}
export const wish = (name: string, of: Subject, at: Points, keeps: Scenario['keeps'] = 'yes', verify = keeps === 'yes' ? replacedOnce : untouched): Scenario =>
  ({ name, of, at, keeps, verify, act: (server, id) => name === 'delete' ? server[of.service]('DELETE', `/instances/${id}`) : of.act(server, id, name) })

/** Each checkpoint of each of them, which takes hours. */
const whole = process.env['SLUICE_TEST_SWEEP'] === 'whole'
/** No action passes so many checkpoints. */
const most = 200
/** Three brokers on a busy machine. */
const patienceMs = 240_000

export function sweep(creations: readonly (readonly [Subject, Points])[], scenarios: readonly Scenario[]): void {
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

    const operations = async (query: string): Promise<any[]> => (await server.call('console', 'GET', `/v1/operations?${query}`)).json.operations
    /** Somebody takes something away, and the control plane is about it. */
    const take = async (id: string, what: readonly string[]): Promise<void> => {
      const before = (await operations(`instance=${id}`)).length
      const recovery = until('a recovery', async () => {
        const all = await operations(`instance=${id}`).catch(() => { throw new Fatal('the control plane is dead') })
        return all.length > before && all[0].action === 'recover'
      }, 30_000, 5)
      await Promise.all([recovery, cluster.kubectl('delete', ...what, '--wait=false')])
    }
    const settled = (): Promise<unknown> => until('operations to settle', async () => { const all = await operations('open=true'); return all.length === 0 || Promise.reject(new Error(JSON.stringify(all[0]))) }, patienceMs, 25)
    const podsOf = async (id: string): Promise<Pod[]> => JSON.parse(await cluster.kubectl('get', 'pods', '-l', `app.kubernetes.io/instance=${id}`, '-o', 'json')).items
      .filter((pod: any) => !pod.metadata.deletionTimestamp && pod.status.containerStatuses?.[0].state.running)
      .toSorted((a: any, b: any) => a.metadata.name < b.metadata.name ? -1 : 1)
      .map((pod: any) => ({ uid: pod.metadata.uid, generation: Number(pod.metadata.labels['sluice/generation']), restarts: pod.status.containerStatuses[0].restartCount }))
    const leftOf = (id: string): Promise<string> => cluster.kubectl('get', 'statefulset,pod,service,secret,configmap,pvc,pdb', '-l', `app.kubernetes.io/instance=${id}`, '-o', 'name')

    /** Kills at the checkpoint, or finds that the action ends before it. Answers what was passed. */
    async function strike(point: string, at: Points, act: () => Promise<Answer | string | void>): Promise<{ accepted: boolean; struck: string | null }> {
      rmSync(`${file}.passed`, { force: true })
      writeFileSync(file, `${point} end`)
      const [accepted, answer] = await act().then((one) => [true, one] as const, () => [false, null] as const)
      if (answer && typeof answer === 'object' && answer.status >= 300) throw new Error(`refused: ${answer.status} ${answer.text}`)
      const died = await Promise.race([server.ended().then(() => true), settled().then(() => sleep(100)).then(() => false)])
      rmSync(file, { force: true })
      if (died) await server.start()
      await settled()
      const passed = existsSync(`${file}.passed`) ? readFileSync(`${file}.passed`, 'utf8').trim().split('\n').map((line) => line.split(' ')[1]!) : []
      // One by its name is meant.
      if (typeof picked(at) !== 'number') assert.ok(died, `${point} is not passed`)
      return { accepted, struck: died ? passed.at(-1)! : null }
    }

    const picked = (at: Points): Points => whole ? 1 : at
    function pointsOf(at: Points): readonly string[] {
      const points = picked(at)
      return typeof points === 'number' ? Array.from({ length: most / points }, (_, n) => String(1 + n * points)) : points
    }

    for (const [of, at] of creations) {
      test(`create of ${of.name}: killed at some of its checkpoints, there is one or none, and nothing else`, async (t) => {
        for (const point of pointsOf(at)) {
          const name = `created-${point.replace('.', '-')}`
          const { accepted, struck } = await strike(point, at, () => of.make(server, name))
          const { json } = await server[of.service]('GET', `/instances?name=${name}&include_failure=true`)
          assert.ok(accepted ? json.instance_num === 1 : json.instance_num <= 1)
          for (const { instance_id: id } of json.instances) {
            const instance = await server.running(of.service, id)
            await of.write(instance, 'a')
            assert.equal(await of.read(instance, 'a'), 'a')
            for (const { restarts } of await podsOf(id)) assert.equal(restarts, 0)
            await server[of.service]('DELETE', `/instances/${id}`)
            await settled()
          }
          assert.equal((await cluster.kubectl('get', 'statefulset,pod,pvc', '-o', 'name')).trim(), '')
          t.diagnostic(`${point} ${struck ?? 'none: ended before it'}`)
          if (!struck) return
        }
      })
    }

    /** Between two scenarios of the same subject. */
    const kept = new Map<Subject, any>()
    for (const [n, { name, of, at, act, verify, holds, keeps }] of scenarios.entries()) {
      test(`${name} of ${of.name}: killed at some of its checkpoints, it happens exactly once`, async (t) => {
        let instance = kept.get(of)
        // What failed is no ground for the next one.
        kept.delete(of)
        for (const point of pointsOf(at)) {
          instance ??= await server.running(of.service, await of.make(server, 'swept'), patienceMs)
          const id: string = instance.instance_id
          const text = `${name} ${point}`.replaceAll(' ', '-')
          await of.write(instance, text)
          await settled()
          const before = await podsOf(id)
          const taken = 'takes' in act ? await act.takes(server, id) : null
          const { accepted, struck } = await strike(point, at, () => 'takes' in act ? take(id, taken!) : act(server, id))
          t.diagnostic(`${point} ${struck ?? 'none: ended before it'}${accepted ? ', after the answer' : ''}`)
          if (keeps === 'instance gone' && (await server[of.service]('GET', `/instances/${id}`)).status === 404) {
            assert.equal(await leftOf(id), '')
            instance = undefined
          } else {
            // Of what nobody had asked for the next one hears by itself.
            const now = await until('its pods', async () => { const pods = await podsOf(id); return pods.length === before.length && pods }, patienceMs)
            await settled()
            const shown = await server.running(of.service, id, patienceMs)
            assert.deepEqual([shown.ip, shown.connect_address, shown.port], [instance.ip, instance.connect_address, instance.port])
            verify(before, now, accepted)
            await holds?.(server, id, instance, accepted)
            const value = await of.read(instance, text)
            if (keeps === 'yes') assert.equal(value, text)
            else if (accepted) assert.equal(value, null)
          }
          if (!struck) break
        }
        if (instance && scenarios.slice(n + 1).some((next) => next.of === of)) kept.set(of, instance)
        else if (instance) {
          await server[of.service]('DELETE', `/instances/${instance.instance_id}`)
          await settled()
          assert.equal(await leftOf(instance.instance_id), '')
        }
      })
    }
  })
}
