/** The sweep's whitelist: another list on a pair that has one. */
import assert from 'node:assert/strict'
import { password, type Server } from '../support/server.ts'
import { letsIn } from '../support/stranger.ts'
import type { Scenario } from './scenarios.ts'

const [before, after, stranger] = ['127.9.0.1', '127.9.0.2', '127.9.0.3']
const put = (server: Server, id: string, ip: string | null) => server.dcs('PUT', `/instance/${id}/whitelist`, { enable_whitelist: ip !== null, whitelist: ip === null ? [] : [{ group_name: 'one', ip_list: [ip] }] })
/** Who is let in, of all three. */
const guests = async (place: any): Promise<boolean[]> => [await letsIn(place, before, password), await letsIn(place, after, password), await letsIn(place, stranger, password)]

export const redisWhitelist: Scenario = {
  name: 'redis whitelist', service: 'dcs',
  async prepare(server) {
    const id = await server.createRedis('swept', { spec_code: 'redis.ha.xu1.tiny.r2.128' })
    const instance = await server.running('dcs', id)
    assert.equal((await put(server, id, before)).status, 204)
    return { id, instance, starts: 0, pid: 0 }
  },
  act: (server, { id }) => put(server, id, after),
  async between(_server, { instance }) {
    const found = await guests(instance)
    assert.ok(found[0] !== found[1] && !found[2], `neither the old list nor the new one is in force: ${found}`)
  },
  async verify(server, { id, instance }, accepted) {
    await server.running('dcs', id)
    const found = await guests(instance)
    const { json } = await server.dcs('GET', `/instance/${id}/whitelist`)
    if (accepted) assert.deepEqual(found, [false, true, false])
    assert.deepEqual(found, [json.whitelist[0].ip_list[0] === before, json.whitelist[0].ip_list[0] === after, false], 'what is shown and what is in force differ')
    // Leaves no rules on this machine.
    assert.equal((await put(server, id, null)).status, 204)
    assert.deepEqual(await guests(instance), [true, true, true])
  },
}
