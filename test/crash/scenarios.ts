/** What the crash sweep does to an instance, and what must be true afterwards, whenever the control plane was killed. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { client, isAlive, nodePid, redisBody, sleep, starts, until, type Answer, type Server } from '../support/server.ts'

/** One action of the table on one engine. `Ground` is what was true before. */
export interface Scenario {
  readonly name: string
  readonly service: 'dcs' | 'dms'
  /** For what takes longer than the sweep allows for. */
  readonly settlesWithinMs?: number
  /** Makes the ground: an instance with data, unless the action is a creation. */
  prepare(server: Server): Promise<Ground>
  /** Sends the request. It may never answer. */
  act(server: Server, ground: Ground): Promise<Answer>
  /** Between the kill and the next start of the control plane. */
  between?(server: Server, ground: Ground): Promise<void>
  /** After everything is settled. `accepted`: the 200 arrived before the kill. `struck`: what was done to a node meanwhile. May answer a remark. */
  verify(server: Server, ground: Ground, accepted: boolean, struck: string | null): Promise<string | void>
}
export interface Ground {
  id: string; starts: number; pid: number; instance?: any; note?: string
  /** The instance is used again by the next point, and not deleted after this one. */
  keep?: boolean
  /** Ends what runs beside, whatever happened. */
  end?(): Promise<void>
}

const redisGround = async (server: Server): Promise<Ground> => {
  const id = await server.createRedis('swept')
  const instance = await server.running('dcs', id)
  const redis = client(instance)
  await redis.set('before', 'yes')
  await redis.select(3)
  await redis.set('before', 'yes')
  redis.disconnect()
  return { id, instance, starts: starts(server.home, id), pid: nodePid(server.home, id) }
}

/** The action happened once when it was accepted; otherwise once or not at all; never twice. */
export function once(before: number, now: number, accepted: boolean): void {
  if (accepted) assert.equal(now, before + 1, 'accepted, so it must have happened exactly once')
  else assert.ok(now === before || now === before + 1, `happened ${now - before} times`)
}

const redisRestart = (action: 'restart' | 'soft_restart', path: 'v2' | 'v1.0' = 'v2'): Scenario => ({
  name: `redis ${action}${path === 'v2' ? '' : ' v1.0'}`, service: 'dcs', prepare: redisGround,
  act: (server, { id }) => server.call('dcs', 'PUT', `/${path}/${server.project}/instances/status`, { action, instances: [id] }),
  async verify(server, ground, accepted) {
    const instance = await server.running('dcs', ground.id)
    once(ground.starts, starts(server.home, ground.id), accepted)
    assert.equal(`${instance.ip}:${instance.port}`, `${ground.instance.ip}:${ground.instance.port}`)
    const redis = client(instance)
    assert.equal(await redis.get('before'), 'yes')
    redis.disconnect()
  },
})

const redisFlush = (path: 'v2' | 'v1.0'): Scenario => ({
  name: `redis flush${path === 'v2' ? '' : ' v1.0'}`, service: 'dcs', prepare: redisGround,
  act: (server, { id }) => server.call('dcs', 'PUT', `/${path}/${server.project}/instances/status`, { action: 'flush', instances: [id] }),
  async between(_server, ground) {
    // A client that goes on writing: when the flush happened already, this must survive; a second flush would take it.
    const redis = client(ground.instance)
    ground.note = await redis.get('before') === null ? 'flushed before the kill' : 'not flushed yet'
    await redis.set('after', 'yes')
    redis.disconnect()
  },
  async verify(server, ground, accepted) {
    const instance = await server.running('dcs', ground.id)
    assert.equal(nodePid(server.home, ground.id), ground.pid, 'a flush restarts nothing')
    const redis = client(instance)
    const [before, after] = [await redis.get('before'), await redis.get('after')]
    const evidence = await redis.keys('sluice*')
    await redis.select(3)
    const elsewhere = await redis.get('before')
    redis.disconnect()
    if (accepted) assert.equal(before, null, 'accepted, so the data must be gone')
    assert.equal(before, elsewhere, 'every database or none')
    if (ground.note === 'flushed before the kill') assert.equal(after, 'yes', 'flushed twice')
    assert.deepEqual(evidence, [])
  },
})

export const redisScenarios: readonly Scenario[] = [
  {
    name: 'redis create', service: 'dcs',
    async prepare() { return { id: '', starts: 0, pid: 0 } },
    act: (server) => server.dcs('POST', '/instances', redisBody('created')),
    async verify(server, ground, accepted) {
      const { json } = await server.dcs('GET', '/instances?name=created&include_failure=true')
      if (accepted) assert.equal(json.instance_num, 1)
      else assert.ok(json.instance_num <= 1)
      for (const { instance_id: id } of json.instances) {
        const instance = await server.running('dcs', id)
        assert.equal(starts(server.home, id), 1, 'started exactly once')
        const redis = client(instance)
        assert.equal(await redis.ping(), 'PONG')
        redis.disconnect()
        ground.id = id
      }
    },
  },
  redisRestart('restart'),
  redisRestart('soft_restart'),
  redisRestart('restart', 'v1.0'),
  redisFlush('v2'),
  redisFlush('v1.0'),
  {
    name: 'redis configure', service: 'dcs', prepare: redisGround,
    act: (server, { id }) => server.dcs('PUT', `/instances/${id}/configs`, { redis_config: [{ param_name: 'timeout', param_value: '99' }, { param_name: 'master-read-only', param_value: 'yes' }] }),
    async verify(server, ground, accepted) {
      const instance = await server.running('dcs', ground.id)
      assert.equal(nodePid(server.home, ground.id), ground.pid, 'a change of settings restarts nothing')
      const { json } = await server.dcs('GET', `/instances/${ground.id}/configs`)
      const [recorded, status] = [json.redis_config.find((one: any) => one.param_name === 'timeout').param_value, json.config_status]
      const redis = client(instance)
      const [, inForce] = await redis.config('GET', 'timeout') as string[]
      const refused = await redis.set('x', '1').then(() => false, () => true)
      redis.disconnect()
      if (accepted) assert.equal(recorded, '99')
      assert.deepEqual([status, inForce, refused], ['SUCCESS', recorded, recorded === '99'], 'what is recorded and what is in force differ')
    },
  },
  {
    name: 'redis recovery', service: 'dcs', prepare: redisGround,
    async act(_server, { pid }) {
      // Nobody asks for it: the server dies by itself, and the observer is quick to see that.
      process.kill(pid, 'SIGKILL')
      await sleep(700)
      return { status: 200, text: '', json: null, headers: new Headers() }
    },
    async verify(server, ground) {
      await until('another process', () => nodePid(server.home, ground.id) !== ground.pid)
      await redisRestart('restart').verify(server, ground, true, null)
    },
  },
  {
    name: 'redis delete', service: 'dcs', prepare: redisGround,
    act: (server, { id }) => server.dcs('DELETE', `/instances/${id}`),
    async verify(server, ground, accepted) {
      if (!accepted && (await server.dcs('GET', `/instances/${ground.id}`)).status === 200) {
        await server.running('dcs', ground.id)
        assert.equal(nodePid(server.home, ground.id), ground.pid)
        return
      }
      assert.equal((await server.dcs('GET', `/instances/${ground.id}`)).status, 404)
      await until('the data to be gone', () => !existsSync(`${server.home}/nodes/${ground.id}-0`), 10_000)
      assert.ok(!isAlive(ground.pid), 'the process is gone')
    },
  },
]
