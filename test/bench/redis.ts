/** A Redis that nobody controls, with the configuration that Sluice gives its own. */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { password, until, type Server } from '../support/server.ts'
import { askRedis, bare, pong } from './ground.ts'

export interface BareRedis {
  readonly address: string
  /** Resolves when it answers PONG. */
  start(): Promise<void>
  /** SIGKILL, or a SHUTDOWN command; resolves when it is gone. */
  end(how: 'kill' | 'shutdown'): Promise<void>
}

/** Copies the configuration of a node of that server, which differs in its address alone. */
export function bareRedis(server: Server, instanceId: string, work: string, name: string, address: string): BareRedis {
  const directory = join(work, name)
  mkdirSync(join(directory, 'data'), { recursive: true })
  copyFileSync(join(server.home, 'nodes', `${instanceId}-0`, 'redis.conf'), join(directory, 'redis.conf'))
  const text = readFileSync(join(directory, 'redis.conf'), 'utf8')
  writeFileSync(join(directory, 'redis.conf'), text.replace(/^bind .*$/m, `bind ${address}`))
  let running: ReturnType<typeof bare>
  return {
    address,
    async start() {
      running = bare(directory, process.env['SLUICE_REDIS_SERVER'] ?? 'redis-server', ['redis.conf'])
      await pong(address, password)
    },
    async end(how) {
      if (how === 'kill') running.child.kill('SIGKILL')
      else await askRedis(address, password, ['SHUTDOWN NOSAVE'], () => false)
      await running.ended
    },
  }
}

/** Asks for an action on every instance and resolves when all of them are RUNNING again, by what the API says. */
export async function changeStatus(server: Server, action: string, ids: readonly string[], ms?: number): Promise<void> {
  const answer = await server.dcs('PUT', '/instances/status', { action, instances: ids })
  if (answer.status !== 200 || answer.text.includes('"failed"')) throw new Error(`${action} was refused: ${answer.status} ${answer.text.slice(0, 300)}`)
  await allRunning(server, ids, ms)
}

/** Creates so many empty Redis, and resolves when they run. */
export async function createRedis(server: Server, count: number, more: object = {}): Promise<string[]> {
  const ids: string[] = []
  for (let left = count; left > 0; left -= 50) {
    const { body } = { body: { instance_num: Math.min(left, 50), ...more } }
    await server.createRedis(`bench-${left}`, body)
  }
  const { json } = await server.dcs('GET', '/instances?limit=1000')
  ids.push(...json.instances.slice(0, count).map((instance: { instance_id: string }) => instance.instance_id))
  await allRunning(server, ids, 120_000)
  return ids
}

async function allRunning(server: Server, ids: readonly string[], ms = 60_000): Promise<void> {
  // One instance is asked for itself, many by the call that counts: a customer would do the same, and both cost us a millisecond at most.
  if (ids.length === 1) { await server.running('dcs', ids[0]!, ms); return }
  await until(`${ids.length} instances to be RUNNING`, async () => {
    const { json } = await server.dcs('GET', '/instances/status?include_failure=true')
    if (json.createfailed_count + json.error_count > 0) throw new Error(`some failed: ${JSON.stringify(json)}`)
    return json.running_count >= ids.length
  }, ms, 20)
}

/** A million small keys, and their file rewritten, so that a start loads the compact form. */
export async function fill(address: string, keys: number, port = 6379): Promise<void> {
  const some = keys / 20
  for (let from = 0; from < keys; from += some) {
    const script = `for i=${from},${from + some - 1} do redis.call('SET','key:'..i,'value:'..i) end return 1`
    const answer = await askRedis(address, password, [`EVAL "${script}" 0`], (text) => /:1\r\n|-\w+ /.test(text), port)
    if (!answer?.includes(':1')) throw new Error(`the keys could not be written: ${answer}`)
  }
  const info = async (): Promise<string> => String(await askRedis(address, password, ['INFO persistence'], (text) => text.includes('aof_base_size'), port))
  await askRedis(address, password, ['BGREWRITEAOF'], (text) => /Background|ERR/.test(text), port)
  while (!/aof_rewrite_in_progress:0[^]*aof_rewrite_scheduled:0/.test(await info())) await sleep(20)
}
