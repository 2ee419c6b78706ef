/** What clients in the cluster take their settings from. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Redis } from 'ioredis'
import { makeServer, password, until, type Server } from '../support/server.ts'
import { inCluster, type TestCluster } from './cluster.ts'

describe('what an instance gives to its cluster', { concurrency: false }, () => {
  let cluster: TestCluster
  let server: Server
  before(async () => { cluster = await inCluster(); server = await makeServer(cluster.env); await server.start() })
  after(async () => { await server.destroy(); await cluster.destroy() })

  const found = async (name: string): Promise<any> => JSON.parse(await cluster.kubectl('get', 'secret', name, '--ignore-not-found', '-o', 'json') || 'null')
  const plain = ({ data }: { data: Record<string, string> }): Record<string, string> => Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]))

  test('a Secret has what a client needs; it follows the password, comes back when somebody takes it, and goes with the instance', async () => {
    const id = await server.createRedis('bound')
    const { ip, port } = await server.running('dcs', id)
    const name = `redis-${id}-connection`
    const secret = await found(name)
    assert.deepEqual(plain(secret), { type: 'redis', provider: 'sluice', host: ip, port: String(port), password, uri: `redis://:${encodeURIComponent(password)}@${ip}:${port}` })
    assert.equal(secret.metadata.ownerReferences[0].name, `redis-${id}`)
    const redis = new Redis(plain(secret)['uri']!, { maxRetriesPerRequest: 1 })
    assert.equal(await redis.ping(), 'PONG')
    redis.disconnect()

    const next = 'Next/Pass:word@1'
    assert.equal((await server.dcs('POST', `/instances/${id}/password/reset`, { new_password: next })).status, 200)
    const changed = plain(await until('the new password', async () => { const now = await found(name); return plain(now)['password'] === next && now }))
    const again = new Redis(changed['uri']!, { maxRetriesPerRequest: 1 })
    assert.equal(await again.ping(), 'PONG')
    again.disconnect()

    await cluster.kubectl('delete', 'secret', name)
    assert.deepEqual(plain(await until('the Secret to come back', () => found(name), 30_000, 100)), changed)
    await until('it to settle', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0)
    await server.dcs('DELETE', `/instances/${id}`)
    await until('it to be gone', async () => await found(name) === null, 60_000, 100)
  })
})
