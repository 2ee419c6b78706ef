/** A master changes under four writers: how long none of their writes is confirmed, beside Redis's own FAILOVER. */
import { Redis } from 'ioredis'
import { setTimeout as sleep } from 'node:timers/promises'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeServer, password, until, type Server } from '../support/server.ts'
import { watch, type Door, type Watch } from '../crash/watch.ts'
import { addresses, askRedis, atEnd, bare, folder, pong, rounds } from './ground.ts'
import { median, quantile, type Line } from './report.ts'
import { changeStatus, createRedis, fill } from './redis.ts'

/** So many that the 99th of a hundred is not a guess about one. */
const switchovers = 24
const failovers = 20
const warmUps = 4
/** The dead node of one that keeps dying is started ever later, which only makes the measuring longer. */
const killsOfOne = 3
/** Two nodes load and copy two million keys, one after the other. */
const wholeWithinMs = 240_000
/** Between two rounds: whatever the last one left to do is done. */
const restMs = 150
const spec = { spec_code: 'redis.ha.xu1.large.r2.1', capacity: 1 }
const modes: readonly (readonly [string, NodeJS.ProcessEnv])[] = [['own addresses', {}], ['one host', { SLUICE_NODE_HOST: '127.0.0.1', SLUICE_NODE_PORTS: '23701-23950' }]]
const loads: readonly { readonly what: string; readonly keys: number; readonly most: number; readonly ms: number }[] = [
  { what: 'empty', keys: 0, most: switchovers, ms: Infinity }, { what: '200,000 keys', keys: 200_000, most: 12, ms: 20_000 }, { what: '2,000,000 keys', keys: 2_000_000, most: 3, ms: 60_000 },
]

/**
 * The longest time without a confirmed write around a soft restart: at the switchover, in all of the time that it takes, and of the client
 * that waited longest. In seconds of loading and copying, this machine alone makes some gaps: what is seen in as long a time of rest
 * is beside them.
 */
export async function ha(): Promise<Line[]> {
  const lines: Line[] = []
  for (const [mode, env] of modes) {
    const plane = await makeServer(env)
    atEnd(() => plane.destroy())
    await plane.start()
    await warmUp(plane)
    for (const load of loads) {
      const [id] = await createRedis(plane, 1, spec)
      const instance = await plane.running('dcs', id!)
      const service: Door = { host: instance.ip, port: instance.port }
      if (load.keys > 0) await fill(service.host, load.keys, service.port)
      const pair = await native(load.keys)
      const [switches, ours, clients, quiet, quietClients, theirs, walls] = [[], [], [], [], [], [], []] as [number[], number[], number[], number[], number[], number[], number[]]
      const lost = { sluice: 0, bare: 0 }
      await rounds({ most: load.most, least: 2, ms: load.ms }, async () => {
        const writers = writing(service)
        await until('writes', () => writers.acked() > 100)
        const started = performance.now()
        await changeStatus(plane, 'soft_restart', [id!], wholeWithinMs)
        await sleep(restMs)
        const over = performance.now()
        walls.push(over - started - restMs)
        // The longest gap of a longer time is longer, whatever happens in it, or does not.
        await sleep(over - started)
        await writers.stop()
        switches.push(writers.switchGap(started, over))
        ours.push(writers.addressGap(started, over))
        clients.push(writers.longestGap(started, over))
        quiet.push(writers.addressGap(over))
        quietClients.push(writers.longestGap(over))
        lost.sluice += await missing(writers, service)
      }, async () => {
        const [gapMs, gone] = await pair.failover()
        theirs.push(gapMs)
        lost.bare += gone
      })
      await pair.end()
      await plane.dcs('DELETE', `/instances/${id}`)
      console.error(`ha: ${load.what}, ${mode}: switchovers ${shown(switches)} ms, longest gaps ${shown(ours)} ms, of one client ${shown(clients)} ms, FAILOVER ${shown(theirs)} ms`)
      const line = { topic: 'ha', samples: ours.length, unit: 'ms' } as const
      const note = `lost acknowledged writes: ${lost.sluice}; p50 of the same time with nothing going on: ${median(quiet).toFixed(1)} ms; ${lost.bare} lost by FAILOVER`
      const bare = median(theirs)
      lines.push(
        { ...line, what: `write gap of the switchover, ${load.what}, ${mode}, p50`, sluice: median(switches), bare, limit: 10, note: `of the address, while its clients changed to the new master; bare: FAILOVER of a pair, its clients follow the role` },
        { ...line, what: `write gap of the switchover, ${load.what}, ${mode}, p99`, sluice: quantile(switches, 0.99), bare: quantile(theirs, 0.99), limit: 50 },
        { ...line, what: `longest gap of the whole soft restart, ${load.what}, ${mode}, p50`, sluice: median(ours), bare, limit: 10, note },
        { ...line, what: `longest gap of the whole soft restart, ${load.what}, ${mode}, p99`, sluice: quantile(ours, 0.99), bare: quantile(theirs, 0.99), limit: 50, note: `as long with nothing going on: ${quantile(quiet, 0.99).toFixed(1)} ms` },
        { ...line, what: `the client that waited longest, ${load.what}, ${mode}, p50`, sluice: median(clients), bare: null, note: `as long with nothing going on: ${median(quietClients).toFixed(1)} ms` },
        { ...line, what: `the whole soft restart, ${load.what}, ${mode}, median`, sluice: median(walls), bare: null },
      )
    }
    lines.push(...await killed(plane, mode))
    await plane.end('SIGTERM')
  }
  return lines
}

