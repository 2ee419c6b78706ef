/** Changing the settings of instances, and looking what their servers have. */
import assert from 'node:assert/strict'
import { client, until, type Answer, type Server } from './server.ts'
import type { Redis } from 'ioredis'

/** One shard of two nodes, and three shards: the smallest there are. */
export const ha = { spec_code: 'redis.ha.xu1.tiny.r2.128' }
export const cluster = { spec_code: 'redis.cluster.xu1.large.r1.4', capacity: 4 }
/** As a request names a setting. */
export const item = (param_name: string, param_value: string) => ({ param_name, param_value })

/** `server`: asked anew each time, for a test file has none before it begins. */
export function settingsOf(server: () => Server) {
  const put = (id: string, ...redis_config: object[]): Promise<Answer> => server().dcs('PUT', `/instances/${id}/configs`, { redis_config })
  const get = async (id: string): Promise<any> => (await server().dcs('GET', `/instances/${id}/configs`)).json
  const value = async (id: string, name: string): Promise<string> => (await get(id)).redis_config.find((one: any) => one.param_name === name).param_value
  const ended = (id: string): Promise<any> => until('the change to end', async () => { const now = await get(id); return now.config_status !== 'UPDATING' && now })
  const set = async (id: string, ...items: object[]): Promise<void> => {
    const answer = await put(id, ...items)
    assert.equal(answer.status, 204, answer.text)
    // gophertelekomcloud's acceptance tests go on with the next request, without another try.
    assert.equal((await get(id)).config_status, 'SUCCESS')
  }
  /** A client of each node. */
  const nodesOf = async (id: string): Promise<Redis[]> => (await server().dcs('GET', `/instances/${id}/logical-nodes`)).json.nodes.map((node: any) => client({ ip: node.node_ip, port: Number(node.node_port) }))
  const config = async (redis: Redis, name: string): Promise<string> => (await redis.config('GET', name) as string[])[1]!
  const everywhere = async (id: string, name: string): Promise<string[]> => {
    const all = await nodesOf(id)
    try { return await Promise.all(all.map((redis) => config(redis, name))) } finally { for (const redis of all) redis.disconnect() }
  }
  const restarted = async (id: string): Promise<any> => {
    await server().dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })
    return server().running('dcs', id)
  }
  return { put, get, value, ended, set, config, everywhere, restarted }
}

/** What becomes of operations on an instance; `server` as above. */
export function operationsOf(server: () => Server) {
  const all = async (id: string): Promise<any[]> => (await server().call('console', 'GET', `/v1/operations?instance=${id}`)).json.operations
  const last = async (id: string): Promise<any> => (await all(id))[0]
  /** A recovery may have begun by then. */
  const failed = (id: string, action: string): Promise<unknown> => until('the deadline', async () => (await all(id)).find((one) => one.action === action)?.outcome === 'failed', 20_000, 20)
  const recovered = (id: string): Promise<unknown> => until('the recovery', async () => { const now = await last(id); return now.action === 'recover' && now.outcome === 'done' }, 20_000, 50)
  return { last, failed, recovered }
}
