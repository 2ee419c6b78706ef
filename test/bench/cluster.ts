/**
 * Every node of a Redis Cluster is replaced under four writers: how long none of a shard's writes is confirmed, beside a plain roll.
 * They are plain connections that go where MOVED says. A Cluster client of ioredis answers MOVED by filling a table of all
 * 16,384 slots before it does anything else, and does so every few seconds with nothing going on; what it sees is beside.
 */
import { Redis, type Cluster } from 'ioredis'
import { setTimeout as sleep } from 'node:timers/promises'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { watch } from '../crash/watch.ts'
import { clusterClient, smallCluster } from '../support/cluster.ts'
import { makeServer, password, until } from '../support/server.ts'
import { addresses, askRedis, atEnd, bare, folder, pong, rounds } from './ground.ts'
import { median, quantile, type Line } from './report.ts'
import { changeStatus, createRedis } from './redis.ts'

/** Keys with these are in three different shards, and the fourth in one of them. */
const tags = ['{b}', '{c}', '{a}', '{d}'] as const
const writersOfShard = [[0], [1], [2, 3]] as const
const shards = writersOfShard.length
const slots = 16_384
const port = 6379
/** Between two writes of a client. */
const everyMs = 1
const restMs = 150
const wholeWithinMs = 240_000
const modes: readonly (readonly [string, NodeJS.ProcessEnv])[] = [['own addresses', {}], ['one host', { SLUICE_NODE_HOST: '127.0.0.1', SLUICE_NODE_PORTS: '23701-23950' }]]
const loads: readonly { readonly what: string; readonly keys: number; readonly most: number; readonly ms: number }[] = [
  { what: 'empty', keys: 0, most: 6, ms: 60_000 }, { what: '200,000 keys', keys: 200_000, most: 3, ms: 40_000 },
]

/** One sample a shard and round. */
export async function cluster(): Promise<Line[]> {
  const lines: Line[] = []
  for (const [mode, env] of modes) {
    const plane = await makeServer(env)
    atEnd(() => plane.destroy())
    await plane.start()
    for (const load of loads) {
      const [id] = await createRedis(plane, 1, smallCluster)
      const instance = await plane.running('dcs', id!)
      const ring = await native()
      const plain = { ip: ring.host, port }
      for (const one of [instance, plain]) await fillShards(one, load.keys)
      const roll = async (): Promise<void> => changeStatus(plane, 'soft_restart', [id!], wholeWithinMs)
      // Clients and a control plane that have just started are compiled while they work.
      await under(instance, roll)
      const library = await under(instance, roll, () => clusterClient(instance))
      const [ours, theirs, quiet, walls, rolls]: [number[], number[], number[], number[], number[]] = [[], [], [], [], []]
      const lost = { sluice: library.lost, bare: 0 }
      await rounds({ most: load.most, least: 2, ms: load.ms }, async () => {
        const seen = await under(instance, roll)
        ours.push(...seen.gaps)
        quiet.push(...seen.quiet)
        walls.push(seen.ms)
        lost.sluice += seen.lost
      }, async () => {
        const seen = await under(plain, ring.roll)
        theirs.push(...seen.gaps)
        rolls.push(seen.ms)
        lost.bare += seen.lost
      })
      await ring.end()
      await plane.dcs('DELETE', `/instances/${id}`)
      const shown = (times: readonly number[]): string => times.map((time) => time.toFixed(0)).join(' ')
      console.error(`cluster: ${load.what}, ${mode}: gaps ${shown(ours)} ms, CLUSTER FAILOVER ${shown(theirs)} ms, rolls ${shown(walls)} ms`)
      const line = { topic: 'cluster', samples: ours.length, unit: 'ms' } as const
      lines.push(
        { ...line, what: `write gap of a shard, soft restart, ${load.what}, ${mode}, p50`, sluice: median(ours), bare: median(theirs), limit: 10, note: `lost acknowledged writes: ${lost.sluice}; p50 of the same time with nothing going on: ${median(quiet).toFixed(1)} ms; bare: replicas, CLUSTER FAILOVER, old masters, ${lost.bare} lost` },
        { ...line, what: `write gap of a shard, soft restart, ${load.what}, ${mode}, p99`, sluice: quantile(ours, 0.99), bare: quantile(theirs, 0.99), limit: 50, note: `p99 with nothing going on: ${quantile(quiet, 0.99).toFixed(1)} ms` },
        { ...line, what: `the same as four Cluster clients of ioredis see it, ${load.what}, ${mode}, p50`, samples: library.gaps.length, sluice: median(library.gaps), bare: null, note: `with nothing going on: ${median(library.quiet).toFixed(1)} ms` },
        { ...line, what: `the whole roll of six nodes, ${load.what}, ${mode}, median`, samples: walls.length, sluice: median(walls), bare: median(rolls) },
      )
    }
    await plane.end('SIGTERM')
  }
  return lines
}

interface Seen { readonly gaps: number[]; readonly quiet: number[]; readonly ms: number; readonly lost: number }

