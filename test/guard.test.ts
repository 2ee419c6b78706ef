/** What happens to replicated instances while no control plane runs. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { client, isAlive, makeServer, sleep, until, type Server } from './support/server.ts'

for (const [mode, env] of [['own addresses', {}], ['one host', { SLUICE_NODE_HOST: '127.0.0.1', SLUICE_NODE_PORTS: '25000-25200' }], ['PostgreSQL', { SLUICE_TEST_DATABASE: 'postgres' }]] as const) {
  test(`a master that dies while no control plane runs is replaced, and the next control plane finds it so; ${mode}`, async () => {
    const server = await makeServer({ ...env, SLUICE_GUARD: 'on' })
    try {
      await server.start()
      const id = await server.createRedis('pair', { spec_code: 'redis.ha.xu1.tiny.r2.128' })
      const instance = await server.running('dcs', id)
      const before = client(instance)
      await before.set('kept', 'yes')
      const master = await pidOf(before)
      before.disconnect()
      // The copy on the replica is a matter of a millisecond, but nothing waits for it.
      await sleep(200)
      await server.end('SIGKILL')
      await until('the guard', () => existsSync(join(server.home, 'guard')))
      const guard = Number(readFileSync(join(server.home, 'guard'), 'utf8'))
      process.kill(master, 'SIGKILL')
      const killedAt = performance.now()
      const after = client(instance)
      await until('a write', () => after.set('after', 'yes').then(() => true, () => false), 20_000, 5)
      console.log(`writes again ${Math.round(performance.now() - killedAt)} ms after the kill`)
      assert.equal(await after.get('kept'), 'yes')
      assert.notEqual(await pidOf(after), master)
      await until('the dead one to be a replica', async () => /connected_slaves:1/.test(await after.info('replication')), 20_000)
      await server.start()
      await until('the guard to go: somebody is in charge', () => !isAlive(guard), 5000)
      assert.equal((await server.running('dcs', id)).ip, instance.ip)
      assert.equal(await after.get('after'), 'yes')
      after.disconnect()
    } finally { await server.destroy() }
  })
}

test('the guard leaves when its nodes are stopped, or were never worth guarding', async () => {
  const server: Server = await makeServer({ SLUICE_GUARD: 'on' })
  try {
    await server.start()
    await server.running('dcs', await server.createRedis('alone'))
    const pair = await server.createRedis('pair', { spec_code: 'redis.ha.xu1.tiny.r2.128' })
    await server.running('dcs', pair)
    await server.dcs('DELETE', `/instances/${pair}`)
    await until('404', async () => (await server.dcs('GET', `/instances/${pair}`)).status === 404)
    await server.end('SIGTERM')
    await sleep(300)
    assert.equal(existsSync(join(server.home, 'guard')), false)
  } finally { await server.destroy() }
})

async function pidOf(redis: { info(section: string): Promise<string> }): Promise<number> { return Number(/process_id:(\d+)/.exec(await redis.info('server'))![1]) }
