/** Users of a real instance: on every node, kept over restarts, and each with what it may do. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Redis } from 'ioredis'
import { flavor } from './crash/ha-ground.ts'
import { makeServer, nodePid, password, until, type Answer, type Server } from './support/server.ts'

let server: Server
let id: string
let instance: any
before(async () => {
  server = await makeServer()
  await server.start()
  id = await server.createRedis('peopled', flavor(2))
  instance = await server.running('dcs', id)
})
after(async () => { await server.destroy() })

const call = (method: string, more = '', body?: object): Promise<Answer> => server.dcs(method, `/instances/${id}/accounts${more}`, body)
const code = (answer: Answer): string => `${answer.status} ${answer.json?.error_code ?? ''}`
const list = async (): Promise<any[]> => (await call('GET')).json.accounts
const named = async (name: string): Promise<any> => (await list()).find((one) => one.account_name === name)

/** What the user is told for a command, on the instance's address or on another one. */
async function as(username: string, password: string, command: [string, ...string[]], host = instance.ip): Promise<string> {
  const redis = new Redis({ host, port: instance.port, username, password, protocol: 2, lazyConnect: true, enableReadyCheck: false, retryStrategy: () => null, maxRetriesPerRequest: 0, disableClientInfo: true })
  redis.on('error', () => {})
  try { return String(await redis.call(...command)) } catch (error) { return (error as Error).message.split(' ')[0]! } finally { redis.disconnect() }
}

test('accounts come and go on every node without a restart, and stay over one', async () => {
  assert.deepEqual((await list()).map((one) => [one.account_name, one.account_type, one.account_role]), [['default', 'default', 'write']])
  const pids = [nodePid(server.home, id, 0), nodePid(server.home, id, 1)]
  assert.equal(code(await call('POST', '', { account_name: 'writer', account_role: 'write', account_password: 'Writer-1234', description: 'writes' })), '204 ')
  assert.equal(code(await call('POST', '', { account_name: 'reader', account_role: 'read', account_password: 'Reader-1234' })), '204 ')
  const writer = await named('writer')
  assert.deepEqual([writer.account_type, writer.status, writer.description, writer.instance_id], ['normal', 'AVAILABLE', 'writes', id])
  assert.deepEqual([await as('writer', 'Writer-1234', ['SET', 'k', 'v']), await as('writer', 'wrong', ['GET', 'k'])], ['OK', 'WRONGPASS'])
  assert.deepEqual([await as('reader', 'Reader-1234', ['GET', 'k']), await as('reader', 'Reader-1234', ['SET', 'k', 'w'])], ['v', 'NOPERM'])
  assert.deepEqual([await as('writer', 'Writer-1234', ['ACL', 'USERS']), await as('writer', 'Writer-1234', ['REPLICAOF', 'NO', 'ONE'])], ['NOPERM', 'NOPERM'], 'no account may take the node away')
  const { node_ip: replica } = (await server.dcs('GET', `/instances/${id}/logical-nodes`)).json.nodes.find((node: any) => node.node_type === 'slave')
  assert.equal(await as('reader', 'Reader-1234', ['GET', 'k'], replica), 'v')

  const role = await call('PUT', `/${writer.account_id}/role`, { account_role: 'read' })
  assert.deepEqual([role.status, role.json.instance_id, (await server.dcs('GET', `/jobs/${role.json.job_id}`)).json.status], [200, id, 'SUCCESS'])
  assert.equal(await as('writer', 'Writer-1234', ['SET', 'k', 'w']), 'NOPERM')
  assert.equal(code(await call('PUT', `/${writer.account_id}`, { description: 'reads' })), '204 ')
  assert.deepEqual([(await named('writer')).description, (await named('writer')).account_role], ['reads', 'read'])
  assert.deepEqual([nodePid(server.home, id, 0), nodePid(server.home, id, 1)], pids, 'nothing was restarted')

  await server.end('SIGKILL')
  await server.start()
  assert.equal((await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })).status, 200)
  instance = await server.running('dcs', id)
  assert.deepEqual([await as('writer', 'Writer-1234', ['GET', 'k']), await as('reader', 'Reader-1234', ['SET', 'k', 'w'])], ['v', 'NOPERM'])
  assert.equal(code(await call('DELETE', `/${writer.account_id}`)), '204 ')
  assert.equal(await as('writer', 'Writer-1234', ['GET', 'k']), 'WRONGPASS')
  assert.equal(await named('writer'), undefined)
  assert.equal(code(await call('DELETE', `/${writer.account_id}`)), '400 DCS.4062')
})