/** A control plane and clients that have just started are compiled while they work, and four writers show that as a gap. */
async function warmUp(plane: Server): Promise<void> {
  const [id] = await createRedis(plane, 1, spec)
  const { ip, port } = await plane.running('dcs', id!)
  const writers = writing({ host: ip, port })
  for (let n = 0; n < warmUps; n += 1) await changeStatus(plane, 'soft_restart', [id!], wholeWithinMs)
  await writers.stop()
  await plane.dcs('DELETE', `/instances/${id}`)
}

/** Milliseconds from the SIGKILL of a master to the first write that another one confirms. */
async function killed(plane: Server, mode: string): Promise<Line[]> {
  const times: number[] = []
  let [lost, id, instance]: [number, string, any] = [0, '', null]
  for (let n = 0; n < failovers; n += 1) {
    if (n % killsOfOne === 0) {
      if (id) await plane.dcs('DELETE', `/instances/${id}`)
      id = (await createRedis(plane, 1, spec))[0]!
      instance = await plane.running('dcs', id)
    }
    const service: Door = { host: instance.ip, port: instance.port }
    const writers = writing(service)
    await until('writes', () => writers.acked() > 100)
    const pid = await processBehind(service)
    const at = performance.now()
    process.kill(pid, 'SIGKILL')
    const first = await until('a write after it', () => writers.firstAfter(at + 5), 30_000, 1)
    times.push(first! - at)
    await plane.running('dcs', id)
    await sleep(restMs)
    await writers.stop()
    lost += await missing(writers, service)
  }
  await plane.dcs('DELETE', `/instances/${id}`)
  console.error(`ha: killed, ${mode}: ${shown(times)} ms`)
  const line = { topic: 'ha', samples: times.length, unit: 'ms', bare: null } as const
  return [
    { ...line, what: `kill -9 of the master to the next write, ${mode}, p50`, sluice: median(times), note: `acknowledged writes lost: ${lost}` },
    { ...line, what: `kill -9 of the master to the next write, ${mode}, worst`, sluice: Math.max(...times), limit: 3000 },
  ]
}

const shown = (times: readonly number[]): string => times.map((time) => time.toFixed(0)).join(' ')

async function processBehind(door: Door): Promise<number> {
  const redis = new Redis({ ...door, password })
  try { return Number(/process_id:(\d+)/.exec(await redis.info('server'))![1]) } finally { redis.disconnect() }
}

async function gap(writers: Watch, since: number): Promise<number> {
  await sleep(restMs)
  await writers.stop()
  return writers.addressGap(since)
}

async function missing(writers: Watch, door: Door): Promise<number> {
  const redis = new Redis({ ...door, password })
  let count = 0
  for (const keys of writers.keys.filter((mine) => mine.length > 0)) {
    count += (await redis.mget([...keys])).filter((value) => value === null).length
    // So that an empty one stays as good as empty.
    await redis.unlink([...keys])
  }
  redis.disconnect()
  return count
}

interface Pair { failover(): Promise<readonly [gapMs: number, lost: number]>; end(): Promise<void> }

/** Master and replica that nobody controls, and clients that look for the one that takes writes. */
async function native(keys: number): Promise<Pair> {
  const work = folder()
  const doors = (await addresses(work, 2)).map((host): Door => ({ host, port: 6379 }))
  const ask = async ({ host }: Door, command: string, complete = (text: string): boolean => text.split('\r\n').length > 2): Promise<string> => String(await askRedis(host, password, [command], complete))
  const role = (door: Door): Promise<string> => ask(door, 'INFO replication', (text) => text.includes('repl_backlog_histlen'))
  const processes = doors.map(({ host }) => {
    const directory = join(work, host)
    mkdirSync(join(directory, 'data'), { recursive: true })
    writeFileSync(join(directory, 'redis.conf'), [
      `bind ${host}`, 'port 6379', 'dir data', 'save ""', 'appendonly yes', 'appendfsync everysec', `requirepass ${password}`, `masterauth ${password}`,
      `replica-announce-ip ${host}`, `bind-source-addr ${host}`, 'repl-diskless-sync yes', 'repl-diskless-sync-delay 0', '',
    ].join('\n'))
    return bare(directory, process.env['SLUICE_REDIS_SERVER'] ?? 'redis-server', ['redis.conf'])
  })
  for (const { host } of doors) await pong(host, password)
  let [master, replica] = doors as [Door, Door]
  if (keys > 0) await fill(master.host, keys)
  await ask(replica, `REPLICAOF ${master.host} 6379`)
  const linked = (): Promise<unknown> => until('the replica to be linked', async () => /state=online/.test(await role(master)) && /master_link_status:up/.test(await role(replica)), 120_000, 10)
  await linked()
  return {
    async failover() {
      const writers = writing(master, replica)
      await until('writes', () => writers.acked() > 100)
      const started = performance.now()
      await ask(master, 'FAILOVER')
      await until('the role to have moved', async () => /role:master/.test(await role(replica)), 30_000, 5)
      const gapMs = await gap(writers, started);
      [master, replica] = [replica, master]
      await linked()
      return [gapMs, await missing(writers, master)]
    },
    async end() { for (const { child, ended } of processes) { child.kill('SIGKILL'); await ended } },
  }
}

/** One write after the other, with a timer's millisecond between: more would measure how busy the machine is. */
function writing(door: Door, orElse?: Door): Watch { return watch(door, [], { everyMs: 1, ...(orElse ? { orElse } : {}) }) }
