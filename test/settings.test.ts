/** Parameters of real servers that are changed while they serve, through the documented requests. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { client, makeServer, nodePid, until, type Server } from './support/server.ts'
import { cluster, ha, item, settingsOf } from './support/settings.ts'

describe('settings', { concurrency: false }, () => {
  let server: Server
  before(async () => { server = await makeServer(); await server.start() })
  after(async () => { await server.destroy() })
  const { put, get, value, ended, set, config, everywhere, restarted } = settingsOf(() => server)

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
