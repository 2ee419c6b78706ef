/**
 * What single clients insist on: types that no document has, or that documents have otherwise, and status codes without which a client
 * takes a success for a failure. Each test names whom it is for. On real servers, through one life of a pair.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { flavor } from './crash/ha-ground.ts'
import { makeServer, password, until, type Answer, type Server } from './support/server.ts'

let server: Server
let id: string
before(async () => {
  server = await makeServer()
  await server.start()
  id = await server.createRedis('demanded', flavor(2))
  await server.running('dcs', id)
})
after(async () => { await server.destroy() })

const v2 = (method: string, more = '', body?: object): Promise<Answer> => server.dcs(method, `/instances/${id}${more}`, body)
const v1 = (method: string, more = '', body?: object, of = `/${id}`): Promise<Answer> => server.call('dcs', method, `/v1.0/${server.project}/instances${of}${more}`, body)
const shown = async (of: string): Promise<any> => (await server.dcs('GET', `/instances/${of}`)).json
const order = (name: string, more: object) => ({ name, engine: 'Redis', engine_version: '7.0', capacity: 0.125, spec_code: 'redis.single.xu1.tiny.128', az_codes: ['eu-de-01'], vpc_id: randomUUID(), subnet_id: randomUUID(), password, ...more })
const made = (answer: Answer): string => { assert.equal(answer.status, 200, answer.text); return answer.json.instances[0].instance_id }
const quiet = (): Promise<unknown> => until('everything settled', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0)
const says = (answer: Answer, status: number): any => { assert.equal(answer.status, status, answer.text); return answer.json }

test('gophertelekomcloud decodes no_password_access as a Go string, in both versions, in the list and in the detail', async () => {
  const [detail, old, list, oldList] = [await v2('GET'), await v1('GET'), await server.dcs('GET', '/instances'), await v1('GET', '', undefined, '')]
  for (const one of [detail.json, old.json, list.json.instances[0], oldList.json.instances[0]]) assert.equal(one.no_password_access, 'false')
})

test('Terraform orders with no_password_access "true" and "false", gophertelekomcloud v1 with "", the SDKs with a boolean or null', async () => {
  for (const [given, secret, want] of [['true', undefined, 'true'], ['false', password, 'false'], ['', password, 'false'], [true, undefined, 'true'], [null, password, 'false']] as const) {
    const of = made(await v1('POST', '', { ...order('free', { no_password_access: given, password: secret }), available_zones: ['eu-de-01'] }, ''))
    assert.equal((await shown(of)).no_password_access, want, JSON.stringify(given))
  }
})

test('the samples of v1.0 send port as a text, those of the policy backup_at as texts; numbers come back', async () => {
  const plan = { backup_type: 'auto', save_days: 1, periodical_backup_plan: { begin_at: '00:00-01:00', period_type: 'weekly', backup_at: ['1', '4'] } }
  const of = made(await v1('POST', '', { ...order('texts', { port: '6390', instance_backup_policy: plan, ...flavor(2) }), available_zones: ['eu-de-01'] }, ''))
  await server.running('dcs', of)
  const { port, instance_backup_policy: policy } = await shown(of)
  assert.deepEqual([port, policy.policy.save_days, policy.policy.periodical_backup_plan.backup_at], [6390, 1, [1, 4]])
})

test('the documents number the names of several that are ordered at once, and all of them become real', async () => {
  const { instances } = says(await server.dcs('POST', '/instances', order('several', { instance_num: 2, tags: [{ key: 'of', value: 'two' }] })), 200)
  assert.deepEqual(instances.map((one: any) => one.instance_name), ['several-000', 'several-001'])
  const [one, other] = [await server.running('dcs', instances[0].instance_id), await server.running('dcs', instances[1].instance_id)]
  assert.notEqual(one.ip, other.ip)
  assert.equal((await server.dcs('GET', '/instances?tags=of%3Dtwo')).json.instance_num, 2)
})

test('enterprise_project_id is a number in samples of requests and lists: both are taken, a text is sent', async () => {
  for (const [given, want] of [[0, '0'], ['0', '0'], ['abc', 'abc']] as const) assert.equal((await shown(made(await server.dcs('POST', '/instances', order('owned', { enterprise_project_id: given }))))).enterprise_project_id, want)
})

test('Terraform reads null where samples print {}, and an empty security group where they print a word', async () => {
  const now = await shown(id)
  for (const field of ['publicip_id', 'publicip_address', 'security_group_id', 'security_group_name', 'task', 'bandwidth_info', 'crr_role']) assert.equal(now[field], null, field)
})

test('Terraform compares region_id, gophertelekomcloud reads regionId; availability and the sizes of flavors are texts', async () => {
  for (const path of ['/v2/available-zones', '/v1.0/availableZones']) {
    const { json } = await server.call('dcs', 'GET', path)
    assert.deepEqual([json.region_id, json.regionId, json.available_zones[0].resource_availability], ['eu-de', 'eu-de', 'true'])
  }
  const [one] = (await server.dcs('GET', '/flavors?spec_code=redis.ha.xu1.tiny.r2.128')).json.flavors
  assert.deepEqual([one.capacity, one.attrs.every((attr: any) => typeof attr.value === 'string')], [['0.125'], true])
})

test('gophertelekomcloud wants parameter 1 first, and clients take the misspelt type of timeout', async () => {
  const [first] = (await v2('GET', '/configs')).json.redis_config
  assert.deepEqual([first.param_id, first.param_name, first.value_type, first.param_value], ['1', 'timeout', 'Interger', '0'])
})

test('the SDKs read task_count and whitelist_ip_limit_num as texts', async () => {
  assert.equal(typeof (await v2('GET', '/tasks')).json.task_count, 'string')
  assert.equal((await server.dcs('GET', `/instance/${id}/whitelist`)).json.whitelist_ip_limit_num, '20')
})

test('a VPC, a subnet and their range are named where the instance is shown, as Terraform keeps them', async () => {
  const network = (method: string, path: string, body: object): Promise<Answer> => server.call('network', method, `/v1/${server.project}${path}`, body)
  const { vpc } = says(await network('POST', '/vpcs', { vpc: { name: 'of-caches', cidr: '10.0.0.0/8' } }), 200)
  const { subnet } = says(await network('POST', '/subnets', { subnet: { name: 'of-these', cidr: '10.1.0.0/16', gateway_ip: '10.1.0.1', vpc_id: vpc.id } }), 200)
  const of = made(await server.dcs('POST', '/instances', order('placed', { vpc_id: vpc.id, subnet_id: subnet.id })))
  const named = async (): Promise<unknown[]> => { const one = await shown(of); return [one.vpc_name, one.subnet_name, one.subnet_cidr] }
  assert.deepEqual(await named(), ['of-caches', 'of-these', '10.1.0.0/16'])
  says(await network('PUT', `/vpcs/${vpc.id}`, { vpc: { name: 'renamed' } }), 200)
  assert.deepEqual(await named(), ['renamed', 'of-these', '10.1.0.0/16'])
  assert.equal((await server.dcs('GET', '/instances?name=placed')).json.instances[0].vpc_name, 'renamed')
  assert.equal((await shown(id)).vpc_name, null, 'an id that is no VPC of this project')
})

test('gophertelekomcloud asserts capacity 0 with ".125" and sends new_capacity 0.25; resize and extend are 204', async () => {
  const sizes = async (): Promise<unknown[]> => { const one = await server.running('dcs', id); return [one.capacity, one.capacity_minor] }
  await quiet()
  assert.deepEqual(await sizes(), [0, '.125'])
  says(await v2('POST', '/resize', { new_capacity: 0.25, spec_code: 'redis.ha.xu1.tiny.r2.256', bss_param: { is_auto_pay: '' }, execute_immediately: null }), 204)
  assert.deepEqual(await sizes(), [0, '.25'])
  says(await v1('POST', '/extend', { new_capacity: 0.5 }), 204)
  assert.deepEqual(await sizes(), [0, '.5'])
  says(await v2('POST', '/resize', { new_capacity: 1, spec_code: 'redis.ha.xu1.large.r2.1' }), 204)
  assert.deepEqual(await sizes(), [1, null])
})

test('gophertelekomcloud and Terraform take 200 alone for reading, and for lists without an entry too', async () => {
  for (const more of ['', '/tags', '/configs', '/config-histories', '/tasks', '/ssl', '/backups', '/restores', '/bigkey-tasks', '/accounts']) assert.equal((await v2('GET', more)).status, 200, more)
  for (const more of ['', '/tags', '/configs', '/backups', '/restores']) assert.equal((await v1('GET', more)).status, 200, more)
  for (const more of ['/backups', '/restores']) assert.equal((await v2('GET', more)).json.total_num, 0, more)
})

test('gophertelekomcloud and Terraform take 204 alone for changes that have no answer, and 200 alone for those that have one', async () => {
  says(await v2('PUT', '', { name: 'demanded-2', description: '', security_group_id: '', rename_commands: {} }), 204)
  says(await v1('PUT', '', { name: 'demanded-3' }), 204)
  const config = { redis_config: [{ param_id: '1', param_name: 'timeout', param_value: '10' }] }
  says(await v2('PUT', '/configs', config), 204)
  await quiet()
  says(await v1('PUT', '/configs', config), 204)
  await quiet()
  says(await server.dcs('PUT', `/instance/${id}/whitelist`, { enable_whitelist: false, whitelist: [] }), 204)
  says(await server.dcs('POST', `/dcs/${id}/tags/action`, { action: 'create', tags: [{ key: 'k', value: 'v' }] }), 204)
  await quiet()
  // A wrong password is a 200 as well; what became of it is in the answer.
  assert.equal(says(await v2('PUT', '/password', { old_password: 'Wrong-Passw0rd', new_password: 'Other-Passw0rd' }), 200).result, 'passwordFailed')
  assert.equal(says(await v1('PUT', '/password', { old_password: password, new_password: 'Other-Passw0rd' }), 200).result, 'Success')
  await quiet()
  // The document's 200, though gophertelekomcloud's v1 client, which nobody tests, takes 204 alone for it.
  assert.equal(says(await v1('PUT', '', { action: 'flush', instances: [id] }, '/status'), 200).results[0].result, 'success')
  await server.running('dcs', id)
  assert.equal(says(await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] }), 200).results[0].result, 'success')
  await server.running('dcs', id)
})

test('gophertelekomcloud takes 200 with a message for a backup deleted by v1.0, the SDKs 204 in v2; figures of backups are texts', async () => {
  const record = async (path: string): Promise<any> => until('the backup', async () => { const [one] = (await v2('GET', path)).json.backup_record_response; return one?.status === 'succeed' && one })
  for (const forget of [v1, v2]) {
    const { backup_id: backup } = says(await forget('POST', '/backups', { remark: 'r' }), 200)
    const one = await record('/backups')
    assert.deepEqual([one.backup_id, one.progress, one.is_support_restore, one.period], [backup, '100.00', 'TRUE', null])
    const { restore_id: restore } = says(await forget('POST', '/restores', { backup_id: backup }), 200)
    const done = await until('the restore', async () => { const [last] = (await v1('GET', '/restores')).json.restore_record_response; return last.restore_id === restore && last.status === 'succeed' && last })
    assert.deepEqual([done.progress, done.sourceInstanceId, done.sourceInstanceName], ['100.00', id, 'demanded-3'])
    await server.running('dcs', id)
    await quiet()
    const gone = await forget('DELETE', `/backups/${backup}`)
    assert.deepEqual([gone.status, gone.text], forget === v1 ? [200, '{"message":""}'] : [204, ''])
  }
})

test('gophertelekomcloud reads jobId of the SSL switch, the SDKs job_id; Terraform takes 200 alone for it and for the certificate', async () => {
  await quiet()
  const { job_id: job, jobId, instance_id: instance, instanceId, result, ...rest } = says(await v2('PUT', '/ssl', { enabled: true }), 200)
  assert.match(job, /^[0-9a-f]{32}$/)
  assert.deepEqual([jobId, instance, instanceId, result, rest], [job, id, id, null, {}])
  says(await v2('POST', '/ssl-certs/download'), 200)
  await server.running('dcs', id)
})

test('Terraform takes 202 or 204 for a deletion, and a 404 with a code at its first look after it', async () => {
  await quiet()
  const { text } = await v2('DELETE')
  assert.equal(text, '')
  const gone = await v2('GET')
  assert.deepEqual([gone.status, gone.json.error_code], [404, 'DCS.3022'])
  const other = await server.createRedis('listed')
  await server.running('dcs', other)
  assert.deepEqual(says(await v1('DELETE', '', { instances: [other] }, ''), 200).results.map((one: any) => one.result), ['success'])
  const all = await v1('DELETE', '?allFailure=true', undefined, '')
  assert.deepEqual([all.status, all.text], [204, ''])
})
