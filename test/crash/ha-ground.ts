/** A master with its replicas, four clients that write, and what must be true of them whatever happened. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { Redis } from 'ioredis'
import { client, listeners, nodePid, password, starts, until, type Server } from '../support/server.ts'
import type { Ground } from './scenarios.ts'
import { watch, type Door, type Watch } from './watch.ts'

export interface HaGround extends Ground {
  readonly ids: readonly string[]
  readonly ordinals: readonly number[]
  readonly doors: readonly Door[]
  readonly startsOf: readonly number[]
  readonly watch: Watch
  /** Ordinals by what the nodes were when it began. */
  readonly master: number
  readonly replicas: readonly number[]
}

/** A frozen node is killed after 10 s when an operation looks at it, and found within 40 s otherwise. */
const wholeWithinMs = 75_000
/** More than is copied rather than saved and loaded. */
const heavyMib = 10
/** What is ordered for so many nodes. */
export const flavor = (nodes: number): object => ({ spec_code: `redis.ha.xu1.tiny.r${nodes}.128` })
/** The instance of each server that goes from point to point. */
const kept = new WeakMap<Server, { readonly id: string; points: number }>()
/** What keeps dying is started ever later, up to a minute. */
const pointsOfOne = 4

/** An instance with data, a watch on it, and every node known. `heavy`: so much data that a copy of it is avoided. */
export async function haGround(server: Server, nodes: number, heavy = false): Promise<HaGround> {
  let one = kept.get(server)
  if (one?.points === pointsOfOne) {
    await server.dcs('DELETE', `/instances/${one.id}`)
    one = undefined
  }
  one ??= { id: await server.createRedis('replicated', flavor(nodes)), points: 0 }
  one.points += 1
  kept.set(server, one)
  return await haGroundOf(server, one.id, nodes, { fresh: true, heavy })
}

/** The same of any instance; `fresh`: emptied first. */
export async function haGroundOf(server: Server, id: string, nodes: number, how: { readonly fresh: boolean; readonly heavy?: boolean } = { fresh: true }): Promise<HaGround> {
  const instance = await server.running('dcs', id)
  // After a shrink they are not in a row.
  const ordinals = (await nodesOf(server, id)).map((node) => Number(node.id.slice(id.length + 1)))
  const doors = await doorsOf(server, instance)
  const roles = await until('every node to answer', async () => { const found = await rolesOf(doors); return found.size === nodes && found })
  const redis = client(instance)
  if (how.fresh) {
    await redis.flushall()
    await redis.set('before', 'yes')
    await redis.select(3)
    await redis.set('before', 'yes')
    // No string, so that comparing all values stays quick.
    if (how.heavy) await redis.eval(`for i = 1, ${heavyMib} do redis.call('HSET', KEYS[1], i, string.rep('x', 1048576)) end`, 1, 'heavy')
  }
  redis.disconnect()
  const watched = watch({ host: instance.ip, port: instance.port }, doors)
  await until('writes', () => watched.acked() > 20)
  const master = ordinals.find((n) => roles.get(nodePid(server.home, id, n)) === 'master')!
  return {
    id, instance, keep: true, ordinals, starts: 0, pid: nodePid(server.home, id, master), ids: ordinals.map((n) => `${id}-${n}`), doors, startsOf: ordinals.map((n) => startsOf(server, id, n)),
    watch: watched, master, replicas: ordinals.filter((n) => n !== master), end: () => watched.stop(),
  }
}

/** How often a node was started. */
export function startsOf(server: Server, id: string, n: number): number { return starts(server.home, id, /Redis is starting/g, n) }

async function nodesOf(server: Server, id: string): Promise<any[]> {
  return (await server.call('console', 'GET', '/v1/nodes')).json.nodes.filter((node: any) => node.instance_id === id)
}

/** Wherever a node may listen: the instance's address, each node's own, and what they listen on now, among it the readers' address. */
async function doorsOf(server: Server, instance: any): Promise<Door[]> {
  const mine = await nodesOf(server, instance.instance_id)
  const own = mine.map((node: any): Door => ({ host: node.address, port: node.ports.service }))
  const all = [{ host: instance.ip, port: instance.port }, ...own, ...mine.flatMap((node: any) => listeners(node.pid))]
  return [...new Map(all.map((door) => [`${door.host}:${door.port}`, door])).values()]
}