test('a password is changed by who knows it, or reset, and five wrong tries lock it', async () => {
  const { account_id } = await named('reader')
  const modify = async (old: string, next: string): Promise<any> => (await call('PUT', `/${account_id}/password/modify`, { old_password: old, new_password: next })).json
  assert.equal((await modify('Reader-1234', 'Second-1234')).result, 'success')
  assert.deepEqual([await as('reader', 'Reader-1234', ['PING']), await as('reader', 'Second-1234', ['PING'])], ['WRONGPASS', 'PONG'])
  for (let left = 4; left >= 0; left -= 1) assert.deepEqual([(await modify('nonsense', 'Third-12345')).retry_times_left], [String(left)])
  assert.equal((await modify('Second-1234', 'Third-12345')).result, 'locked')
  const reset = await call('PUT', `/${account_id}/password/reset`, { new_password: 'Fourth-1234' })
  assert.deepEqual([reset.status, reset.json.code], [200, '1'])
  assert.equal(await as('reader', 'Fourth-1234', ['PING']), 'PONG')
  assert.equal((await modify('Fourth-1234', 'Fifth-12345')).result, 'success', 'a reset unlocks')
  // Nobody reads it back, wherever it was kept.
  const { json } = await server.call('console', 'GET', '/v1/operations')
  assert.ok(!JSON.stringify([json, await list(), server.log()]).match(/Fourth-1234|Fifth-12345/))
})

test('what is wrong with an account is said, and changes nothing', async () => {
  const good = { account_name: 'third', account_role: 'read', account_password: 'Third-12345' }
  const rows: [object, string][] = [[{ account_name: 'default' }, 'DCS.4062'], [{ account_name: 'sluice' }, 'DCS.4062'], [{ account_name: '1a' }, 'DCS.4062'], [{ account_name: 'x'.repeat(65) }, 'DCS.4062'], [{ account_role: 'admin' }, 'DCS.4062'], [{ account_password: 'short' }, 'DCS.4019'], [{ account_password: 'With:colon-1' }, 'DCS.4019'], [{ account_password: undefined }, 'DCS.4845'], [{ account_name: 'reader' }, 'DCS.4062']]
  for (const [wrong, want] of rows) assert.equal(code(await call('POST', '', { ...good, ...wrong })), `400 ${want}`, JSON.stringify(wrong))
  assert.deepEqual((await list()).map((one) => one.account_name), ['default', 'reader'])
  // Two at once: one is told to come again, or both are there.
  const answers = await Promise.all(['fourth', 'fifth'].map((account_name) => call('POST', '', { ...good, account_name })))
  const accepted = answers.filter(({ status }) => status === 204).length
  assert.ok(answers.every((answer) => ['204 ', '400 DCS.4114'].includes(code(answer))), answers.map(code).join())
  assert.equal((await list()).length, 2 + accepted)
  await until('nothing to be open', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0)
})

test('the command line runs single commands as the customer, and no dangerous ones', async () => {
  const web = (what: string, body: object): Promise<Answer> => server.dcs('POST', `/instances/${id}/webcli/${what}`, body)
  assert.equal(code(await web('auth', { password: 'wrong' })), '400 DCS.4080')
  const { json } = await web('auth', { password })
  assert.deepEqual([json.databases, /^[0-9a-f]{32}$/.test(json.client_id)], [256, true])
  const run = async (command: string, database = 0): Promise<string> => { const answer = await web('command', { client_id: json.client_id, command, database }); return answer.json.response ?? code(answer) }
  assert.deepEqual([await run('set "a key" "line\\nbreak"'), await run("get 'a key'"), await run('get nothing'), await run('rpush list 1 two'), await run('lrange list 0 -1')], ['OK', '"line\\nbreak"', '(nil)', '(integer) 2', '1) "1"\n2) "two"'])
  assert.deepEqual([await run('set there yes', 5), await run('get there', 5), await run('get there')], ['OK', '"yes"', '(nil)'])
  assert.match(await run('info server'), /redis_version/)
  assert.match(await run('get'), /^\(error\) ERR wrong number/)
  for (const command of ['flushall', 'KEYS *', 'config get maxmemory', 'client list', 'shutdown', 'subscribe x', 'multi', 'blpop list 0', 'acl list', 'debug sleep 1', 'eval "return 1" 0', 'select 3', 'monitor', 'replicaof no one', 'wait 1 0', 'auth default x']) assert.match(await run(command), /^\(error\) \S+ is not for this place/, command)
  assert.equal(await run('get "open'), '400 DCS.4062')
  assert.equal(code(await web('command', { client_id: '0'.repeat(32), command: 'ping' })), '400 DCS.4062')
  // It goes on after the control plane's death, ends with the logout, and with another password.
  await server.end('SIGKILL')
  await server.start()
  assert.equal(await run('ping'), 'PONG')
  const second = (await web('auth', { password })).json.client_id
  assert.equal(code(await web('logout', { client_id: json.client_id })), '204 ')
  assert.equal(await run('ping'), '400 DCS.4062')
  assert.equal((await server.dcs('POST', `/instances/${id}/password/reset`, { new_password: 'Another-1234' })).status, 200)
  assert.equal(code(await web('command', { client_id: second, command: 'ping' })), '400 DCS.4062')
  for (let n = 0; n < 5; n += 1) assert.equal(code(await web('auth', { password: 'wrong' })), '400 DCS.4080')
  assert.match((await web('auth', { password: 'Another-1234' })).text, /locked/)
})
