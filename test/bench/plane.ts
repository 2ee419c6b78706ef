/** What the control plane itself costs: its start, its memory, and what it does while nobody asks for anything. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { randomUUID } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freeBase, makeServer, nodePid, type Server } from '../support/server.ts'
import { atEnd, cpuMs, folder, residentMb, rounds } from './ground.ts'
import { median, timings, type Line } from './report.ts'
import { createRedis } from './redis.ts'

const many = 200
/** Long enough for whatever runs every half second, and for a few of what runs every half minute. */
const watchMs = 10_000

export async function plane(): Promise<Line[]> {
  const work = folder()
  const [ours, theirs]: [number[], number[]] = [[], []]
  const sluice = await makeServer()
  atEnd(() => sluice.destroy())
  await rounds({ most: 11, least: 5, ms: 15_000 },
    async () => { ours.push(await startSluice(sluice)); await sluice.end('SIGTERM') },
    async () => { const bare = await startBare(work); theirs.push(bare.ms); await end(bare.child) })
  await startSluice(sluice)
  const bare = await startBare(work)
  await sleep(2000)
  const idle = { memory: [residentMb(sluice.pid()), residentMb(bare.child.pid!)] as const, cpu: await watch([[sluice.pid()], [bare.child.pid!]]) }
  await end(bare.child)
  const ids = await createRedis(sluice, many)
  await sleep(3000)
  const nodes = ids.map((id) => nodePid(sluice.home, id))
  const cpu = await watch([[sluice.pid()], nodes])
  const line = { topic: 'plane', samples: 1 } as const
  return [
    ...timings('plane', 'from spawn to /healthz 200', ours, theirs, { note: 'bare: Node, Fastify and better-sqlite3 with one route' }),
    { ...line, what: 'resident memory, idle', unit: 'MB', sluice: idle.memory[0], bare: idle.memory[1], note: 'bare: the same process as above' },
    { ...line, what: `resident memory, ${many} instances`, unit: 'MB', sluice: residentMb(sluice.pid()), bare: median(nodes.map(residentMb)) * many, note: `bare: the ${many} Redis themselves` },
    { ...line, what: `processor, idle, ${watchMs / 1000} s`, unit: '% of a core', sluice: idle.cpu[0]!, bare: idle.cpu[1]! },
    { ...line, what: `processor, ${many} instances, ${watchMs / 1000} s`, unit: '% of a core', sluice: cpu[0]!, bare: cpu[1]!, note: `bare: the ${many} Redis themselves` },
  ]
}

async function startSluice(server: Server): Promise<number> {
  const started = performance.now()
  // `start` goes on to fetch a token after the server is ready; that is not counted.
  const ready = healthy(server.base + 5).then(() => performance.now())
  await server.start()
  return await ready - started
}

async function startBare(work: string): Promise<{ ms: number; child: ChildProcess }> {
  const base = await freeBase()
  const started = performance.now()
  const child = fork(join(import.meta.dirname, 'accept-bare.ts'), [mkdtempSync(join(work, 'home-')), String(base), randomUUID().replaceAll('-', ''), '1'], { cwd: work, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  await healthy(base)
  return { ms: performance.now() - started, child }
}

async function end(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  child.disconnect()
  await gone
}

async function healthy(port: number): Promise<void> {
  for (;;) {
    try { if ((await fetch(`http://127.0.0.1:${port}/healthz`)).status === 200) return } catch { await sleep(4) }
  }
}

/** Processor time of each group of processes while nothing is asked of them, in percent of one core. */
async function watch(groups: readonly (readonly number[])[]): Promise<number[]> {
  const used = (): number[] => groups.map((pids) => pids.reduce((sum, pid) => sum + cpuMs(pid), 0))
  const [before, at] = [used(), performance.now()]
  await sleep(watchMs)
  const ms = performance.now() - at
  return used().map((after, n) => (after - before[n]!) / ms * 100)
}
