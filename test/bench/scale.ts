/** The same control plane with ten, a hundred and a thousand real Redis, or as many as a cluster of one machine carries: what grows, and how. */
import { setTimeout as sleep } from 'node:timers/promises'
import { inCluster } from '../kubernetes/cluster.ts'
import { makeServer, nodePid, password, until, type Server } from '../support/server.ts'
import { askRedis, atEnd, cpuMs, each, residentMb, timed } from './ground.ts'
import { median, type Line } from './report.ts'
import { changeStatus, createRedis } from './redis.ts'

/** A machine of two cores that is a whole cluster carries some 50 pods: with 100, whose readiness is asked every 5 s by a program, creations end by their deadline. */
const sizes = { processes: [10, 100, 1000], pods: [10, 25, 50] } as const
const batch = 50
const asked = 20
const kills = 5
/** A few of what runs every half minute. */
const watchMs = 40_000
/** A thousand starts, on two cores that do other things as well. */
const withinMs = 300_000

interface Size { readonly count: number; readonly createMs: number; readonly restartMs: number; readonly listMs: number; readonly noticeMs: number; readonly cpu: number; readonly memoryMb: number }

/** Ends one server behind Sluice's back. */
type Kill = (server: Server, id: string) => Promise<void> | void

export async function scale(): Promise<Line[]> {
  return grow('scale', sizes.processes, {}, (server, id) => { process.kill(nodePid(server.home, id), 'SIGKILL') })
}

/** Where KUBECONFIG names a cluster. What the cluster itself does is in the times, and in neither processor nor memory. */
export async function scaleKubernetes(): Promise<Line[]> {
  const cluster = await inCluster()
  atEnd(() => cluster.destroy())
  return grow('scale-kubernetes', sizes.pods, cluster.env, async (server, id) => { await askRedis((await server.running('dcs', id)).ip, password, ['SHUTDOWN NOSAVE'], () => false) })
}

/** Each figure beside the one of the smallest size: what does not grow has the ratio 1. */
async function grow(topic: string, counts: readonly number[], env: NodeJS.ProcessEnv, kill: Kill): Promise<Line[]> {
  const server = await makeServer(env)
  atEnd(() => server.destroy())
  await server.start()
  const found: Size[] = []
  let ids: string[] = []
  for (const count of counts) {
    const more = count - ids.length
    const createMs = await timed(async () => { ids = await grown(server, more, count) }) / more
    await sleep(2000)
    found.push({ count, createMs, ...await measured(server, ids, kill) })
    console.error(`${topic}: ${JSON.stringify(found.at(-1))}`)
  }
  const first = found[0]!
  return found.flatMap((size): Line[] => {
    const line = { topic, samples: 1, unit: 'ms', note: `bare: the same with ${first.count}` } as const
    return [
      { ...line, what: `create, each of ${size.count}`, sluice: size.createMs, bare: first.createMs },
      { ...line, what: `restart of ${Math.min(batch, size.count)}, each, ${size.count} instances`, sluice: size.restartMs, bare: first.restartMs },
      { ...line, what: `list a page of ${Math.min(100, size.count)}, ${size.count} instances, median`, sluice: size.listMs, bare: first.listMs },
      { ...line, what: `a killed server is noticed, ${size.count} instances, median`, sluice: size.noticeMs, bare: first.noticeMs },
      { ...line, what: `processor at rest, ${size.count} instances`, unit: '% of a core', sluice: size.cpu, bare: first.cpu },
      { ...line, what: `resident memory, ${size.count} instances`, unit: 'MB', sluice: size.memoryMb, bare: first.memoryMb },
    ]
  })
}

async function grown(server: Server, more: number, count: number): Promise<string[]> {
  await createRedis(server, more)
  const { json } = await server.dcs('GET', '/instances?limit=1000')
  const ids: string[] = json.instances.map((instance: { instance_id: string }) => instance.instance_id)
  if (ids.length !== count) throw new Error(`${ids.length} instances, not ${count}`)
  await until('all of them to be RUNNING', async () => (await server.dcs('GET', '/instances/status')).json.running_count === count, withinMs, 50)
  return ids
}

async function measured(server: Server, ids: readonly string[], kill: Kill): Promise<Omit<Size, 'count' | 'createMs'>> {
  const lists: number[] = []
  await each(Array.from({ length: asked }), 1, async () => { lists.push(await timed(() => server.dcs('GET', '/instances?limit=100'))) })
  const some = ids.slice(0, batch)
  const running = ids.length
  const restartMs = await timed(async () => {
    await changeStatus(server, 'restart', some, withinMs)
    await until('all to be RUNNING', async () => (await server.dcs('GET', '/instances/status')).json.running_count >= running, withinMs, 10)
  }) / some.length
  const notices: number[] = []
  // Each another one: what dies twice within a minute is started later.
  for (const id of ids.slice(-kills)) {
    const killed = performance.now()
    await kill(server, id)
    await until('the recovery', async () => (await server.call('console', 'GET', `/v1/operations?instance=${id}&limit=1`)).json.operations[0]?.action === 'recover', 30_000, 2)
    notices.push(performance.now() - killed)
    await server.running('dcs', id)
  }
  await sleep(3000)
  const [before, at] = [cpuMs(server.pid()), performance.now()]
  await sleep(watchMs)
  const cpu = (cpuMs(server.pid()) - before) / (performance.now() - at) * 100
  return { restartMs, listMs: median(lists), noticeMs: median(notices), cpu, memoryMb: residentMb(server.pid()) }
}
