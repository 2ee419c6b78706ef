/** Walks through all keys of an instance, a few at a time, with pauses in which the servers are left alone. */
import { setTimeout as sleep } from 'node:timers/promises'
import { all, openSession, readInfo, type Session } from './client.ts'
import { closeAll, isLinked, meetAll, type Seen } from './seen.ts'
import { rolesOf } from './roles.ts'
import type { FoundKey, SurveyHow, SurveyResult, SurveyRun as Run } from '../../core/desk.ts'
import type { Ground } from './topology.ts'

type Redis = Session['redis']

/** Some tenths of a millisecond for a server; a customer's call waits behind it for no longer. */
const usualCount = 100
/** For each millisecond that an answer took, most of it the way, the server is left alone for two; at least so long. */
const pause = { part: 2, leastMs: 1, mostMs: 1000 } as const
/** As many as the clouds show, of each type and in all. */
const most = { each: 20, hot: 100 } as const
const sizes = { string: 'STRLEN', list: 'LLEN', set: 'SCARD', zset: 'ZCARD', hash: 'HLEN', stream: 'XLEN' } as const
type Type = keyof typeof sizes

interface Place { readonly seen: Seen; readonly shard: number; readonly shown: string | null }

/** The biggest keys of each type, or those that are used most often. */
export async function findKeys(ground: Ground, kind: 'bigkey' | 'hotkey', how: SurveyHow, run: Run): Promise<SurveyResult> {
  // A replica has the same keys and serves fewer; but only a master counts who reads them.
  const places = await placesOf(ground, kind === 'bigkey')
  const best = new Map<string, FoundKey[]>()
  const keep = (group: string, key: FoundKey, rank: (one: FoundKey) => number, count: number): void => {
    const found = best.get(group) ?? []
    best.set(group, found)
    if (found.length === count && rank(found.at(-1)!) >= rank(key)) return
    const at = found.findIndex((one) => rank(one) < rank(key))
    found.splice(at < 0 ? found.length : at, 0, key)
    if (found.length > count) found.pop()
  }
  const seen = await walk(ground, places, how, run, async (redis, place, database, names) => {
    const types = await each<string>(redis, names.map((name) => ['TYPE', name]))
    const known = names.map((name, n) => ({ name, type: types[n] as Type })).filter(({ type }) => type in sizes)
    const asked = await each<number>(redis, known.map(({ name, type }) => kind === 'bigkey' ? [sizes[type], name] : ['OBJECT', 'FREQ', name]))
    known.forEach(({ name, type }, n) => {
      const figure = asked[n]
      if (typeof figure !== 'number') return
      const key = { name, type, shard: place.shown, database }
      if (kind === 'bigkey') keep(type, { ...key, size: figure }, ({ size }) => size, most.each)
      else keep('hot', { ...key, size: 0, frequency: figure }, ({ frequency }) => frequency!, most.hot)
    })
  })
  if (kind === 'bigkey') return { seen, keys: [...best.values()].flat() }
  // Asked of these alone, and at the end: to be asked for its size is to be used.
  return { seen, keys: await sized(ground, places, best.get('hot') ?? []) }
}

/** Looking at a key that is past its time removes it. */
export async function expireKeys(ground: Ground, how: SurveyHow, run: Run): Promise<SurveyResult> {
  const places = await placesOf(ground, false)
  const before = await expiredOf(ground, places)
  const seen = await walk(ground, places, how, run, async () => {})
  return { seen, expired: Math.max(0, await expiredOf(ground, places) - before) }
}

async function expiredOf(ground: Ground, places: readonly Place[]): Promise<number> {
  const counts = await Promise.all(places.map((place) => asking(ground, place, async (redis) => Number(readInfo(await redis.info('stats'))('expired_keys')))))
  return counts.reduce((sum, count) => sum + count, 0)
}

