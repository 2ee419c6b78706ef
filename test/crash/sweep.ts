/** Does something bad at one checkpoint after another, by default to the control plane, and looks at the world each time. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { client, makeServer, nodePid, processesUnder, root, sleep, starts, until, type Server } from '../support/server.ts'
import type { Ground, Scenario } from './scenarios.ts'

export interface Point { readonly scenario: string; readonly at: number; readonly checkpoint: string; readonly accepted: boolean; readonly remark?: string }

/** What happens at a checkpoint. */
export interface Blow {
  readonly name: string
  /** For the hook: `end`, `freeze 4000`, `kill PIDFILE` and so on. */
  order(server: Server, ground: Ground): Promise<string>
  /** Whether it is a node that is hit. */
  readonly node: boolean
}

const endOfControlPlane: Blow = { name: 'kill', node: false, async order() { return 'end' } }

/** The longest an operation may need after the control plane is back, a frozen node that was killed after 30 s included. */
const settledWithinMs = 90_000
/** No action passes this many checkpoints, not on three nodes. */
const mostPoints = 200

/**
 * Runs one scenario with a kill at checkpoint 1, 2, 3 … until the action ends before the kill; answers what was killed.
 * `only` picks points, and the last one may be among those that it left out; a bystander instance must never change.
 */
export async function sweep(scenario: Scenario, only: (at: number) => boolean = () => true, env: NodeJS.ProcessEnv = {}, blow = endOfControlPlane): Promise<Point[]> {
  const server = await makeServer(env)
  const file = join(server.home, '..', 'crash')
  server.always({ CRASH_FILE: file }, ['--import', join(root, 'test/crash/hook.ts')])
  const points: Point[] = []
  let last: Ground | null = null
  try {
    await server.start()
    const bystander = await makeBystander(server)
    for (let at = 1; at <= mostPoints; at += 1) {
      if (!only(at)) continue
      const ground = last = await scenario.prepare(server)
      await quiet(server)
      rmSync(`${file}.passed`, { force: true })
      const passed = (): string[] => existsSync(`${file}.passed`) ? readFileSync(`${file}.passed`, 'utf8').trim().split('\n') : []
      writeFileSync(file, `${at} ${await blow.order(server, ground)}`)
      const answer = await scenario.act(server, ground).catch(() => null)
      const accepted = answer !== null && answer.status < 300
      // What is not offered yet cannot be swept.
      if (answer?.status === 404 && points.length === 0) return points
      if (answer !== null && !accepted) throw new Error(`${scenario.name} was refused: ${answer.status} ${answer.text}`)
      // Either it dies at this checkpoint, or the action has fewer of them and settles.
      const died = await Promise.race([server.ended().then(() => true), settled(server, scenario, at).then(() => sleep(100)).then(() => false)])
      rmSync(file, { force: true })
      const struck = passed().length >= at
      if (died) {
        await sleep(20)
        await scenario.between?.(server, ground)
        await server.start()
        await settled(server, scenario, at)
      }
      const point = { scenario: scenario.name, at, checkpoint: struck ? passed()[at - 1]!.split(' ').slice(0, 2).join(' ') : 'none: ended before it', accepted }
      let remark: string | void
      try { remark = await scenario.verify(server, ground, accepted, struck && blow.node ? blow.name : null) } catch (error) {
        throw new Error(`${blow.name} at ${point.checkpoint}${accepted ? ', accepted' : ''}: ${(error as Error).message}\n${words(server, ground)}`)
      }
      await bystander.verify()
      points.push({ ...point, ...(remark ? { remark } : {}) })
      await ground.end?.()
      if (ground.id && !ground.keep) await server.call(scenario.service, 'DELETE', `/v2/${server.project}/instances/${ground.id}`)
      await orphans(server)
      if (!struck) return points
    }
    if (points.length < mostPoints) return points
    throw new Error(`${scenario.name} passes more than ${mostPoints} checkpoints`)
  } finally {
    await last?.end?.()
    await server.destroy()
  }
}

/** The last words of the control plane and of the nodes, for people who look for the reason. */
function words(server: Server, ground: Ground): string {
  const logs = existsSync(join(server.home, 'nodes')) ? readdirSync(join(server.home, 'nodes')).filter((name) => name.startsWith(ground.id)) : []
  return [server.log().slice(-3000), ...logs.map((name) => `${name}:\n${readFileSync(join(server.home, 'nodes', name, 'log'), 'utf8').slice(-4000)}`)].join('\n')
}

/** No instance of the project has an operation open. */
async function settled(server: Server, scenario: Scenario, at: number): Promise<void> {
  await until(`${scenario.name} to settle, hit at ${at}`, async () => {
    const { json } = await server.call('console', 'GET', '/v1/operations?open=true')
    if (json?.operations?.length > 0) throw new Error(`${json.operations[0].action}: ${json.operations[0].progress}`)
    return json?.operations !== undefined
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
