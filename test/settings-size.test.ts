/** How much memory a real server has and which port it serves on, changed while it serves, through the documented requests. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { client, makeServer, nodePid, password, until, type Server } from './support/server.ts'
import { cluster, ha, item, settingsOf } from './support/settings.ts'
import { Cluster, type Redis } from 'ioredis'

describe('size and port', { concurrency: false }, () => {
  let server: Server
  before(async () => { server = await makeServer(); await server.start() })
  after(async () => { await server.destroy() })
  const { put, set, everywhere, restarted } = settingsOf(() => server)

  test('capacity changes while it serves, up and down, as far as what is stored fits', async () => {
    const id = await server.createRedis('sized', ha)
    const made = await server.running('dcs', id)
    const redis = client(made)
    const pids = [0, 1].map((n) => nodePid(server.home, id, n))
    const to = (new_capacity: number, spec_code: string, more: object = {}, query = '') => server.dcs('POST', `/instances/${id}/resize${query}`, { new_capacity, spec_code, ...more })
    const mb = 2 ** 20
    assert.equal((await to(0.25, 'redis.ha.xu1.tiny.r2.256', {}, '?dry_run=true')).json.plan.gap.to_ms, 0)
    assert.equal((await to(0.25, 'redis.ha.xu1.tiny.r2.256')).status, 204)
    const grown = await server.running('dcs', id)
    assert.deepEqual([grown.spec_code, grown.capacity_minor, grown.max_memory], ['redis.ha.xu1.tiny.r2.256', '.25', 256])
    assert.deepEqual(await everywhere(id, 'maxmemory'), Array(2).fill(String(256 * mb)))
    const value = 'x'.repeat(mb)
    for (let n = 0; n < 100; n += 1) await redis.set(`big:${n}`, value)
    const refused = await to(0.125, 'redis.ha.xu1.tiny.r2.128')
    assert.equal(refused.json.error_code, 'DCS.4102')
    assert.match(refused.json.error_msg, /bytes are used/)
    const job = async (body: object): Promise<any> => {
      const { json } = await server.dcs('POST', `/instances/${id}/resize/check-job`, body)
      return until('the check', async () => { const { json: now } = await server.dcs('GET', `/jobs/${json.job_id}`); return now.end_time && now })
    }
    assert.deepEqual([(await job({ new_capacity: 0.125, spec_code: 'redis.ha.xu1.tiny.r2.128' })).status, (await job({ new_capacity: 1, spec_code: 'redis.ha.xu1.large.r2.1' })).status], ['FAIL', 'SUCCESS'])
    await set(id, item('reserved-memory', '60'))
    assert.equal((await put(id, item('reserved-memory', '128'))).json.error_code, 'DCS.4105')
    await redis.flushall()
    await set(id, item('reserved-memory', '0'))
    assert.equal((await to(0.125, 'redis.ha.xu1.tiny.r2.128')).status, 204)
    await server.running('dcs', id)
    assert.deepEqual(await everywhere(id, 'maxmemory'), Array(2).fill(String(128 * mb)))
    // v1.0 only grows, and a client may leave the flavor to us.
    const extend = (body: object) => server.call('dcs', 'POST', `/v1.0/${server.project}/instances/${id}/extend`, body)
    assert.equal((await extend({ new_capacity: 0.125 })).json.error.code, '111400103')
    assert.equal((await extend({ new_capacity: 1 })).status, 204)
    assert.equal((await server.running('dcs', id)).spec_code, 'redis.ha.xu1.large.r2.1')
    assert.deepEqual((await server.dcs('GET', `/instances/${id}/operations?operation=extend`)).json, { instance_id: id, operations: [{ operation: 'extend', is_support: true }] })
    assert.equal((await server.dcs('POST', `/orders/instances/${id}/resize`, {})).json.error_code, 'DCS.4102')
    assert.equal((await to(2, 'redis.ha.xu1.large.r3.2')).json.error_code, 'DCS.4102')
    assert.deepEqual([0, 1].map((n) => nodePid(server.home, id, n)), pids)
    await restarted(id)
    assert.deepEqual(await everywhere(id, 'maxmemory'), Array(2).fill(String(1024 * mb)))
    redis.disconnect()
    const shards = await server.createRedis('sized-shards', cluster)
    await server.running('dcs', shards)
    assert.equal((await server.dcs('POST', `/instances/${shards}/resize`, { new_capacity: 8, spec_code: 'redis.cluster.xu1.large.r1.8' })).status, 204)
    await server.running('dcs', shards)
    assert.deepEqual(await everywhere(shards, 'maxmemory'), Array(3).fill(String(Math.floor(8 * 1024 * mb / 3))))
  })

  for (const mode of [{ name: 'own addresses', env: {} }, { name: 'one host', env: { SLUICE_NODE_HOST: '127.0.0.1', SLUICE_NODE_PORTS: '24100-24400' } }]) {
    test(`the service port moves with clients, on ${mode.name}; words about the instance change beside it`, async () => {
      // The server of the others has own addresses.
      const other = mode.name === 'one host' ? await makeServer(mode.env) : server
      try {
        if (other !== server) await other.start()
        const update = (id: string, body: object) => other.dcs('PUT', `/instances/${id}`, body)
        const quiet = () => until('everything settled', async () => (await other.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0)
        const kinds: [string, object][] = [['port-single', {}], ['port-pair', { spec_code: 'redis.ha.xu1.tiny.r3.128' }], ['port-shards', { spec_code: 'redis.cluster.xu1.large.r2.4', capacity: 4 }]]
        const port = 24333
        for (const [name, flavor] of kinds) {
          const id = await other.createRedis(name, flavor)
          const made = await other.running('dcs', id)
          const at = () => ({ ip: made.ip.split(',')[0], port })
          const old = name === 'port-shards' ? null : client(made)
          await old?.set('kept', 'yes')
          const pids = Array.from({ length: name === 'port-single' ? 1 : name === 'port-pair' ? 3 : 6 }, (_, n) => nodePid(other.home, id, n))
          const moved = await update(id, { port, name: `${name}-moved`, description: 'elsewhere', rename_commands: {}, security_group_id: '' })
          if (mode.name === 'one host' && name !== 'port-single') {
            // The first one has it, and a cluster's nodes could not share it.
            assert.equal(moved.json.error_code, 'DCS.4062', moved.text)
            assert.equal((await other.running('dcs', id)).name, name)
            if (name === 'port-shards') continue
            assert.equal((await update(id, { port: 1 })).json.error_code, 'DCS.4062')
            assert.equal((await update(id, { port: 24334 })).status, 204)
            await quiet()
            const now = await other.running('dcs', id)
            assert.deepEqual([now.port, now.readonly_address], [24334, made.readonly_address])
            const redis = client(now)
            assert.equal(await redis.get('kept'), 'yes')
            assert.equal(await redis.wait(2, 5000), 2)
            process.kill(pids[0]!, 'SIGKILL')
            await until('the failover', () => redis.set('after', '1'))
            redis.disconnect()
            await quiet()
            assert.equal((await other.running('dcs', id)).port, 24334)
            old?.disconnect()
            continue
          }
          assert.equal(moved.status, 204, moved.text)
          await quiet()
          const now = await other.running('dcs', id)
          assert.deepEqual([now.port, now.ip, now.name, now.description], [port, made.ip, `${name}-moved`, 'elsewhere'])
          assert.deepEqual(pids.map((_, n) => nodePid(other.home, id, n)), pids)
          const redis = name === 'port-shards' ? new Cluster([{ host: at().ip, port }], { redisOptions: { password } }) : client(now)
          assert.equal(await redis.set('more', '1'), 'OK')
          if (name !== 'port-shards') assert.equal(await redis.get('kept'), 'yes')
          if (name === 'port-pair') {
            assert.equal(now.readonly_address.split(':')[1], String(port))
            assert.equal(await (redis as Redis).wait(2, 5000), 2)
            process.kill(pids[0]!, 'SIGKILL')
            await until('the failover', async () => await redis.set('after', '1'))
          }
          if (name === 'port-shards') {
            const direct = client({ ip: at().ip, port })
            const slots = await direct.cluster('SLOTS') as any[]
            assert.ok(slots.every(([, , ...owners]) => owners.length === 2 && owners.every((owner: any[]) => owner[1] === port)))
            direct.disconnect()
          }
          await quiet()
          assert.equal((await other.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })).status, 200)
          assert.equal((await other.running('dcs', id)).port, port)
          assert.equal(await redis.get('more'), '1')
          redis.disconnect()
          old?.disconnect()
        }
      } finally { if (other !== server) await other.destroy() }
    })
  }
})
