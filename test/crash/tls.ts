/** A pair that turns to TLS, or back, with a kill in the middle: afterwards all of it is as it is recorded. */
import assert from 'node:assert/strict'
import { Redis } from 'ioredis'
import { listeners, nodePid, password, until, type Server } from '../support/server.ts'
import type { Ground, Scenario } from './scenarios.ts'

/** The instance of each server, which goes from point to point and turns each time. */
const pairs = new WeakMap<Server, string>()
interface At { readonly address: string; readonly port: number }

async function get({ address, port }: At, key: string, tls: boolean): Promise<string | null | undefined> {
  const redis = new Redis({ host: address, port, password, ...tls ? { tls: { rejectUnauthorized: false } } : {}, protocol: 2, lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0, connectTimeout: 500 })
  redis.on('error', () => {})
  try { await redis.connect(); return key === 'replication' ? await redis.info(key) : await redis.get(key) } catch { return undefined } finally { redis.disconnect() }
}

export const redisTls: Scenario = {
  name: 'redis ha ssl', service: 'dcs',
  async prepare(server): Promise<Ground> {
    const id = pairs.get(server) ?? await server.createRedis('turning', { spec_code: 'redis.ha.xu1.tiny.r2.128' })
    const instance = await server.running('dcs', id)
    if (!pairs.has(server)) {
      const redis = new Redis({ host: instance.ip, port: instance.port, password, protocol: 2 })
      await redis.set('before', 'yes')
      redis.disconnect()
    }
    pairs.set(server, id)
    return { id, instance, keep: true, starts: 0, pid: 0, note: JSON.stringify({ enabled: !instance.enable_ssl, pids: [0, 1].map((n) => nodePid(server.home, id, n)) }) }
  },
  act: (server, { id, note }) => server.dcs('PUT', `/instances/${id}/ssl`, { enabled: JSON.parse(note!).enabled }),
  async verify(server, { id, note }, accepted) {
    const { enabled, pids } = JSON.parse(note!)
    const now = await server.running('dcs', id)
    if (accepted) assert.equal(now.enable_ssl, enabled)
    assert.deepEqual([0, 1].map((n) => nodePid(server.home, id, n)), pids, 'the switch restarts nothing')
    assert.equal((await server.dcs('GET', `/instances/${id}/ssl`)).json.enabled, now.enable_ssl)
    const places = [{ address: now.ip, port: now.port }, ...pids.flatMap((pid: number) => listeners(pid)).map(({ host, port }: { host: string; port: number }) => ({ address: host, port }))]
    assert.ok(places.length >= 3)
    for (const place of places) assert.deepEqual([await get(place, 'before', now.enable_ssl), (await get(place, 'before', !now.enable_ssl)) ?? 'nobody'], ['yes', 'nobody'], `${place.address}:${place.port}`)
    await until('the replica to be linked', async () => (await Promise.all(places.map((place) => get(place, 'replication', now.enable_ssl)))).some((text) => text?.includes('master_link_status:up')), 5000)
    return now.enable_ssl ? 'on' : 'off'
  },
}