/** The longest gap of each shard while something is done to them, and of as long a time afterwards. */
async function under(instance: { ip: string; port: number }, work: () => Promise<void>, client?: () => Cluster): Promise<Seen> {
  const writers = watch({ host: instance.ip.split(',')[0]!, port: instance.port }, [], { everyMs, tags, ...client ? { client } : {} })
  await until('writes', () => writers.acked() > 200)
  const started = performance.now()
  await work()
  const ms = performance.now() - started
  await sleep(restMs)
  const over = performance.now()
  await sleep(over - started)
  await writers.stop()
  const reader = clusterClient(instance)
  let lost = 0
  for (const keys of writers.keys.filter((mine) => mine.length > 0)) {
    lost += (await reader.mget([...keys])).filter((value) => value === null).length
    await reader.unlink([...keys])
  }
  reader.disconnect()
  const gaps = (from: number, to?: number): number[] => writersOfShard.map((mine) => writers.addressGap(from, to, mine))
  return { gaps: gaps(started, over), quiet: gaps(over), ms, lost }
}

/** As many keys in each shard. */
async function fillShards(instance: { ip: string; port: number }, keys: number): Promise<void> {
  const client = clusterClient(instance)
  const some = 10_000
  for (const tag of tags.slice(0, shards)) {
    for (let from = 0; from < keys / shards; from += some) {
      await client.eval(`for i=${from},${from + some - 1} do redis.call('SET',KEYS[1]..'key:'..i,'value:'..i) end`, 1, tag)
    }
  }
  client.disconnect()
}

/** Three masters and their replicas that nobody controls, and a roll as a careful person scripts it. */
async function native(): Promise<{ readonly host: string; roll(): Promise<void>; end(): Promise<void> }> {
  const work = folder()
  const hosts = await addresses(work, 2 * shards)
  const start = async (host: string): Promise<ReturnType<typeof bare>> => {
    const running = bare(join(work, host), process.env['SLUICE_REDIS_SERVER'] ?? 'redis-server', ['redis.conf'])
    await pong(host, password)
    return running
  }
  for (const host of hosts) {
    mkdirSync(join(work, host, 'data'), { recursive: true })
    writeFileSync(join(work, host, 'redis.conf'), [
      `bind ${host}`, `port ${port}`, 'dir data', 'save ""', 'appendonly yes', 'appendfsync everysec', `requirepass ${password}`, `masterauth ${password}`, 'cluster-enabled yes',
      'cluster-node-timeout 5000', `cluster-announce-ip ${host}`, `bind-source-addr ${host}`, 'repl-diskless-sync yes', 'repl-diskless-sync-delay 0', '',
    ].join('\n'))
  }
  const processes = new Map(await Promise.all(hosts.map(async (host) => [host, await start(host)] as const)))
  const tell = async (host: string, ...command: [string, ...(string | number)[]]): Promise<unknown> => {
    const redis = new Redis({ host, port, password, protocol: 2, retryStrategy: () => null, maxRetriesPerRequest: 0 })
    redis.on('error', () => {})
    try { return await redis.call(...command) } finally { redis.disconnect() }
  }
  const info = async (host: string): Promise<string> => String(await tell(host, 'INFO', 'replication').catch(() => ''))
  const whole = (): Promise<unknown> => until('the ring to be whole', async () => (await Promise.all(hosts.map((host) => tell(host, 'CLUSTER', 'INFO').catch(() => '')))).every((text) => /cluster_state:ok/.test(String(text)) && /cluster_known_nodes:6/.test(String(text))), 60_000, 10)
  const masters = hosts.slice(0, shards)
  for (const [n, host] of masters.entries()) {
    await tell(host, 'CLUSTER', 'ADDSLOTSRANGE', Math.ceil(n * slots / shards), Math.ceil((n + 1) * slots / shards) - 1)
    await tell(host, 'CLUSTER', 'SET-CONFIG-EPOCH', n + 1)
  }
  for (const host of hosts.slice(1)) await tell(host, 'CLUSTER', 'MEET', hosts[0]!, port)
  await whole()
  for (const [n, host] of hosts.slice(shards).entries()) await tell(host, 'CLUSTER', 'REPLICATE', String(await tell(masters[n]!, 'CLUSTER', 'MYID')))
  const linked = (host: string): Promise<unknown> => until('a replica to be linked', async () => /role:slave[^]*master_link_status:up/.test(await info(host)), 60_000, 10)
  await Promise.all(hosts.slice(shards).map(linked))
  const again = async (host: string): Promise<void> => {
    await askRedis(host, password, ['SHUTDOWN NOSAVE'], () => false)
    await processes.get(host)!.ended
    processes.set(host, await start(host))
    await linked(host)
    await whole()
  }
  return {
    host: hosts[0]!,
    async roll() {
      const roles = await Promise.all(hosts.map(async (host) => /role:master/.test(await info(host))))
      const owners = hosts.filter((_, n) => roles[n])
      for (const host of hosts.filter((_, n) => !roles[n])) await again(host)
      for (const owner of owners) {
        const next = hosts[(hosts.indexOf(owner) + shards) % hosts.length]!
        // Votes may be missing, and after 5 s Redis gives up; a careful person asks again.
        await until('the role to have moved', async () => {
          await tell(next, 'CLUSTER', 'FAILOVER').catch(() => {})
          return until('votes', async () => /role:master/.test(await info(next)), 6000, 5)
        }, 30_000, 5)
        await again(owner)
      }
    },
    async end() { for (const { child, ended } of processes.values()) { child.kill('SIGKILL'); await ended } },
  }
}
