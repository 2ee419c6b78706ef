/** Kills the control plane at one checkpoint after another, and looks at the world each time. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { client, makeServer, nodePid, processesUnder, root, sleep, starts, until, type Server } from '../support/server.ts'
import type { Scenario } from './scenarios.ts'

export interface Point { readonly scenario: string; readonly at: number; readonly checkpoint: string; readonly accepted: boolean }

/** The longest an operation may need after the control plane is back. */
const settledWithinMs = 60_000
/** No action passes this many checkpoints on one node. */
const mostPoints = 60

/**
 * Runs one scenario with a kill at checkpoint 1, 2, 3 … until the action ends before the kill; answers what was killed.
 * `only` picks points; a bystander instance must never change.
 */
export async function sweep(scenario: Scenario, only: (at: number) => boolean = () => true, env: NodeJS.ProcessEnv = {}): Promise<Point[]> {
  const server = await makeServer(env)
  const file = join(server.home, '..', 'crash')
  server.always({ CRASH_FILE: file }, ['--import', join(root, 'test/crash/hook.ts')])
  const points: Point[] = []
  try {
    await server.start()
    const bystander = await makeBystander(server)
    for (let at = 1; at <= mostPoints; at += 1) {
      if (!only(at)) continue
      const ground = await scenario.prepare(server)
      await quiet(server)
      rmSync(`${file}.passed`, { force: true })
      writeFileSync(file, String(at))
      const answer = await scenario.act(server, ground).catch(() => null)
      const accepted = answer !== null && answer.status < 300
      if (answer !== null && !accepted) throw new Error(`${scenario.name} was refused: ${answer.status} ${answer.text}`)
      // Either it dies at this checkpoint, or the action has fewer of them and settles.
      const died = await Promise.race([server.ended().then(() => true), settled(server, scenario).then(() => sleep(100)).then(() => false)])
      rmSync(file, { force: true })
      if (died) {
        await sleep(20)
        await scenario.between?.(server, ground)
        await server.start()
        await settled(server, scenario)
      }
      await scenario.verify(server, ground, accepted)
      await bystander.verify()
      const passed = existsSync(`${file}.passed`) ? readFileSync(`${file}.passed`, 'utf8').trim().split('\n') : []
      points.push({ scenario: scenario.name, at, checkpoint: died ? passed.at(-1)! : 'none: ended before it', accepted })
      if (ground.id) await server.call(scenario.service, 'DELETE', `/v2/${server.project}/instances/${ground.id}`)
      await orphans(server)
      if (!died) return points
    }
    throw new Error(`${scenario.name} passes more than ${mostPoints} checkpoints`)
  } finally { await server.destroy() }
}

/** No instance of the project has an operation open. */
async function settled(server: Server, scenario: Scenario): Promise<void> {
  await until(`${scenario.name} to settle`, async () => {
    const { json } = await server.call('console', 'GET', '/v1/operations?open=true')
    return json?.operations?.length === 0
  }, scenario.settlesWithinMs ?? settledWithinMs, 20)
}

/** Nothing is in flight that would use up checkpoints. */
async function quiet(server: Server): Promise<void> {
  await until('quiet', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json?.operations?.length === 0, 30_000)
  await sleep(30)
}

async function makeBystander(server: Server): Promise<{ verify(): Promise<void> }> {
  const id = await server.createRedis('bystander')
  const instance = await server.running('dcs', id)
  const redis = client(instance)
  await redis.set('mine', 'yes')
  const [pid, started] = [nodePid(server.home, id), starts(server.home, id)]
  redis.disconnect()
  return {
    async verify() {
      const again = client(instance)
      assert.equal(await again.get('mine'), 'yes', 'the data of an untouched instance changed')
      again.disconnect()
      assert.equal(nodePid(server.home, id), pid, 'an untouched instance has another process')
      assert.equal(starts(server.home, id), started)
    },
  }
}

/** One process a node, no more: what works under the home is the control plane, or a node on record. */
async function orphans(server: Server): Promise<void> {
  await until('orphans to be gone', async () => {
    const { json } = await server.call('console', 'GET', '/v1/nodes')
    const known = new Set<number>([server.pid(), ...json.nodes.map((node: { pid: number }) => node.pid)])
    const extra = processesUnder(join(server.home, '..')).filter((pid) => !known.has(pid))
    return extra.length === 0 || Promise.reject(new Error(`processes ${extra.join()}`))
  }, 10_000, 50)
}
