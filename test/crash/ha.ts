/** What is done to a master with its replicas while four clients write, and what must be true afterwards. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { Redis } from 'ioredis'
import { existsSync } from 'node:fs'
import { client, isAlive, listeners, nodePid, password, redisBody, sleep, starts, until, type Answer, type Server } from '../support/server.ts'
import { once, type Ground, type Scenario } from './scenarios.ts'
import { watch, type Door, type Watch } from './watch.ts'
import type { Blow } from './sweep.ts'

export interface HaGround extends Ground {
  readonly ids: readonly string[]
  readonly doors: readonly Door[]
  readonly startsOf: readonly number[]
  readonly watch: Watch
  /** Ordinals by what the nodes were when it began. */
  readonly master: number
  readonly replicas: readonly number[]
}

/** A frozen node is killed after 10 s when an operation looks at it, and found within 40 s otherwise. */
const wholeWithinMs = 75_000
const flavor = (nodes: number): object => ({ spec_code: `redis.ha.xu1.tiny.r${nodes}.128` })
/** The instance of each server that goes from point to point. */
const kept = new WeakMap<Server, string>()

/** An instance with data, a watch on it, and every node known. */
export async function haGround(server: Server, nodes: number): Promise<HaGround> {
  const id = kept.get(server) ?? await server.createRedis('replicated', flavor(nodes))
  kept.set(server, id)
  return await haGroundOf(server, id, nodes)
}

async function haGroundOf(server: Server, id: string, nodes: number): Promise<HaGround> {
  const instance = await server.running('dcs', id)
  const ordinals = Array.from({ length: nodes }, (_, n) => n)
  const doors = await doorsOf(server, instance)
  const roles = await until('every node to answer', async () => { const found = await rolesOf(doors); return found.size === nodes && found })
  const redis = client(instance)
  await redis.flushall()
  await redis.set('before', 'yes')
  await redis.select(3)
  await redis.set('before', 'yes')
  redis.disconnect()
  const watched = watch({ host: instance.ip, port: instance.port }, doors)
  await until('writes', () => watched.acked() > 20)
  const pids = ordinals.map((n) => nodePid(server.home, id, n))
  const master = ordinals.find((n) => roles.get(pids[n]!) === 'master')!
  return {
    id, instance, keep: true, starts: 0, pid: pids[master]!, ids: ordinals.map((n) => `${id}-${n}`), doors, startsOf: ordinals.map((n) => startsOf(server, id, n)),
    watch: watched, master, replicas: ordinals.filter((n) => n !== master), end: () => watched.stop(),
  }
}

function startsOf(server: Server, id: string, n: number): number { return starts(server.home, id, /Redis is starting/g, n) }

/** Wherever a node may listen: the instance's address, each node's own, and what they listen on now, among it the readers' address. */
async function doorsOf(server: Server, instance: any): Promise<Door[]> {
  const { nodes } = (await server.call('console', 'GET', '/v1/nodes')).json
  const mine = nodes.filter((node: any) => node.instance_id === instance.instance_id)
  const own = mine.map((node: any): Door => ({ host: node.address, port: node.ports.service }))
  const all = [{ host: instance.ip, port: instance.port }, ...own, ...mine.flatMap((node: any) => listeners(node.pid))]
  return [...new Map(all.map((door) => [`${door.host}:${door.port}`, door])).values()]
}

async function withDoor<T>(door: Door, work: (redis: Redis) => Promise<T>): Promise<T | null> {
  const redis = new Redis({ ...door, password, protocol: 2, lazyConnect: true, enableReadyCheck: false, retryStrategy: () => null, maxRetriesPerRequest: 0, connectTimeout: 500, commandTimeout: 2000, disableClientInfo: true })
  redis.on('error', () => {})
  try { await redis.connect(); return await work(redis) } catch { return null } finally { redis.disconnect() }
}

/** The role of each process that answers behind one of the doors. */
async function rolesOf(doors: readonly Door[]): Promise<Map<number, string>> {
  const found = new Map<number, string>()
  await Promise.all(doors.map((door) => withDoor(door, async (redis) => {
    const info = await redis.info()
    found.set(Number(/process_id:(\d+)/.exec(info)![1]), /role:(\w+)/.exec(info)![1]!)
  })))
  return found
}

/** While nobody decides anything: at most one is master. */
async function atMostOne(ground: HaGround): Promise<void> {
  const masters = [...await rolesOf(ground.doors)].filter(([, role]) => role === 'master')
  assert.ok(masters.length <= 1, `processes ${masters.map(([pid]) => pid).join(' and ')} are masters while the control plane is dead`)
}

/** One sum over all keys and values of a database. */
async function digestOf(redis: Redis, database: number): Promise<string> {
  await redis.select(database)
  const keys = (await redis.keys('*')).toSorted()
  const values = keys.length > 0 ? await redis.mget(keys) : []
  return `${keys.length} ${createHash('sha1').update(JSON.stringify([keys, values])).digest('hex')}`
}