/** Asks whoever listens there; null when nobody does. */
export async function withDoor<T>(door: Door, work: (redis: Redis) => Promise<T>): Promise<T | null> {
  const redis = new Redis({ ...door, password, protocol: 2, lazyConnect: true, enableReadyCheck: false, retryStrategy: () => null, maxRetriesPerRequest: 0, connectTimeout: 500, commandTimeout: 2000, disableClientInfo: true })
  redis.on('error', () => {})
  try { await redis.connect(); return await work(redis) } catch { return null } finally { redis.disconnect() }
}

/** The role of each process that answers behind one of the doors. */
export async function rolesOf(doors: readonly Door[]): Promise<Map<number, string>> {
  const found = new Map<number, string>()
  await Promise.all(doors.map((door) => withDoor(door, async (redis) => {
    const info = await redis.info()
    found.set(Number(/process_id:(\d+)/.exec(info)![1]), /role:(\w+)/.exec(info)![1]!)
  })))
  return found
}

/** While nobody decides anything: at most one is master. */
export async function atMostOne(ground: HaGround): Promise<void> {
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
export async function whole(server: Server, ground: HaGround): Promise<void> {
  await until(`${ground.id} to be whole`, async () => {
    const { json } = await server.dcs('GET', `/instances/${ground.id}`)
    assert.equal(json?.status, 'RUNNING', `status ${json?.status}`)
    const open = (await server.call('console', 'GET', `/v1/operations?open=true&instance=${ground.id}`)).json.operations
    assert.equal(open.length, 0, `${open[0]?.action} is open: ${open[0]?.progress}`)
    const roles = await rolesOf(ground.doors)
    const pids = ground.ordinals.map((n) => nodePid(server.home, ground.id, n))
    assert.deepEqual(pids.map((pid) => roles.get(pid) ?? 'silent').toSorted(), ['master', ...ground.replicas.map(() => 'slave')])
    return true
  }, wholeWithinMs, 50)
}

/** Waits until all nodes hold the same. */
export async function sameData(server: Server, ground: HaGround, databases: readonly number[] = [0, 3]): Promise<void> {
  await until('equal data', async () => {
    const sums = new Map<number, string>()
    await Promise.all(ground.doors.map((door) => withDoor(door, async (redis) => {
      const pid = Number(/process_id:(\d+)/.exec(await redis.info('server'))![1])
      const parts: string[] = []
      for (const database of databases) parts.push(await digestOf(redis, database))
      sums.set(pid, parts.join())
    })))
    const all = ground.ordinals.map((n) => sums.get(nodePid(server.home, ground.id, n)) ?? 'silent')
    assert.equal(new Set(all).size, 1, `the nodes have ${all.join(' and ')}`)
    return true
  }, 10_000, 50)
}

/** Which processes take a write, each asked wherever it may listen; and the instance's address leads to that one. */
export async function oneWriter(ground: HaGround): Promise<void> {
  // On a machine with much to do a connection may need longer than it has; a door that has answered is not asked again.
  const asked: ({ readonly pid: number; readonly refusal: string | null } | null)[] = ground.doors.map(() => null)
  await until('every process to answer', async () => {
    await Promise.all(ground.doors.map(async (door, n) => {
      asked[n] ??= await withDoor(door, async (redis) => {
        const pid = Number(/process_id:(\d+)/.exec(await redis.info('server'))![1])
        return { pid, refusal: await redis.set('probe', '2').then(() => null, (error: Error) => error.message) }
      })
    }))
    return asked[0] && new Set(asked.flatMap((answer) => answer ? [answer.pid] : [])).size >= ground.ordinals.length
  }, 10_000, 50)
  const takers = new Set(asked.flatMap((answer) => answer?.refusal === null ? [answer.pid] : []))
  const refusals = asked.flatMap((answer) => answer?.refusal ? [`${answer.pid}: ${answer.refusal}`] : [])
  assert.equal(takers.size, 1, `processes ${[...takers].join(' and ')} take writes; ${refusals.join(', ')}`)
  assert.equal(asked[0]!.refusal, null, 'the address of the instance takes no write')
}

/** Keys of acknowledged writes that are not there. */
export async function lost(ground: HaGround): Promise<string[]> {
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
export async function intact(server: Server, ground: HaGround): Promise<number> {
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
