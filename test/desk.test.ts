/** What a Redis knows of itself, asked through the API of a real server: slow calls, sessions, keys, health, logs. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { flavor } from './crash/ha-ground.ts'
import { client, makeServer, nodePid, sleep, until, type Answer, type Server } from './support/server.ts'
import { dueSurvey } from '../src/calendar.ts'

let server: Server
let id: string
let instance: any
before(async () => {
  server = await makeServer()
  await server.start()
  id = await server.createRedis('asked', flavor(2))
  instance = await server.running('dcs', id)
})
after(async () => { await server.destroy() })

const get = (more: string, of = id): Promise<Answer> => server.dcs('GET', `/instances/${of}${more}`)
const post = (more: string, body?: object, of = id): Promise<Answer> => server.dcs('POST', `/instances/${of}${more}`, body)
const put = (more: string, body?: object): Promise<Answer> => server.dcs('PUT', `/instances/${id}${more}`, body)
const code = (answer: Answer): string => `${answer.status} ${answer.json?.error_code ?? ''}`
const nodes = async (): Promise<any[]> => (await get('/logical-nodes')).json.nodes

async function finished(kind: 'bigkey' | 'hotkey', surveyId: string): Promise<any> {
  return until(`${kind} to end`, async () => { const { json } = await get(`/${kind}-task/${surveyId}`); return json.finished_at && json })
}

test('slow calls of every node, sorted and paged, in a span of time', async () => {
  const redis = client(instance)
  // Slower than ten milliseconds on any machine, and slower than whatever else is.
  for (const times of [30_000_000, 15_000_000]) await redis.eval(`local n = 0 for i = 1, ${times} do n = n + i end return n`, 0)
  redis.disconnect()
  const span = (more = ''): string => `/slowlog?start_time=${Date.now() - 60_000}&end_time=${Date.now() + 1000}${more}`
  // On a busy machine others are slow as well, and in between.
  const [{ json }, { json: second }] = await until('two answers about the same', async () => {
    const [all, page] = [await get(span('&sort_key=duration')), await get(span('&sort_key=duration&offset=1&limit=1'))]
    return all.json.total_num === page.json.total_num && [all, page]
  })
  assert.ok(json.total_num >= 2)
  assert.ok(['30000000', '15000000'].every((count) => json.slowlogs.some((one: any) => one.command.startsWith(`eval local n = 0 for i = 1, ${count}`))), JSON.stringify(json))
  assert.ok(Number(json.slowlogs[0].duration) >= Number(json.slowlogs[1].duration) && Number(json.slowlogs[1].duration) > 0)
  assert.deepEqual([second.count, second.slowlogs[0].id], [1, json.slowlogs[1].id])
  assert.equal((await get(`/slowlog?start_time=1&end_time=2`)).json.total_num, 0)
  for (const query of ['', '?start_time=1', '?start_time=x&end_time=2', '?start_time=1&end_time=2&sort_key=id', '?start_time=1&end_time=2&sort_dir=up']) assert.equal(code(await get(`/slowlog${query}`)), '400 DCS.4062', query)
  assert.equal(code(await get('/slowlog?start_time=3&end_time=2')), '400 DCS.4025')
})

test('sessions are listed and hung up on, the control plane is none of them', async () => {
  const [redis, other] = [client(instance), client(instance)]
  await redis.client('SETNAME', 'mine')
  await other.client('SETNAME', 'other')
  const master = (await nodes()).find((node) => node.node_type === 'master').node_id
  assert.deepEqual([code(await post('/clients', { node_id: master })), code(await post('/clients', { node_id: '0'.repeat(32) }))], ['200 ', '400 DCS.3053'])
  const list = async (): Promise<any[]> => (await get(`/clients?node_id=${master}&sort=name&order=asc&limit=100`)).json.clients
  const seen = await list()
  assert.ok(seen.every((one) => one.user === 'default'), 'only customers')
  assert.deepEqual(seen.filter((one) => one.name !== '').map((one) => one.name), ['mine', 'other'])
  const mine = seen.find((one) => one.name === 'mine')
  assert.equal(code(await post('/clients/kill', { node_id: master, client_addrs: [mine.addr] })), '204 ')
  assert.deepEqual((await list()).map((one) => one.name).filter((name) => name !== ''), ['other'])
  const all = await post('/clients/kill-all', { kill_all_nodes: true })
  await until('the job to end', async () => (await server.dcs('GET', `/jobs/${all.json.job_id}`)).json.status === 'SUCCESS')
  assert.ok((await list()).every((one) => one.name !== 'other'))
  assert.equal((await get('')).json.status, 'RUNNING')
  for (const body of [{}, { node_id: master }, { node_id: master, client_addrs: [] }, { node_id: master, client_addrs: [1] }]) assert.equal(code(await post('/clients/kill', body)), '400 DCS.4062')
  redis.disconnect()
  other.disconnect()
})

test('big keys are found in every database without a command that blocks', async () => {
  const redis = client(instance)
  await redis.set('long', 'x'.repeat(5000))
  await redis.set('short', 'x')
  await redis.sadd('set', 'a', 'b', 'c')
  await redis.select(7)
  await redis.hset('hash', Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`field${n}`, n])))
  for (let n = 0; n < 25; n += 1) await redis.set(`many:${n}`, 'y'.repeat(100 + n))
  redis.disconnect()
  const begun = await post('/bigkey-task')
  assert.deepEqual([begun.status, begun.json.status, begun.json.scan_type, begun.json.num, 'keys' in begun.json], [200, 'waiting', 'manual', 0, false])
  const done = await finished('bigkey', begun.json.id)
  assert.equal(done.status, 'success')
  const strings = done.keys.filter((key: any) => key.type === 'string')
  assert.deepEqual([strings.length, strings[0].name, strings[0].size, strings[0].unit, strings[0].db], [20, 'long', 5000, 'byte', 0])
  assert.deepEqual(done.keys.find((key: any) => key.name === 'hash'), { name: 'hash', type: 'hash', shard: null, db: 7, size: 30, unit: 'count' })
  assert.equal(done.num, done.keys.length)
  assert.deepEqual((await get('/bigkey-tasks?status=success')).json.records.map((one: any) => one.id), [done.id])
  assert.equal((await server.dcs('DELETE', `/instances/${id}/bigkey-task/${done.id}`)).json.id, done.id)
  assert.equal(code(await get(`/bigkey-task/${done.id}`)), '400 DCS.4942')
})

test('a survey that was under way when its control plane was killed is made anew, and one that is dropped ends', async () => {
  const redis = client(instance)
  await redis.eval("for i = 1, 8000 do redis.call('SET', 'walk:' .. i, 'v') end", 0)
  const { json } = await post('/bigkey-task')
  assert.equal(code(await post('/bigkey-task')), '400 DCS.4918')
  await until('it to run', async () => (await get(`/bigkey-task/${json.id}`)).json.status === 'running')
  const { progress } = (await get(`/bigkey-task/${json.id}`)).json
  assert.ok(json.progress === 0 && Number.isInteger(progress) && progress < 100, String(progress))
  await server.end('SIGKILL')
  await server.start()
  const done = await finished('bigkey', json.id)
  assert.deepEqual([done.status, done.progress, done.keys.some((key: any) => key.name === 'long')], ['success', 100, true])
  const next = (await post('/bigkey-task')).json.id
  assert.equal((await server.dcs('DELETE', `/instances/${id}/bigkey-task/${next}`)).status, 200)
  assert.equal((await post('/bigkey-task')).status, 200, 'the place is free again')
  await redis.eval("for i = 1, 8000 do redis.call('DEL', 'walk:' .. i) end", 0)
  redis.disconnect()
})

test('hot keys are counted where servers count', async () => {
  assert.equal(code(await post('/hotkey-task')), '400 DCS.4919')
  assert.equal(code(await put('/hotkey/autoscan', { enable_auto_scan: true, schedule_at: ['21:00'] })), '400 DCS.4919')
  assert.equal((await put('/configs', { redis_config: [{ param_id: '2', param_name: 'maxmemory-policy', param_value: 'allkeys-lfu' }] })).status, 204)
  await until('the policy', async () => (await get('/configs')).json.config_status === 'SUCCESS')
  const redis = client(instance)
  for (let n = 0; n < 300; n += 1) await redis.get('short')
  redis.disconnect()
  const done = await finished('hotkey', (await post('/hotkey-task')).json.id)
  assert.deepEqual([done.status, done.keys[0].name, done.keys[0].size, done.keys[0].unit], ['success', 'short', 1, 'byte'])
  assert.ok(done.keys[0].freq > done.keys.at(-1).freq)
  const table = await post(`/hotkey/${done.id}/export`)
  assert.match(table.text, /^"key","type".*\r\n"short","string","","0","1","byte"/)
  const plan = await put('/hotkey/autoscan', { enable_auto_scan: true, schedule_at: ['21:00', '03:30'] })
  assert.deepEqual([plan.status, (await get('/hotkey/autoscan')).json.schedule_at], [200, ['21:00', '03:30']])
  for (const body of [{}, { enable_auto_scan: true }, { enable_auto_scan: true, schedule_at: [] }, { enable_auto_scan: true, schedule_at: ['24:00'] }]) assert.equal(code(await put('/bigkey/autoscan', body)), '400 DCS.4062')
})

test('keys that are past their time go, when it is asked for and by a plan', async () => {
  const redis = client(instance)
  await redis.call('CONFIG', 'SET', 'hz', '1')
  for (let n = 0; n < 500; n += 1) await redis.set(`gone:${n}`, 'x', 'PX', 1)
  await sleep(5)
  const { json } = await post('/auto-expire/scan')
  const last = await until('the scan to end', async () => { const { json: list } = await get('/auto-expire/histories'); return list.records[0].id === json.id && list.records[0].finished_at && list })
  assert.deepEqual([last.total, last.records[0].status, last.records[0].scan_type], [1, 'success', 'manual'])
  assert.equal((await redis.keys('gone:*')).length, 0)
  redis.disconnect()
  const plan = { enable_auto_scan: true, first_scan_at: new Date(Date.now() + 1500).toISOString(), interval: 3600, timeout: 7200, scan_keys_count: 100 }
  assert.equal((await put('/scan-expire-keys/autoscan-config', plan)).status, 200)
  await until('the planned scan', async () => (await get('/auto-expire/histories')).json.records[0].scan_type === 'auto')
  const rows: [object, string][] = [[{ first_scan_at: '2020-01-01T00:00:00Z' }, 'DCS.4819'], [{ first_scan_at: 'x' }, 'DCS.4819'], [{ interval: -1 }, 'DCS.4820'], [{ timeout: 7199 }, 'DCS.4821'], [{ interval: 0, timeout: 1 }, 'DCS.4821'], [{ scan_keys_count: 9 }, 'DCS.4822'], [{ scan_keys_count: 1001 }, 'DCS.4822']]
  for (const [body, want] of rows) assert.equal(code(await put('/scan-expire-keys/autoscan-config', { ...plan, first_scan_at: new Date(Date.now() + 60_000).toISOString(), ...body })), `400 ${want}`, JSON.stringify(body))
})

test('the times of a plan are found', () => {
  const at = (text: string): number => Date.parse(text)
  const daily = { enabled: true, at: ['21:00', '03:30'], how: {}, updatedAt: at('2026-11-21T00:00:00Z') }
  assert.deepEqual(['20:59:59', '21:00:00', '21:59:59', '22:00:00'].map((time) => dueSurvey(daily, at(`2026-11-22T${time}Z`))), [null, at('2026-11-22T21:00:00Z'), at('2026-11-22T21:00:00Z'), null])
  assert.equal(dueSurvey({ ...daily, updatedAt: at('2026-11-22T21:00:01Z') }, at('2026-11-22T21:00:02Z')), null, 'what was due before is not made up for')
  const repeated = { enabled: true, first: at('2026-11-22T10:00:00Z'), intervalS: 600, how: {}, updatedAt: 0 }
  assert.deepEqual(['09:59:59', '10:00:00', '10:25:00'].map((time) => dueSurvey(repeated, at(`2026-11-22T${time}Z`))), [null, at('2026-11-22T10:00:00Z'), at('2026-11-22T10:20:00Z')])
  assert.deepEqual([dueSurvey({ ...repeated, intervalS: 0 }, at('2026-11-22T10:30:00Z')), dueSurvey({ ...repeated, intervalS: 0 }, at('2026-11-22T11:30:00Z')), dueSurvey({ ...repeated, enabled: false }, at('2026-11-22T10:30:00Z'))], [at('2026-11-22T10:00:00Z'), null, null])
})

test('a diagnosis tells the figures of each node', async () => {
  const span = { begin_time: String(Date.now() - 300_000), end_time: String(Date.now() + 1000) }
  const { json } = await post('/diagnosis', span)
  await until('the report', async () => (await get('/diagnosis')).json.diagnosis_report_list.find((one: any) => one.report_id === json.report_id)?.status === 'finished')
  const report = (await server.dcs('GET', `/diagnosis/${json.report_id}`)).json
  assert.deepEqual([report.diagnosis_node_report_list.map((one: any) => one.role).toSorted(), report.failed_item_sum], [['master', 'slave'], 0])
  const master = report.diagnosis_node_report_list.find((one: any) => one.role === 'master')
  const load = master.diagnosis_dimension_list.find((one: any) => one.name === 'load').diagnosis_item_list
  assert.equal(load.find((one: any) => one.name === 'time_consuming_commands').result, 'abnormal', 'there were slow calls')
  const evals = master.command_time_taken_list.command_list.find((one: any) => one.command_name === 'eval')
  assert.ok(evals.calls_sum >= 2 && evals.usec_sum > 0)
  assert.ok(report.abnormal_item_sum >= 1)
  const one = await post('/diagnosis', { ...span, node_ip_list: [master.node_ip] })
  assert.equal(one.status, 200)
  assert.equal(code(await post('/diagnosis', { ...span, end_time: String(Date.now() + 400_000) })), '400 DCS.4028')
  assert.equal(code(await post('/diagnosis', { begin_time: span.end_time, end_time: span.begin_time })), '400 DCS.4025')
  assert.equal(code(await post('/diagnosis', { begin_time: 'x', end_time: '1' })), '400 DCS.4062')
  const at = (days: number) => ({ begin_time: String(Date.now() + days * 24 * 3600_000), end_time: String(Date.now() + days * 24 * 3600_000 + 1000) })
  assert.deepEqual([code(await post('/diagnosis', at(-8))), code(await post('/diagnosis', at(1)))], ['400 DCS.4030', '400 DCS.4031'])
  assert.equal(code(await post('/diagnosis', { ...span, node_ip_list: ['1.2.3.4'] })), '400 DCS.4062')
  const dropped = await server.dcs('DELETE', `/instances/${id}/diagnosis`, { report_id_list: [json.report_id] })
  assert.deepEqual(dropped.json.results, [{ id: json.report_id, result: 'success' }])
})

test('the log of each server by a link', async () => {
  const { json } = await get('/redislog?log_type=run')
  assert.equal(json.total_num, 2)
  assert.equal((await post('/redislog?log_type=run&query_time=0')).status, 400)
  assert.equal((await post(`/redislog?log_type=run&query_time=0&replication_id=${json.file_list[0].id}`)).status, 204)
  for (const [n, file] of json.file_list.entries()) {
    const { link } = (await post(`/redislog/${file.id}/links`)).json
    const text = await (await fetch(link)).text()
    assert.ok(text.includes(`${nodePid(server.home, id, n)}:`) && text.includes('Ready to accept connections'))
    assert.equal((await fetch(`${link}x`)).status, 401)
  }
})
