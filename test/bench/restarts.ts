/** Restarts of Redis: fifty at once by force, and one by one softly. */
import { each, addresses, folder, rounds, server, timed } from './ground.ts'
import { timings, type Line } from './report.ts'
import { bareRedis, changeStatus, createRedis, fill } from './redis.ts'

const many = 50
/** As many as Sluice's worker runs at once. */
const atOnce = 16

/** From one request to all of fifty RUNNING. */
export async function restart50(): Promise<Line[]> {
  const plane = await server()
  const work = folder()
  const ids = await createRedis(plane, many)
  const others = (await addresses(work, many)).map((address, n) => bareRedis(plane, ids[n]!, work, String(n), address))
  await each(others, atOnce, (redis) => redis.start())
  const [ours, theirs]: [number[], number[]] = [[], []]
  const a = async (): Promise<void> => { ours.push(await timed(() => changeStatus(plane, 'restart', ids))) }
  const b = async (): Promise<void> => { theirs.push(await timed(() => each(others, atOnce, async (redis) => { await redis.end('kill'); await redis.start() }))) }
  await rounds({ most: 1, least: 1, ms: 0 }, a, b)
  ours.length = theirs.length = 0
  await rounds({ most: 15, least: 5, ms: 35_000 }, a, b)
  return timings('restart50', `restarting ${many} empty Redis`, ours, theirs, { target: { atMost: 1.25 }, note: `bare: kill, spawn, PING, ${atOnce} at once` })
}

/** From the request to RUNNING, of an empty Redis and of a full one. */
export async function soft(): Promise<Line[]> {
  const plane = await server()
  const work = folder()
  const lines: Line[] = []
  const places = await addresses(work, 2)
  for (const [n, { what, keys, limits }] of [
    { what: 'one soft restart, empty', keys: 0, limits: { most: 60, least: 10, ms: 12_000 } },
    { what: 'one soft restart, 1,000,000 keys', keys: 1_000_000, limits: { most: 12, least: 4, ms: 20_000 } },
  ].entries()) {
    const [id] = await createRedis(plane, 1, { capacity: 1, spec_code: 'redis.single.xu1.large.1' })
    const { ip } = await plane.running('dcs', id!)
    const other = bareRedis(plane, id!, work, String(n), places[n]!)
    await other.start()
    if (keys > 0) for (const address of [ip, other.address]) await fill(address, keys)
    const [ours, theirs]: [number[], number[]] = [[], []]
    await rounds(limits,
      async () => { ours.push(await timed(() => changeStatus(plane, 'soft_restart', [id!]))) },
      async () => { theirs.push(await timed(async () => { await other.end('shutdown'); await other.start() })) })
    lines.push(...timings('soft', what, ours, theirs, { note: 'bare: SHUTDOWN, start, PING' }))
    await other.end('kill')
  }
  return lines
}
