/** Other names of commands, words about an instance, and its password, changed through the documented requests. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { client, makeServer, nodePid, password, type Server } from './support/server.ts'
import { ha, item, settingsOf } from './support/settings.ts'
import { Redis } from 'ioredis'

describe('names, words and passwords', { concurrency: false }, () => {
  let server: Server
  before(async () => { server = await makeServer(); await server.start() })
  after(async () => { await server.destroy() })
  const { put, restarted } = settingsOf(() => server)

  test('commands get other names with a restart, whatever was sent by their old ones', async () => {
    for (const [name, flavor] of [['named-alone', {}], ['named-pair', ha]] as const) {
      const id = await server.createRedis(name, { ...flavor, rename_commands: { flushall: 'wipe-all' } })
      const made = await server.running('dcs', id)
      const redis = client(made)
      await redis.set('gone', '1')
      assert.equal(await redis.call('wipe-all'), 'OK')
      await redis.set('kept', 'yes')
      const answer = await server.dcs('PUT', `/instances/${id}`, { rename_commands: { flushall: 'clear-all', keys: 'list-keys' } })
      assert.equal(answer.status, 204, answer.text)
      assert.equal(await server.status('dcs', id), 'RESTARTING')
      assert.equal((await put(id, item('timeout', '5'))).json.error_code, 'DCS.4111')
      await server.running('dcs', id)
      assert.deepEqual([await redis.get('kept'), await redis.get('gone')], ['yes', null])
      assert.deepEqual(await redis.call('list-keys', '*'), ['kept'])
      await assert.rejects(redis.call('wipe-all'), /unknown command/)
      await assert.rejects(redis.keys('*'), /unknown command/)
      assert.equal(await redis.call('clear-all'), 'OK')
      await redis.set('after', 'yes')
      await restarted(id)
      assert.deepEqual(await redis.call('list-keys', '*'), ['after'])
      // The same names again change nothing.
      const pid = nodePid(server.home, id)
      assert.equal((await server.dcs('PUT', `/instances/${id}`, { rename_commands: { keys: 'list-keys' } })).status, 204)
      assert.equal(nodePid(server.home, id), pid)
      redis.disconnect()
    }
  })

  test('words about an instance change at once, and what is wrong changes nothing', async () => {
    const id = await server.createRedis('worded', ha)
    await server.running('dcs', id)
    const update = (body: object, path = 'v2') => server.call('dcs', 'PUT', `/${path}/${server.project}/instances/${id}`, body)
    const show = async () => (await server.dcs('GET', `/instances/${id}`)).json
    const before = await show()
    for (const [body, code] of [[{ name: 'x' }, 'DCS.4010'], [{ description: 'x'.repeat(1025) }, 'DCS.4011'], [{ maintain_begin: '22:00:00' }, 'DCS.4106'], [{ port: 70_000 }, 'DCS.4062'], [{ name: 'fine-name', port: 'x' }, 'DCS.4062'],
      [{ instance_backup_policy: { backup_type: 'auto', save_days: 9 } }, 'DCS.4072'], [{ rename_commands: { keys: 'x' } }, 'DCS.4062']] as const) assert.equal((await update(body)).json.error_code, code, JSON.stringify(body))
    const same = (shown: any): object => ({ ...shown, update_at: null, used_memory: null })
    assert.deepEqual(same(await show()), same(before))
    const policy = { backup_type: 'auto', save_days: 3, periodical_backup_plan: { backup_at: [1, 3], period_type: 'weekly', begin_at: '01:00-02:00' } }
    assert.equal((await update({ name: 'worded-anew', description: '', maintain_begin: '22:00:00', maintain_end: '02:00:00', instance_backup_policy: policy, port: before.port, rename_commands: {} })).status, 204)
    const now = await show()
    assert.deepEqual([now.name, now.description, now.maintain_begin, now.maintain_end, now.instance_backup_policy.policy.save_days], ['worded-anew', '', '22:00:00', '02:00:00', 3])
    assert.equal((await update({ name: 'worded-v1', port: 1 }, 'v1.0')).status, 204)
    assert.deepEqual([(await show()).name, (await show()).port], ['worded-v1', before.port])
    // TLS is off, and says so; redis-tls.test.ts has it on.
    assert.deepEqual((await server.dcs('GET', `/instances/${id}/ssl`)).json, { enabled: false, ip: before.ip, port: '6379', domain_name: null, ssl_expired_at: null, ssl_validated: false })
  })

  test('a password changes everywhere at once; open connections stay, and five wrong tries lock it for all', async () => {
    const id = await server.createRedis('secret', ha)
    const made = await server.running('dcs', id)
    const pids = [0, 1].map((n) => nodePid(server.home, id, n))
    const open = client(made)
    await open.set('kept', 'yes')
    const next = 'Wxyz9876!'
    const change = (old_password: string, new_password: string, path = 'v2') => server.call('dcs', 'PUT', `/${path}/${server.project}/instances/${id}/password`, { old_password, new_password })
    const can = async (secret: string | undefined, at: { ip: string; port: number } = made): Promise<boolean> => {
      const redis = new Redis({ host: at.ip, port: at.port, ...secret === undefined ? {} : { password: secret }, protocol: 2, lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 })
      redis.on('error', () => {})
      try { await redis.connect(); return await redis.get('kept') === 'yes' } catch { return false } finally { redis.disconnect() }
    }
    const nodes = (await server.dcs('GET', `/instances/${id}/logical-nodes`)).json.nodes.map((node: any) => ({ ip: node.node_ip, port: Number(node.node_port) }))
    assert.deepEqual((await change(password, next)).json, { lock_time: '0', result: 'success', lock_time_left: '0', retry_times_left: '5', message: 'Modify DCSInstance password success.' })
    for (const at of nodes) assert.deepEqual([await can(next, at), await can(password, at)], [true, false])
    assert.equal(await open.get('kept'), 'yes')
    for (const [body, code] of [[{ new_password: next }, 'DCS.4845'], [{ old_password: next }, 'DCS.4845'], [{ old_password: next, new_password: 'weak' }, 'DCS.4019'], [{ old_password: next, new_password: next }, 'DCS.4019']] as const) {
      assert.equal((await server.dcs('PUT', `/instances/${id}/password`, body)).json.error_code, code)
    }
    assert.deepEqual((await change('Wrong-000', 'Other-111')).json, { lock_time: '5', result: 'passwordFailed', lock_time_left: '5', retry_times_left: '4', message: 'verify password failed.' })
    for (const left of ['3', '2']) assert.equal((await change('Wrong-000', 'Other-111')).json.retry_times_left, left)
    await server.end('SIGKILL')
    await server.start()
    for (const left of ['1', '0']) assert.equal((await change('Wrong-000', 'Other-111', 'v1.0')).json.retry_times_left, left)
    assert.deepEqual([(await change(next, password)).json.result, (await change(next, password, 'v1.0')).json.result], ['locked', 'Locked'])
    assert.deepEqual([await can(next), await can(password)], [true, false])
    // Who may reset needs no old one, and ends the lock.
    const reset = (body: object) => server.dcs('POST', `/instances/${id}/password/reset`, body)
    for (const [body, code] of [[{}, 'DCS.4845'], [{ new_password: next, no_password_access: true }, 'DCS.4849'], [{ no_password_access: 'maybe' }, 'DCS.4843'], [{ new_password: 'weak' }, 'DCS.4019']] as const) assert.equal((await reset(body)).json.error_code, code)
    assert.deepEqual((await reset({ new_password: password })).json, { retry_times_left: '5', lock_time: '0', lock_time_left: '0', code: '1', message: 'success', ext_message: null })
    assert.equal((await change(password, next)).json.result, 'success')
    assert.equal((await reset({ no_password_access: true })).status, 200)
    for (const at of nodes) assert.equal(await can(undefined, at), true)
    assert.equal((await server.running('dcs', id)).no_password_access, 'true')
    assert.equal((await change(next, password)).json.error_code, 'DCS.4850')
    await restarted(id)
    assert.equal(await can(undefined), true)
    assert.equal((await reset({ new_password: next })).status, 200)
    assert.deepEqual([await can(undefined), await can(next)], [false, true])
    await restarted(id)
    assert.deepEqual([await can(undefined), await can(next)], [false, true])
    assert.notDeepEqual([0, 1].map((n) => nodePid(server.home, id, n)), pids)
    for (const secret of [password, next]) assert.ok(!server.log().includes(secret))
    open.disconnect()
  })
})
