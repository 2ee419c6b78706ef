/** What is done to a master with its replicas while four clients write, and what may happen in the middle of it. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { atMostOne, flavor, haGround, haGroundOf, intact, lost, oneWriter, rolesOf, sameData, startsOf, whole, withDoor, type HaGround } from './ha-ground.ts'
import { client, isAlive, nodePid, redisBody, sleep, until, type Answer, type Server } from '../support/server.ts'
import { once, type Ground, type Scenario } from './scenarios.ts'
import type { Blow } from './sweep.ts'

const as = (ground: Ground): HaGround => ground as HaGround

function scenario(name: string, nodes: number, more: Pick<Scenario, 'act'> & { readonly heavy?: boolean; readonly after?: (server: Server, ground: HaGround, accepted: boolean, struck: string | null) => Promise<void> }): Scenario {
  return {
    name: `redis ha r${nodes} ${name}`, service: 'dcs', prepare: (server) => haGround(server, nodes, more.heavy), act: more.act,
    between: (_server, ground) => atMostOne(as(ground)),
    async verify(server, ground, accepted, struck) {
      const gone = await intact(server, as(ground))
      await more.after?.(server, as(ground), accepted, struck)
      // Copies follow the confirmation: what a master confirmed in its last instant may be nowhere else.
      if (!struck?.includes('master') && !name.includes('killed master')) assert.equal(gone, 0, `${gone} of ${as(ground).watch.acked()} acknowledged writes are lost`)
      return `${gone} of ${as(ground).watch.acked()} lost, gap ${as(ground).watch.longestGap(0).toFixed(0)} ms`
    },
  }
}

const restart = (action: 'restart' | 'soft_restart', nodes: number, heavy = false): Scenario => scenario(heavy ? `${action} of much data` : action, nodes, {
  heavy,
  act: (server, { id }) => server.dcs('PUT', '/instances/status', { action, instances: [id] }),
  async after(server, ground, accepted, struck) {
    if (struck) return
    for (const [n, before] of ground.startsOf.entries()) once(before, startsOf(server, ground.id, n), accepted)
  },
})

const recovery = (nodes: number, whose: 'master' | 'replica'): Scenario => scenario(`recovery of a killed ${whose}`, nodes, {
  async act(server, ground) {
    process.kill(nodePid(server.home, ground.id, whose === 'master' ? as(ground).master : as(ground).replicas[0]), 'SIGKILL')
    await sleep(700)
    return { status: 200, text: '', json: null, headers: new Headers() } satisfies Answer
  },
  async after(server, ground, _accepted, struck) {
    if (whose === 'replica' || struck) return
    const roles = await rolesOf(ground.doors)
    assert.equal(roles.get(nodePid(server.home, ground.id, ground.master)), 'slave', 'the role did not move from the master that was killed')
  },
})

const flush = (nodes: number): Scenario => ({
  name: `redis ha r${nodes} flush`, service: 'dcs', prepare: (server) => haGround(server, nodes),
  act: (server, { id }) => server.dcs('PUT', '/instances/status', { action: 'flush', instances: [id] }),
  async between(_server, ground) {
    await atMostOne(as(ground))
    const redis = client(ground.instance)
    const flushed = await redis.get('before') === null
    // Acknowledged after the flush: a second one would take it.
    if (flushed) { await redis.set('after', 'yes'); ground.note = 'flushed' }
    redis.disconnect()
  },
  async verify(server, ground, accepted, struck) {
    await whole(server, as(ground))
    await as(ground).watch.stop()
    await sameData(server, as(ground))
    await oneWriter(as(ground))
    assert.deepEqual(as(ground).watch.rivals(), [])
    const redis = client(ground.instance)
    const [before, after, evidence] = [await redis.get('before'), await redis.get('after'), await redis.keys('sluice*')]
    await redis.select(3)
    const elsewhere = await redis.get('before')
    redis.disconnect()
    assert.deepEqual(evidence, [])
    assert.equal(before, elsewhere, 'every database or none')
    if (accepted) assert.equal(before, null, 'accepted, so the data must be gone')
    if (ground.note) assert.equal(after, 'yes', 'flushed twice')
    if (struck) return
    // What a client had confirmed after the flush is all there: no hole between its first key that is left and its last.
    const gone = new Set(await lost(as(ground)))
    for (const keys of as(ground).watch.keys) {
      const first = keys.findIndex((key) => !gone.has(key))
      if (first >= 0) assert.ok(keys.slice(first).every((key) => !gone.has(key)), 'a write after the flush is lost')
    }
  },
})

const resize = (name: string, from: number, to: number): Scenario => ({
  ...scenario(`${name} to ${to} nodes`, from, {
    async act(server, { id }) {
      const { json } = to < from ? await server.dcs('GET', `/instances/${id}/logical-nodes`) : { json: null }
      const leaving = json?.nodes?.find((node: any) => node.node_type !== 'master')?.node_id
      return server.dcs('POST', `/instances/${id}/resize`, {
        ...flavor(to), new_capacity: 0.125, ...to > from ? { change_type: 'createReplication', available_zones: ['eu-de-01'] } : { change_type: 'deleteReplication', node_list: [leaving] },
      })
    },
  }),
  // It changes the number of nodes: each point needs an instance of its own.
  prepare: async (server) => ({ ...await haGroundOf(server, await server.createRedis('resized', flavor(from)), from), keep: false }),
  async verify(server, ground, accepted) {
    const instance = await server.running('dcs', ground.id)
    await as(ground).watch.stop()
    if (accepted) assert.equal(instance.replica_count, to)
    const now = await haGroundOf(server, ground.id, instance.replica_count, { fresh: false })
    const gone = await intact(server, now).finally(now.end)
    assert.equal(gone + (await lost(as(ground))).length, 0, 'acknowledged writes are lost')
  },
})

const create = (nodes: number): Scenario => ({
  name: `redis ha r${nodes} create`, service: 'dcs',
  async prepare() { return { id: '', starts: 0, pid: 0 } },
  act: (server) => server.dcs('POST', '/instances', redisBody('created', flavor(nodes))),
  async verify(server, ground, accepted) {
    const { json } = await server.dcs('GET', '/instances?name=created&include_failure=true')
    assert.ok(accepted ? json.instance_num === 1 : json.instance_num <= 1)
    for (const { instance_id: id } of json.instances) {
      ground.id = id
      const made = await haGroundOf(server, id, nodes)
      ground.end = () => made.watch.stop()
      for (let n = 0; n < nodes; n += 1) assert.equal(startsOf(server, id, n), 1, 'started exactly once')
      await intact(server, made)
    }
  },
})

const remove = (nodes: number): Scenario => ({
  name: `redis ha r${nodes} delete`, service: 'dcs',
  prepare: async (server) => ({ ...await haGroundOf(server, await server.createRedis('deleted', flavor(nodes)), nodes), keep: false }),
  act: (server, { id }) => server.dcs('DELETE', `/instances/${id}`),
  between: (_server, ground) => atMostOne(as(ground)),
  async verify(server, ground, accepted) {
    if (!accepted && (await server.dcs('GET', `/instances/${ground.id}`)).status === 200) { await intact(server, as(ground)); return }
    await as(ground).watch.stop()
    assert.equal((await server.dcs('GET', `/instances/${ground.id}`)).status, 404)
    await until('the data to be gone', () => as(ground).ids.every((id) => !existsSync(`${server.home}/nodes/${id}`)), 10_000)
    assert.ok(!isAlive(ground.pid), 'the process is gone')
  },
})

const swap = (nodes: number): Scenario => scenario('swap', nodes, { act: (server, { id }) => server.dcs('POST', `/instances/${id}/swap`) })

const configure = (nodes: number): Scenario => scenario('configure', nodes, {
  act(server, ground) {
    // Another one at each point: the instance is the same.
    ground.note = String(61 + Math.floor(Math.random() * 3000))
    return server.dcs('PUT', `/instances/${ground.id}/configs`, { redis_config: [{ param_name: 'repl-timeout', param_value: ground.note }] })
  },
  async after(server, ground, accepted) {
    assert.deepEqual(ground.startsOf.map((_, n) => startsOf(server, ground.id, n)), ground.startsOf, 'a change of settings restarts nothing')
    const said = (await Promise.all(ground.doors.map((door) => withDoor(door, async (redis) => (await redis.config('GET', 'repl-timeout') as string[])[1]!)))).filter((one) => one !== null)
    if (accepted) assert.deepEqual([...new Set(said)], [ground.note])
    assert.equal(new Set(said).size, 1, 'nodes differ')
  },
})

/** Scenarios in which the control plane is hit. */
export const redisHaScenarios: readonly Scenario[] = [
  create(2), restart('restart', 2), restart('soft_restart', 2), swap(2), configure(2), flush(2), recovery(2, 'master'), recovery(2, 'replica'), remove(2),
  restart('soft_restart', 2, true), restart('soft_restart', 3), recovery(3, 'master'), resize('extend', 2, 3), resize('shrink', 3, 2),
]
/** Those in which a node is hit. */
export const redisHaNodeScenarios: readonly Scenario[] = [restart('soft_restart', 2), restart('soft_restart', 2, true), swap(2), recovery(2, 'replica'), restart('soft_restart', 3)]

const victims = {
  master: (ground: HaGround): number => ground.master,
  // The one that a handover chooses.
  'next master': (ground: HaGround): number => ground.replicas[0]!,
  'last replica': (ground: HaGround): number => ground.replicas.at(-1)!,
}

/** A node is killed, stopped for good, or stopped for longer than a handover takes. */
export function nodeBlow(how: 'kill' | 'stop' | 'freeze 1500', whom: keyof typeof victims): Blow {
  return { name: `${how} ${whom}`, node: true, async order(server, ground) { return `${how} ${server.home}/nodes/${ground.id}-${victims[whom](as(ground))}/pid` } }
}

/** Longer than the pause that a handover asks of the old master: what it knew before may be wrong afterwards. */
export const freezeControlPlane: Blow = { name: 'freeze of the control plane', node: false, async order() { return 'freeze 4000' } }