/** One node of each shard. */
async function placesOf(ground: Ground, replicas: boolean): Promise<Place[]> {
  const roles = rolesOf(ground.instance, ground.nodes)
  const views = await meetAll(ground, {}, async () => ({}))
  closeAll(views)
  const shards = [...Map.groupBy(views, ({ node }) => roles.get(node.id)!.shard)]
  return shards.map(([shard, members]) => {
    const master = members.find((view) => view.info('role') === 'master')
    const seen = (replicas ? members.find((view) => isLinked(view) && view.info('loading') === '0') : undefined) ?? master
    if (!seen?.session) throw new Error(`nobody of shard ${shard} can be asked`)
    const { at } = roles.get((master ?? seen).node.id)!
    return { seen, shard, shown: shards.length > 1 && at ? `${at.address}:${at.port}` : null }
  })
}

function asking<T>(ground: Ground, { seen: { node, state } }: Place, work: (redis: Redis) => Promise<T>): Promise<T> {
  return (async () => {
    const session = await openSession(ground.reach(node, state), { name: 'sluice-survey' })
    try { return await work(session.redis) } finally { session.redis.disconnect() }
  })()
}

/** Calls `look` with the names that each SCAN brings; answers how many there were. Ends early, and well, when its time is over. */
async function walk(ground: Ground, places: readonly Place[], { count = usualCount, timeoutMs = Infinity }: SurveyHow, run: Run, look: (redis: Redis, place: Place, database: number, names: readonly string[]) => Promise<void>): Promise<number> {
  const scan = ground.instance.spec.renamedCommands['scan'] ?? 'SCAN'
  const giveUp = performance.now() + timeoutMs
  let [seen, all] = [0, 0]
  const databases = await Promise.all(places.map((place) => asking(ground, place, async (redis) => databasesIn(await redis.info('keyspace')))))
  all = databases.flat().reduce((sum, { keys }) => sum + keys, 0)
  for (const [n, place] of places.entries()) {
    await asking(ground, place, async (redis) => {
      for (const { database } of databases[n]!) {
        if (database !== 0) await redis.select(database)
        let cursor = '0'
        do {
          run.signal.throwIfAborted()
          if (performance.now() > giveUp) return
          const begun = performance.now()
          const [next, names] = await redis.call(scan, cursor, 'COUNT', count) as [string, string[]]
          if (names.length > 0) await look(redis, place, database, names)
          cursor = next
          seen += names.length
          run.progress(Math.min(1, seen / Math.max(1, all)))
          await sleep(Math.min(pause.mostMs, Math.max(pause.leastMs, (performance.now() - begun) * pause.part)), undefined, { signal: run.signal })
        } while (cursor !== '0')
        if (database !== 0) await redis.select(0)
      }
    })
  }
  return seen
}

/** INFO keyspace: "db0:keys=3,expires=0,avg_ttl=0". */
function databasesIn(text: string): { readonly database: number; readonly keys: number }[] {
  return [...text.matchAll(/^db(\d+):keys=(\d+)/gm)].map(([, database, keys]) => ({ database: Number(database), keys: Number(keys) }))
}

/** Each answer by itself: a key may be gone, or of another type, by the time that it is asked for. */
async function each<T>(redis: Redis, commands: readonly (readonly string[])[]): Promise<(T | null)[]> {
  if (commands.length === 0) return []
  const pipeline = redis.pipeline()
  for (const [name, ...args] of commands) pipeline.call(name!, ...args)
  return (await pipeline.exec() ?? []).map(([error, answer]) => error ? null : answer as T)
}

async function sized(ground: Ground, places: readonly Place[], keys: readonly FoundKey[]): Promise<FoundKey[]> {
  const found: FoundKey[] = []
  for (const place of places) {
    const mine = keys.filter((key) => key.shard === place.shown)
    await asking(ground, place, async (redis) => {
      for (const [database, group] of Map.groupBy(mine, (key) => key.database)) {
        await all(redis, [['SELECT', database]])
        const answers = await each<number>(redis, group.map(({ type, name }) => [sizes[type], name]))
        found.push(...group.map((key, n) => ({ ...key, size: answers[n] ?? 0 })))
      }
    })
  }
  return found.toSorted((a, b) => b.frequency! - a.frequency!)
}