/** Every node answers, one of them is master and takes writes, and all have the same data. */
async function whole(server: Server, ground: HaGround): Promise<void> {
  await until(`${ground.id} to be whole`, async () => {
    const { json } = await server.dcs('GET', `/instances/${ground.id}`)
    assert.equal(json?.status, 'RUNNING', `status ${json?.status}`)
    const open = (await server.call('console', 'GET', `/v1/operations?open=true&instance=${ground.id}`)).json.operations
    assert.equal(open.length, 0, `${open[0]?.action} is open: ${open[0]?.progress}`)
    const roles = await rolesOf(ground.doors)
    const pids = ground.ids.map((_, n) => nodePid(server.home, ground.id, n))
    assert.deepEqual(pids.map((pid) => roles.get(pid) ?? 'silent').toSorted(), ['master', ...ground.replicas.map(() => 'slave')])
    return true
  }, wholeWithinMs, 50)
}

async function sameData(server: Server, ground: HaGround, databases: readonly number[] = [0, 3]): Promise<void> {
  await until('equal data', async () => {
    const sums = new Map<number, string>()
    await Promise.all(ground.doors.map((door) => withDoor(door, async (redis) => {
      const pid = Number(/process_id:(\d+)/.exec(await redis.info('server'))![1])
      const parts: string[] = []
      for (const database of databases) parts.push(await digestOf(redis, database))
      sums.set(pid, parts.join())
    })))
    const all = ground.ids.map((_, n) => sums.get(nodePid(server.home, ground.id, n)) ?? 'silent')
    assert.equal(new Set(all).size, 1, `the nodes have ${all.join(' and ')}`)
    return true
  }, 10_000, 50)
}

/** Which processes take a write, each asked wherever it may listen; and the instance's address leads to that one. */
async function oneWriter(ground: HaGround): Promise<void> {
  const takers = new Set<number>()
  const through = await Promise.all(ground.doors.map((door) => withDoor(door, async (redis) => {
    const pid = Number(/process_id:(\d+)/.exec(await redis.info('server'))![1])
    const took = await redis.set('probe', '2').then(() => true, () => false)
    if (took) takers.add(pid)
    return took
  })))
  assert.equal(takers.size, 1, `processes ${[...takers].join(' and ')} take writes`)
  assert.equal(through[0], true, 'the address of the instance takes no write')
}

/** Keys of acknowledged writes that are not there. */
async function lost(ground: HaGround): Promise<string[]> {
  const redis = client(ground.instance)
  const gone: string[] = []
  for (const keys of ground.watch.keys) {
    if (keys.length === 0) continue
    const values = await redis.mget([...keys])
    gone.push(...keys.filter((_, n) => values[n] === null))
  }
  redis.disconnect()
  return gone
}

/** All that must be true of a replicated instance whatever was done to it. Answers how many acknowledged writes are gone. */
async function intact(server: Server, ground: HaGround): Promise<number> {
  await whole(server, ground)
  const before = ground.watch.acked()
  await until('writes to go on', () => ground.watch.acked() > before + 8, 10_000)
  await ground.watch.stop()
  await sameData(server, ground)
  await oneWriter(ground)
  assert.deepEqual(ground.watch.rivals(), [])
  const instance = (await server.dcs('GET', `/instances/${ground.id}`)).json
  assert.equal(`${instance.ip}:${instance.port}`, `${ground.instance.ip}:${ground.instance.port}`)
  return (await lost(ground)).length
}

const as = (ground: Ground): HaGround => ground as HaGround

/** `losing`: whether replication after the confirmation may lose the last writes of a master that was hit. */
function scenario(name: string, nodes: number, more: Pick<Scenario, 'act'> & { readonly after?: (server: Server, ground: HaGround, accepted: boolean, struck: string | null) => Promise<void> }): Scenario {
  return {
    name: `redis ha r${nodes} ${name}`, service: 'dcs', prepare: (server) => haGround(server, nodes), act: more.act,
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

const restart = (action: 'restart' | 'soft_restart', nodes: number): Scenario => scenario(action, nodes, {
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
  ...scenario(`${name} to ${to} nodes`, from, { act: (server, { id }) => server.dcs('POST', `/instances/${id}/resize`, { ...flavor(to), new_capacity: 0.125, change_type: to > from ? 'createReplication' : 'deleteReplication' }) }),
  // It changes the number of nodes: each point needs an instance of its own.
  prepare: async (server) => ({ ...await haGroundOf(server, await server.createRedis('resized', flavor(from)), from), keep: false }),
  async verify(server, ground, accepted) {
    const instance = await server.running('dcs', ground.id)
    await as(ground).watch.stop()
    if (accepted) assert.equal(instance.replica_count, to)
    const grown = { ...await haGroundOf(server, ground.id, instance.replica_count) }
    await grown.watch.stop()
    assert.deepEqual(await lost({ ...as(ground) }), [], 'acknowledged writes are lost')
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

/** Scenarios in which the control plane is hit. */
export const redisHaScenarios: readonly Scenario[] = [
  create(2), restart('restart', 2), restart('soft_restart', 2), swap(2), flush(2), recovery(2, 'master'), recovery(2, 'replica'), remove(2),
  restart('soft_restart', 3), recovery(3, 'master'), resize('extend', 2, 3), resize('shrink', 3, 2),
]
/** Those in which a node is hit. */
export const redisHaNodeScenarios: readonly Scenario[] = [restart('soft_restart', 2), swap(2), recovery(2, 'replica'), restart('soft_restart', 3)]

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
