/** Settings of real servers that are changed while they serve, through the documented requests. Long, for all of it shares one server: starting another for each part would cost more than reading on. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { client, makeServer, nodePid, password, until, type Answer, type Server } from './support/server.ts'
import { Cluster, Redis } from 'ioredis'

const ha = { spec_code: 'redis.ha.xu1.tiny.r2.128' }
const cluster = { spec_code: 'redis.cluster.xu1.large.r1.4', capacity: 4 }
const item = (param_name: string, param_value: string) => ({ param_name, param_value })

describe('settings', { concurrency: false }, () => {
  let server: Server
  before(async () => { server = await makeServer(); await server.start() })
  after(async () => { await server.destroy() })

  const put = (id: string, ...redis_config: object[]): Promise<Answer> => server.dcs('PUT', `/instances/${id}/configs`, { redis_config })
  const get = async (id: string): Promise<any> => (await server.dcs('GET', `/instances/${id}/configs`)).json
  const value = async (id: string, name: string): Promise<string> => (await get(id)).redis_config.find((one: any) => one.param_name === name).param_value
  const ended = (id: string): Promise<any> => until('the change to end', async () => { const now = await get(id); return now.config_status !== 'UPDATING' && now })
  const set = async (id: string, ...items: object[]): Promise<void> => {
    const answer = await put(id, ...items)
    assert.equal(answer.status, 204, answer.text)
    // gophertelekomcloud's acceptance tests go on with the next request, without another try.
    assert.equal((await get(id)).config_status, 'SUCCESS')
  }
  /** A client of each node. */
  const nodesOf = async (id: string): Promise<Redis[]> => (await server.dcs('GET', `/instances/${id}/logical-nodes`)).json.nodes.map((node: any) => client({ ip: node.node_ip, port: Number(node.node_port) }))
  const config = async (redis: Redis, name: string): Promise<string> => (await redis.config('GET', name) as string[])[1]!
  const everywhere = async (id: string, name: string): Promise<string[]> => {
    const all = await nodesOf(id)
    try { return await Promise.all(all.map((redis) => config(redis, name))) } finally { for (const redis of all) redis.disconnect() }
  }
  const restarted = async (id: string): Promise<any> => {
    await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })
    return server.running('dcs', id)
  }

  test('every parameter of a single Redis is in force from its creation, changed without a restart, and kept', async () => {
    const id = await server.createRedis('lone')
    const made = await server.running('dcs', id)
    const redis = client(made)
    const shown = await get(id)
    assert.deepEqual(shown.redis_config.map((one: any) => Number(one.param_id)), [1, 2, 3, 4, 7, 8, 9, 10, 11, 13, 18, 19, 20, 22, 23, 35])
    assert.deepEqual([shown.config_status, shown.status, shown.instance_id], ['SUCCESS', 'RUNNING', id])
    for (const one of shown.redis_config) {
      assert.equal(one.param_value, one.default_value)
      if (!['master-read-only', 'active-expire-num'].includes(one.param_name)) assert.equal([...await config(redis, one.param_name)].toSorted().join(), [...one.default_value].toSorted().join(), one.param_name)
    }
    const pid = nodePid(server.home, id)
    await redis.set('kept', 'yes')
    await set(id, { param_id: '1', ...item('timeout', '77') }, item('maxmemory-policy', 'allkeys-lfu'), item('hash-max-ziplist-entries', '33'), item('notify-keyspace-events', 'KEA'), item('active-expire-num', '65'), item('maxclients', '1000'))
    const inForce = async (): Promise<string[]> => Promise.all(['timeout', 'maxmemory-policy', 'hash-max-listpack-entries', 'notify-keyspace-events', 'active-expire-effort', 'maxclients'].map((name) => config(redis, name)))
    const wanted = ['77', 'allkeys-lfu', '33', 'AKE', '10', '1000']
    assert.deepEqual(await inForce(), wanted)
    assert.equal(nodePid(server.home, id), pid)
    // What a customer sets by hand stays until the next change or restart puts the recorded value back.
    await redis.config('SET', 'timeout', '5')
    await set(id, item('slowlog-max-len', '7'))
    assert.deepEqual(await inForce(), wanted)
    await restarted(id)
    assert.deepEqual(await inForce(), wanted)
    assert.equal(await redis.get('kept'), 'yes')
    const histories = (await server.dcs('GET', `/instances/${id}/config-histories?limit=1`)).json
    assert.equal(histories.history_num, 2)
    const [{ history_id, status, type }] = histories.histories
    assert.deepEqual([status, type], ['SUCCESS', 'config_param'])
    assert.deepEqual((await server.dcs('GET', `/instances/${id}/config-histories/${history_id}`)).json.redis_config, [{ param_name: 'slowlog-max-len', old_value: '128', new_value: '7' }])
    const v1 = await server.call('dcs', 'GET', `/v1.0/${server.project}/instances/${id}/configs`)
    assert.deepEqual([v1.json.cluster_v1, v1.json.redis_config[0].node_role, v1.json.redis_config[0].param_value], [false, '', '77'])
    assert.equal((await server.call('dcs', 'PUT', `/v1.0/${server.project}/instances/${id}/configs`, { redis_config: [item('timeout', '78')] })).status, 204)
    await ended(id)
    const asked = await server.dcs('PUT', `/instances/${id}/async-configs?dry_run=true`, { redis_config: [item('timeout', '79')] })
    assert.equal(asked.json.plan.gap.to_ms, 0)
    const job = await server.dcs('PUT', `/instances/${id}/async-configs`, { redis_config: [item('timeout', '79')] })
    await until('the job', async () => (await server.dcs('GET', `/jobs/${job.json.job_id}`)).json.status === 'SUCCESS')
    assert.equal(await config(redis, 'timeout'), '79')
    redis.disconnect()
  })

  test('what is not offered, or out of range, is refused by its name and changes nothing', async () => {
    const id = await server.createRedis('strict')
    await server.running('dcs', id)
    for (const bad of [item('timeout', '7201'), item('timeout', '-1'), item('timeout', '007'), item('timeout', ''), item('maxmemory-policy', 'lru'), item('notify-keyspace-events', 'g'), item('notify-keyspace-events', 'EE'), item('notify-keyspace-events', 'Ex\nport 1'),
      item('appendonly', 'no'), item('repl-timeout', '60'), item('list-max-ziplist-entries', '512'), item('dir', '/tmp'), item('active-expire-num', '21'), { param_id: '2', ...item('timeout', '5') }, { param_id: '1' }]) {
      const answer = await put(id, bad)
      assert.deepEqual([answer.status, answer.json.error_code], [400, 'DCS.4066'], `${JSON.stringify(bad)}: ${answer.text}`)
    }
    for (const body of [{}, { redis_config: [] }, { redis_config: 'timeout' }]) assert.equal((await server.dcs('PUT', `/instances/${id}/configs`, body)).json.error_code, 'DCS.4062')
    assert.equal((await put(id, item('timeout', '5'), item('timeout', '6'))).json.error_code, 'DCS.4066')
    assert.equal((await server.dcs('GET', `/instances/${id}/config-histories`)).json.history_num, 0)
    assert.equal(await value(id, 'timeout'), '0')
  })

  test('a setting that a server refuses is taken back everywhere, and the instance goes on', async () => {
    const id = await server.createRedis('refuses', ha)
    await server.running('dcs', id)
    // A machine that has not so many files for it.
    assert.equal(spawnSync('sh', ['-c', `prlimit --pid ${nodePid(server.home, id, 1)} --nofile=10500:10500`]).status, 0)
    const answer = await put(id, item('maxclients', '15000'), item('timeout', '9'))
    assert.deepEqual([answer.status, answer.json.error_code], [500, 'DCS.4842'], answer.text)
    assert.match(answer.json.error_msg, /maxclients/)
    assert.equal((await get(id)).config_status, 'FAILURE')
    assert.deepEqual([await everywhere(id, 'maxclients'), await everywhere(id, 'timeout')], [['10000', '10000'], ['0', '0']])
    assert.deepEqual([await value(id, 'maxclients'), await value(id, 'timeout')], ['10000', '0'])
    assert.equal(await server.status('dcs', id), 'RUNNING')
    const [{ history_id, status }] = (await server.dcs('GET', `/instances/${id}/config-histories`)).json.histories
    assert.equal(status, 'FAILURE')
    assert.match((await server.dcs('GET', `/instances/${id}/config-histories/${history_id}`)).json.fail_reason, /node 1 refuses maxclients 15000/)
    // Somebody else's server has the port everywhere.
    const foreign = createServer().listen(24_777, '0.0.0.0')
    await once(foreign, 'listening')
    assert.equal((await server.dcs('PUT', `/instances/${id}`, { port: 24_777 })).status, 204)
    await until('everything settled', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0)
    foreign.close()
    const [task] = (await server.dcs('GET', `/instances/${id}/tasks`)).json.tasks
    assert.deepEqual([task.name, task.status], ['UpdatePort', 'FAILED'])
    assert.match(task.details.cause, /cannot listen on port 24777/)
    const now = await server.running('dcs', id)
    assert.equal(now.port, 6379)
    const redis = client(now)
    assert.equal(await redis.set('still', 'there'), 'OK')
    assert.equal(await redis.wait(1, 5000), 1)
    redis.disconnect()
    // The next change may succeed.
    await set(id, item('timeout', '10'))
    assert.deepEqual(await everywhere(id, 'timeout'), ['10', '10'])
  })

  test('settings of a replicated Redis hold on every node, through failover, for replicas that come, and with the append-only file off and on', async () => {
    const id = await server.createRedis('pair', ha)
    const made = await server.running('dcs', id)
    const redis = client(made)
    assert.deepEqual((await get(id)).redis_config.map((one: any) => Number(one.param_id)), [1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 35])
    await redis.set('kept', 'yes')
    const pids = [0, 1].map((n) => nodePid(server.home, id, n))
    await set(id, item('client-output-buffer-slave-soft-limit', '1000000'), item('client-output-buffer-slave-hard-limit', '2000000'), item('client-output-buffer-limit-slave-soft-seconds', '30'), item('reserved-memory', '28'), item('repl-timeout', '61'), item('repl-backlog-size', '2097152'))
    assert.match((await everywhere(id, 'client-output-buffer-limit')).join(), /slave 2000000 1000000 30 .*slave 2000000 1000000 30 /)
    assert.deepEqual(await everywhere(id, 'maxmemory'), Array(2).fill(String(100 * 2 ** 20)))
    await set(id, item('appendonly', 'no'))
    assert.deepEqual(await everywhere(id, 'appendonly'), ['no', 'no'])
    await set(id, item('appendonly', 'yes'), item('appendfsync', 'always'))
    assert.deepEqual(await everywhere(id, 'appendonly'), ['yes', 'yes'])
    assert.deepEqual([0, 1].map((n) => nodePid(server.home, id, n)), pids)
    // A read-only instance refuses its customers, not the control plane.
    await set(id, item('master-read-only', 'yes'))
    await assert.rejects(redis.set('more', '1'), /NOPERM/)
    await assert.rejects(redis.eval("return redis.call('set', 'more', '1')", 0), /can't run this command/)
    assert.equal(await redis.get('kept'), 'yes')
    process.kill(pids[0]!, 'SIGKILL')
    await until('the failover', () => nodePid(server.home, id, 0) !== pids[0])
    await until('everything settled', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0)
    await assert.rejects(redis.set('more', '1'), /NOPERM/)
    await set(id, item('master-read-only', 'no'))
    assert.equal(await redis.set('more', '1'), 'OK')
    assert.equal((await server.dcs('POST', `/instances/${id}/resize`, { spec_code: 'redis.ha.xu1.tiny.r3.128', new_capacity: 0.125, change_type: 'createReplication', available_zones: ['eu-de-01'] })).status, 204)
    await server.running('dcs', id)
    assert.deepEqual(await everywhere(id, 'repl-timeout'), ['61', '61', '61'])
    await restarted(id)
    assert.deepEqual([await everywhere(id, 'repl-timeout'), await everywhere(id, 'appendfsync'), await everywhere(id, 'maxmemory')], [['61', '61', '61'], ['always', 'always', 'always'], Array(3).fill(String(100 * 2 ** 20))])
    assert.equal(await redis.get('kept'), 'yes')
    redis.disconnect()
  })

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

  test('templates are kept by a project, checked, and set what an instance is created with', async () => {
    const templates = (method: string, path = '', body?: object) => server.dcs(method, `/config-templates${path}`, body)
    const system = (await templates('GET', '?type=sys&limit=100')).json
    assert.equal(system.template_num, 14)
    const [ha7] = (await templates('GET', '?type=sys&engine_version=7.0&cache_mode=ha')).json.templates
    assert.deepEqual([ha7.name, ha7.engine, ha7.product_type], ['Default-Redis-7.0-ha-generic-DRAM', 'Redis', 'generic'])
    assert.equal((await templates('GET')).json.error_code, 'DCS.4062')
    for (const body of [{ name: 'mine' }, { template_id: '99', name: 'mine', params: {} }, { template_id: ha7.template_id, name: 'x', params: {} }, { template_id: ha7.template_id, name: 'mine' }]) assert.equal((await templates('POST', '', body)).json.error_code, 'DCS.4062')
    assert.equal((await templates('POST', '', { template_id: ha7.template_id, name: 'mine', params: { timeout: '9999' } })).json.error_code, 'DCS.4066')
    const made = await templates('POST', '', { template_id: ha7.template_id, name: 'mine', description: 'of mine', params: { timeout: '55', appendonly: 'no' } })
    assert.equal(made.status, 200, made.text)
    assert.equal((await templates('POST', '', { template_id: ha7.template_id, name: 'mine', params: {} })).json.error_code, 'DCS.4062')
    const { id } = made.json
    assert.equal((await templates('PUT', `/${id}`, { params: { timeout: '56' } })).json.result, 'success')
    const shown = (await templates('GET', `/${id}?type=user`)).json
    assert.deepEqual([shown.name, shown.type, shown.params[0].param_value], ['mine', 'user', '56'])
    assert.equal((await templates('GET', '?type=user')).json.templates[0].template_id, id)
    const instance = await server.createRedis('of-template', { ...ha, template_id: id })
    await server.running('dcs', instance)
    assert.deepEqual([await value(instance, 'timeout'), await everywhere(instance, 'timeout'), await everywhere(instance, 'appendonly')], ['56', ['56', '56'], ['no', 'no']])
    await assert.rejects(server.createRedis('of-other', { template_id: id }), /DCS.4062/)
    assert.equal((await templates('DELETE', `/${ha7.template_id}`)).json.error_code, 'DCS.4062')
    assert.equal((await templates('DELETE', `/${id}`)).json.result, 'success')
    assert.equal((await templates('GET', `/${id}`)).json.error_code, 'DCS.4062')
  })

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

  test('settings of a cluster hold on every shard, and wait for a node that is down', async () => {
    const id = await server.createRedis('shards', cluster)
    await server.running('dcs', id)
    const pid = nodePid(server.home, id, 1)
    assert.equal((await server.dcs('PUT', `/instances/${id}/async-configs`, { redis_config: [item('timeout', '66'), item('appendonly', 'no')] })).status, 200)
    process.kill(pid, 'SIGKILL')
    // Whether it died before or after: the change ends when all of them have it, or a recovery brings back one that had.
    await ended(id)
    await until('everything settled', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0)
    await set(id, item('appendonly', 'yes'))
    assert.deepEqual([await everywhere(id, 'timeout'), await everywhere(id, 'appendonly')], [Array(3).fill('66'), Array(3).fill('yes')])
    // While one is changed, nothing else begins.
    const busy = await Promise.all([put(id, item('timeout', '67')), put(id, item('timeout', '68')), server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })])
    const refusals = busy.filter((answer) => answer.status === 400).map((answer) => answer.json.error_code)
    assert.ok(refusals.every((code) => code === 'DCS.4114' || code === 'DCS.4111'), refusals.join())
    await server.running('dcs', id)
  })
})
