/** Restarts in a cluster, beside `kubectl delete pod --now`; only where KUBECONFIG names one. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { inCluster, type TestCluster } from '../kubernetes/cluster.ts'
import { makeServer, password, until, type Server } from '../support/server.ts'
import { changeStatus, createRedis } from './redis.ts'
import { atEnd, rounds, timed } from './ground.ts'
import { median, quantile, timings, type Line } from './report.ts'

const many = 10
/** A start takes seconds, not milliseconds. */
const patienceMs = 120_000

export async function kubernetes(): Promise<Line[]> {
  if (!process.env['KUBECONFIG']) {
    console.error('kubernetes: left out, for KUBECONFIG names no cluster')
    return []
  }
  const cluster = await inCluster()
  atEnd(() => cluster.destroy())
  const [server, processes] = [await makeServer(cluster.env), await makeServer()]
  for (const one of [server, processes]) {
    atEnd(() => one.destroy())
    await one.start()
  }
  const lines = await restarts(server, cluster)
  const [ours, theirs] = [await gaps(server), await gaps(processes)]
  const line = { topic: 'kubernetes', unit: 'ms', samples: ours.ms.length, note: `acknowledged writes lost: ${ours.lost}; bare: the same on plain processes, ${theirs.lost} lost` } as const
  return [
    ...lines,
    { ...line, what: 'write gap, soft restart of a master and a replica, median', sluice: median(ours.ms), bare: median(theirs.ms) },
    { ...line, what: 'the same, longest', sluice: quantile(ours.ms, 1), bare: quantile(theirs.ms, 1) },
  ]
}

async function restarts(server: Server, cluster: TestCluster): Promise<Line[]> {
  const ids = await createRedis(server, many)
  const at = await Promise.all(ids.map(async (id) => [id, (await server.running('dcs', id)).ip as string] as const))
  const bare = async (those: typeof at): Promise<void> => {
    const before = await Promise.all(those.map(([, ip]) => runId(ip)))
    await cluster.kubectl('delete', 'pod', ...those.map(([id]) => `redis-${id}-0-0`), '--now')
    await Promise.all(those.map(async ([, ip], n) => until('another server', async () => await runId(ip) !== before[n], patienceMs, 5)))
  }
  const lines: Line[] = []
  for (const [what, those, limits] of [
    ['one soft restart', at.slice(0, 1), { most: 20, least: 5, ms: 60_000 }],
    [`${many} soft restarts at once`, at, { most: 5, least: 2, ms: 60_000 }],
  ] as const) {
    const [ours, theirs]: [number[], number[]] = [[], []]
    await rounds(limits,
      async () => { ours.push(await timed(() => changeStatus(server, 'soft_restart', those.map(([id]) => id), patienceMs))); await quiet(server) },
      async () => { theirs.push(await timed(() => bare(those))); await quiet(server) })
    lines.push(...timings('kubernetes', what, ours, theirs, { ...those.length === 1 ? { target: { atMost: 1.15 } } : {}, note: 'bare: kubectl delete pod --now, PONG of the next server' }))
  }
  return lines
}

/** A person's deletion opens a recovery, which ends when the new pod answers; what comes next must not meet it. */
async function quiet(server: Server): Promise<void> {
  await until('quiet', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0, patienceMs, 20)
}

async function runId(ip: string): Promise<string> {
  const redis = new Redis({ host: ip, port: 6379, password, protocol: 2, retryStrategy: () => null, maxRetriesPerRequest: 0, connectTimeout: 300 })
  redis.on('error', () => {})
  try { return /run_id:(\w+)/.exec(await redis.info('server'))![1]! } finally { redis.disconnect() }
}

/** For how long one client that writes all the time is not told that anything is written. */
async function gaps(server: Server): Promise<{ readonly ms: readonly number[]; readonly lost: string }> {
  const instance = await server.running('dcs', await server.createRedis('bench-ha', { spec_code: 'redis.ha.xu1.tiny.r2.128' }), patienceMs)
  const redis = new Redis({ host: instance.ip, port: instance.port, password, protocol: 2, retryStrategy: () => 2, maxRetriesPerRequest: 0, enableOfflineQueue: false, connectTimeout: 1000 })
  redis.on('error', () => {})
  let [over, gap, last, written] = [false, 0, performance.now(), 0]
  const writing = (async () => {
    for (let n = 0; !over; n += 1) {
      try {
        await redis.set(`key:${written}`, written)
        written += 1
        gap = Math.max(gap, performance.now() - last)
        last = performance.now()
      } catch { await sleep(1) }
    }
  })()
  const measured: number[] = []
  for (let round = 0; round < 5; round += 1) {
    await sleep(500)
    gap = 0
    await changeStatus(server, 'soft_restart', [instance.instance_id], patienceMs)
    measured.push(gap)
  }
  over = true
  await writing
  const found = await redis.mget(Array.from({ length: written }, (_, n) => `key:${n}`))
  redis.disconnect()
  return { ms: measured, lost: `${found.filter((value, n) => value !== String(n)).length} of ${written}` }
}
