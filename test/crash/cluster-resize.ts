/** What the crash sweep does while slots of a Redis Cluster move to new shards, or away from shards that go: each step of it, and each who takes part. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { clusterClient, clusterNodes, selfOf, tell } from '../support/cluster.ts'
import { until, type Server } from '../support/server.ts'
import type { Ground, Scenario } from './scenarios.ts'
import type { Blow } from './sweep.ts'

interface MovingGround extends Ground { readonly stop: () => Promise<Written> }
interface Written { readonly acked: number; readonly lost: number; readonly errors: readonly string[] }

/** Some for many slots, written long before. */
const keys = Array.from({ length: 3000 }, (_, n) => `kept:${n}`)

function writing(instance: { ip: string; port: number }): () => Promise<Written> {
  let over = false
  const errors: string[] = []
  const writers = [0, 1].map(async (w) => {
    const cluster = clusterClient(instance)
    let acked = 0
    while (!over) {
      try { await cluster.set(`w${w}:${acked}`, acked); acked += 1 } catch (error) { errors.push((error as Error).message); await sleep(20) }
      await sleep(2)
    }
    const found = await Promise.all(Array.from({ length: acked }, (_, n) => cluster.get(`w${w}:${n}`)))
    cluster.disconnect()
    return { acked, lost: found.filter((value, n) => value !== String(n)).length }
  })
  let result: Promise<Written> | undefined
  return () => {
    over = true
    return result ??= Promise.all(writers).then((all) => ({ acked: all.reduce((sum, one) => sum + one.acked, 0), lost: all.reduce((sum, one) => sum + one.lost, 0), errors }))
  }
}

interface Size { readonly capacity: number; readonly shards: number; /** How many slots its shards have. */ readonly slots: readonly number[] }
const three: Size = { capacity: 32, shards: 3, slots: [5461, 5461, 5462] }
const six: Size = { capacity: 48, shards: 6, slots: [2730, 2730, 2731, 2731, 2731, 2731] }
const flavor = ({ capacity }: Size): string => `redis.cluster.xu1.large.r2.${capacity}`

/** `appendonly`: no, where a node that dies has nothing, and its replica all. */
const moves = (what: string, from: Size, to: Size, appendonly: 'yes' | 'no' = 'yes'): Scenario => ({
  name: `redis cluster ${what}`, service: 'dcs', settlesWithinMs: 200_000,
  async prepare(server): Promise<MovingGround> {
    const id = await server.createRedis('moves', { spec_code: flavor(from), capacity: from.capacity })
    const instance = await server.running('dcs', id)
    // Answered when it holds.
    if (appendonly === 'no') assert.equal((await server.dcs('PUT', `/instances/${id}/configs`, { redis_config: [{ param_name: 'appendonly', param_value: 'no' }] })).status, 204)
    const cluster = clusterClient(instance)
    await Promise.all(keys.map((key) => cluster.set(key, key)))
    cluster.disconnect()
    const stop = writing(instance)
    return { id, instance, starts: 0, pid: 0, stop, async end() { await stop() } }
  },
  act: (server, { id }) => server.dcs('POST', `/instances/${id}/resize`, { spec_code: flavor(to), new_capacity: to.capacity }),
  async verify(server, ground, accepted, struck) {
    const instance = await until('it to be whole', async () => {
      const { json } = await server.dcs('GET', `/instances/${ground.id}`)
      return json.status === 'RUNNING' && json
    }, 60_000, 50)
    const { acked, lost, errors } = await (ground as MovingGround).stop()
    const cluster = clusterClient(instance)
    const values = await Promise.all(keys.map((key) => cluster.get(key)))
    cluster.disconnect()
    assert.equal(values.filter((value, n) => value !== keys[n]).length, 0, 'keys that were written long before are lost')
    const nodes = await clusterNodes(server, ground.id)
    // When it was killed before it was accepted, nothing may have happened.
    if (!accepted && nodes.length === 2 * from.shards) return
    const selves = await until(`two nodes in each of ${to.shards} shards`, async () => {
      const all = await Promise.all(nodes.map(selfOf))
      return all.filter(({ role }) => role === 'slave').length === to.shards && all.length === 2 * to.shards && all
    }, 30_000, 100)
    assert.deepEqual(selves.filter(({ role }) => role === 'master').map(({ slots }) => countOf(slots)).toSorted(), to.slots)
    assert.ok(selves.every(({ slots }) => !slots.includes('[')), 'a slot is open')
    for (const node of nodes) assert.deepEqual(await tell<string[]>(node, 'KEYS', 'sluice*'), [])
    // A master that is killed has told its replicas what it answered, and the machine goes on; so this is no allowance.
    assert.equal(lost, 0, `${lost} of ${acked} acknowledged writes are lost`)
    if (struck === null) assert.deepEqual(errors, [])
    return `${acked} writes`
  },
})
export const redisClusterGrows = moves('addSharding', three, six)
export const redisClusterGrowsInMemory = moves('addSharding in memory', three, six, 'no')
export const redisClusterShrinks = moves('with fewer shards', six, three)

export function countOf(slots: string): number {
  return slots.split(' ').filter(Boolean).reduce((sum, range) => {
    const [first, last] = range.split('-').map(Number)
    return sum + (last ?? first)! - first! + 1
  }, 0)
}

/** Who takes part, by ordinal. The first shard that goes gives all that it has, the last slot too, to the first that stays. */
const victims = {
  grow: { 'the control plane': null, 'the giving master': 0, 'its replica': 1, 'the taking master': 6, 'the replica of that': 7 },
  shrink: { 'the control plane': null, 'the giving master': 6, 'its replica': 7, 'the taking master': 0, 'the replica of that': 1 },
} as const
export const moveSteps = ['importing', 'copied', 'held', 'confirmed', 'given', 'taken', 'heard'] as const
export type Move = keyof typeof victims | 'last'
export type Victim = keyof typeof victims.grow
export const moveVictims = Object.keys(victims.grow) as readonly Victim[]
/** The first slot of a new shard, whose master has none yet, and the fourth, when the first shard gives again. */
export const growTurns = [1, 4] as const

/** Somebody is killed after this step of a move; `last`: of the last slot of a shard that goes, with which the mark goes too. */
export function moveBlow(move: Move, step: typeof moveSteps[number], victim: Victim): Blow {
  const ordinal = victims[move === 'last' ? 'shrink' : move][victim]
  const name = `${step}${move === 'last' ? '.last' : ''}`
  return {
    name: `kill of ${victim} after ${name}`, node: ordinal !== null,
    async order(server: Server, ground: Ground) { return `@engine.${name} ${ordinal === null ? 'end' : `kill ${server.home}/nodes/${ground.id}-${ordinal}/pid`}` },
  }
}
