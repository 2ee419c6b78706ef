/** Users, roles, keys and projects: made by the CLI, believed by every service and every control plane, and kept. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { ask } from './support/postgres.ts'
import { makeServer, redisBody, root, sibling, until, type Answer, type Server, type Service } from './support/server.ts'
import { sign } from './support/signer.ts'

for (const database of ['SQLite', 'PostgreSQL'] as const) describe(`people, on ${database}`, { concurrency: false }, () => {
  let server: Server
  /** Another control plane where there can be one, else the same. */
  let other: Server
  let redis: string
  const shared = database === 'PostgreSQL'
  before(async () => {
    server = await makeServer(shared ? { SLUICE_TEST_DATABASE: 'postgres' } : { SLUICE_DATABASE_URL: '' })
    await server.start()
    other = shared ? await sibling(server) : server
    if (shared) await other.start()
    redis = await server.createRedis('people')
    await server.running('dcs', redis)
  })
  after(async () => { if (shared) await other?.destroy(); await server?.destroy() })

  const admin = (method: string, path: string, body?: unknown): Promise<Answer> => server.call('console', method, path, body)
  const logIn = async (name: string, password: string, scope: unknown = { project: { id: server.project } }, on = server): Promise<Answer> => on.call('iam', 'POST', '/v3/auth/tokens', { auth: { identity: { methods: ['password'], password: { user: { name, password, domain: { name: 'sluice' } } } }, scope } }, { 'x-auth-token': '' })
  const tokenOf = async (...args: Parameters<typeof logIn>): Promise<string> => {
    const r = await logIn(...args)
    assert.equal(r.status, 201, r.text)
    return r.headers.get('x-subject-token')!
  }
  const as = (token: string, on = server) => (service: Service, method: string, path: string, body?: unknown, more: Record<string, string> = {}): Promise<Answer> => on.call(service, method, path, body, { 'x-auth-token': token, ...more })
  const restart = { action: 'restart', instances: ['00000000-0000-4000-8000-000000000000'] }
  const status = (): string => `/v2/${server.project}/instances/status`

  test('a user of one role in one project sees that project and does no more than the role allows, on every control plane', async () => {
    const made = await admin('POST', '/v1/users', { name: 'bob', password: 'Bobs-Passw0rd', roles: [{ role: 'readonly', project_id: server.project }] })
    assert.equal(made.status, 201, made.text)
    const elsewhere = (await server.call('iam', 'POST', '/v3/projects', { project: { name: 'elsewhere' } })).json.project.id
    for (const plane of [server, other]) {
      const token = await tokenOf('bob', 'Bobs-Passw0rd', { project: { name: 'eu-de_test' } }, plane)
      const call = as(token, plane)
      assert.equal((await call('dcs', 'GET', `/v2/${server.project}/instances`)).json.instance_num, 1)
      const refused = await call('dcs', 'PUT', status(), restart)
      assert.deepEqual([refused.status, refused.json.error_code], [403, 'DCS.3002'])
      assert.equal((await call('dms', 'POST', `/v2/${server.project}/instances/action`, restart)).json.error_code, 'DMS.00403002')
      assert.equal((await call('console', 'GET', '/v1/users')).status, 403)
      assert.equal((await call('console', 'GET', '/v1/users/bob')).json.user.roles[0].project, 'eu-de_test')
      assert.equal((await call('console', 'POST', '/v1/down')).status, 403)
      assert.deepEqual((await call('iam', 'GET', '/v3/projects')).json.projects.map((project: any) => project.id), [server.project])
      assert.equal((await logIn('bob', 'Bobs-Passw0rd', { project: { id: elsewhere } }, plane)).status, 401)
      assert.equal((await logIn('bob', 'Bobs-Passw0rd', { domain: { name: 'sluice' } }, plane)).json.token.domain.name, 'sluice')
    }
  })

  test('a role of our own allows what it names; the task and the audit row say who it was', async () => {
    const rule = (...actions: string[]): object => ({ description: '', rules: [{ effect: 'allow', actions }] })
    assert.equal((await admin('PUT', '/v1/roles/restarter', rule('dcs:instance:modifyStatus', 'dcs:instance:get*'))).status, 204)
    assert.match((await admin('PUT', '/v1/roles/typo', rule('dcs:instance:modifystatus'))).text, /covers no action/)
    assert.equal((await admin('POST', '/v1/users/bob/roles', { role: 'restarter' })).status, 204)
    const bob = as(await tokenOf('bob', 'Bobs-Passw0rd', { project: { id: server.project } }, other), other)
    const done = await bob('dcs', 'PUT', status(), { ...restart, instances: [redis] })
    assert.equal(done.json.results[0].result, 'success', done.text)
    assert.equal((await bob('dcs', 'DELETE', `/v2/${server.project}/instances/${redis}`)).json.error_code, 'DCS.2007')
    const { tasks } = (await server.dcs('GET', `/instances/${redis}/tasks`)).json
    assert.equal(tasks.find((task: any) => task.id === done.json.results[0].task_id).user_name, 'bob')
    assert.equal((await admin('DELETE', '/v1/roles/restarter')).status, 409, 'somebody has it')
    assert.equal((await admin('DELETE', '/v1/users/bob/roles/restarter')).status, 204)
    assert.equal((await bob('dcs', 'PUT', status(), restart)).json.error_code, 'DCS.3002', 'the same token, at once')
    assert.equal((await admin('DELETE', '/v1/roles/restarter')).status, 204)
    await server.running('dcs', redis)
  })

  test('a key signs for its user, until it is deleted', async () => {
    const { access_key: access, secret_key: secret } = (await admin('POST', '/v1/users/bob/keys', {})).json
    const signed = (on: Server, method: string, path: string, body = ''): Promise<Answer> => on.call('dcs', method, path, body || undefined, { ...sign({ method, path, headers: { host: `127.0.0.1:${on.base + 1}`, 'content-type': 'application/json' }, body }, { access, secret }, Date.now()), 'x-auth-token': '' })
    const listing = `/v2/${server.project}/instances`
    for (const plane of [server, other]) assert.equal((await signed(plane, 'GET', listing)).status, 200)
    assert.equal((await signed(other, 'PUT', status(), JSON.stringify(restart))).json.error_code, 'DCS.3002')
    assert.equal((await admin('DELETE', `/v1/users/bob/keys/${access}`)).status, 204)
    for (const plane of [server, other]) assert.equal((await signed(plane, 'GET', listing)).json.error_code, 'APIGW.0301')
  })

  test('a revoked token is a wrong one, everywhere and after kill -9; others of the same user stay', async () => {
    const [gone, kept] = [await tokenOf('bob', 'Bobs-Passw0rd'), await tokenOf('bob', 'Bobs-Passw0rd')]
    const subject = { 'x-subject-token': gone }
    assert.equal((await as(gone)('iam', 'HEAD', '/v3/auth/tokens', undefined, subject)).status, 200)
    assert.equal((await as(kept)('iam', 'GET', '/v3/auth/tokens', undefined, { 'x-subject-token': await tokenOf('admin', 'Test-Passw0rd') })).status, 403, "another user's")
    assert.equal((await as(gone)('iam', 'DELETE', '/v3/auth/tokens', undefined, subject)).status, 204)
    const wrong = async (plane: Server): Promise<void> => {
      assert.equal((await as(gone, plane)('dcs', 'GET', `/v2/${server.project}/instances`)).json.error_code, 'DCS.1001')
      assert.equal((await as(kept, plane)('dcs', 'GET', `/v2/${server.project}/instances`)).status, 200)
      assert.equal((await as(kept, plane)('iam', 'GET', '/v3/auth/tokens', undefined, subject)).status, 404)
      assert.equal((await plane.call('iam', 'POST', '/v3/auth/tokens', { auth: { identity: { methods: ['token'], token: { id: gone } } } })).status, 401)
    }
    for (const plane of [other, server]) await wrong(plane)
    await server.end('SIGKILL')
    await server.start()
    await wrong(server)
  })

  test('another password ends every token; a deleted user is nobody', async () => {
    const token = await tokenOf('bob', 'Bobs-Passw0rd', undefined, other)
    const id = (await as(token)('iam', 'GET', '/v3/auth/tokens', undefined, { 'x-subject-token': token })).json.token.user.id
    const change = (body: object) => as(token)('iam', 'POST', `/v3/users/${id}/password`, { user: body })
    assert.equal((await change({ original_password: 'wrong', password: 'Bobs-Passw1rd' })).status, 401)
    assert.equal((await change({ original_password: 'Bobs-Passw0rd', password: 'short' })).status, 400)
    assert.equal((await change({ original_password: 'Bobs-Passw0rd', password: 'Bobs-Passw1rd' })).status, 204)
    assert.equal((await as(token, other)('dcs', 'GET', `/v2/${server.project}/instances`)).status, 401)
    assert.equal((await logIn('bob', 'Bobs-Passw0rd')).status, 401)
    const next = await tokenOf('bob', 'Bobs-Passw1rd')
    assert.equal((await admin('DELETE', '/v1/users/bob')).status, 204)
    assert.equal((await as(next, other)('dcs', 'GET', `/v2/${server.project}/instances`)).status, 401)
    assert.equal((await logIn('bob', 'Bobs-Passw1rd', undefined, other)).status, 401)
  })

  test('the first user and the built-in roles stay as they are; names are taken once', async () => {
    for (const [method, path, body] of [['PUT', '/v1/users/admin/password', { password: 'Another-Passw0rd' }], ['DELETE', '/v1/users/admin'], ['PUT', '/v1/roles/admin', { rules: [{ effect: 'deny', actions: ['*'] }] }]] as const) assert.equal((await admin(method, path, body)).json.error_code, 'SLUICE.0421')
    const made = await Promise.all([server, other].map((plane) => plane.call('console', 'POST', '/v1/users', { name: 'twin', password: 'Twins-Passw0rd' })))
    assert.deepEqual(made.map((r) => r.status).toSorted(), [201, 409])
    for (const body of [{ name: 'admin', password: 'Admins-Passw0rd' }, { name: 'sluice', password: 'Admins-Passw0rd' }]) assert.equal((await server.call('console', 'POST', '/v1/users', body)).status, 409)
    for (const body of [{ name: '', password: 'Admins-Passw0rd' }, { name: 'x', password: 'short' }, { name: 'x', password: 'Long-enough', roles: [{}] }, { name: 'x', password: 'Long-enough', roles: 'admin' }]) assert.equal((await server.call('console', 'POST', '/v1/users', body)).status, 400, JSON.stringify(body))
    assert.equal((await server.call('console', 'POST', '/v1/users', { name: 'x', password: 'Long-enough', roles: [{ role: 'nothing' }] })).status, 404)
    assert.deepEqual((await server.call('iam', 'GET', '/v3/users?name=twin')).json.users.map((user: any) => user.name), ['twin'])
  })

  test('a project goes when it has no instances, and its roles with it', async () => {
    const { id } = (await admin('POST', '/v1/projects', { name: 'short-lived' })).json.project
    assert.equal((await admin('POST', '/v1/users/twin/roles', { role: 'admin', project_id: id })).status, 204)
    const twin = as(await tokenOf('twin', 'Twins-Passw0rd', { project: { id } }))
    const made = await twin('dcs', 'POST', `/v2/${id}/instances`, redisBody('in-the-way'))
    assert.equal(made.status, 200, made.text)
    const lasting = tokenOf('admin', 'Test-Passw0rd', { project: { id } })
    const instance = `/v2/${id}/instances/${made.json.instances[0].instance_id}`
    assert.deepEqual([await admin('DELETE', `/v1/projects/${server.project}`), await admin('DELETE', `/v1/projects/${id}`)].map((r) => r.json.error_code), ['SLUICE.0421', 'SLUICE.0422'])
    await until('it to be deletable', async () => (await twin('dcs', 'DELETE', instance)).status === 204)
    await until('the project to be empty', async () => (await admin('DELETE', `/v1/projects/${id}`)).status === 204)
    for (const plane of [server, other]) assert.equal((await as(await lasting, plane)('dcs', 'GET', instance)).json.error_code, 'DCS.1004', 'also for whoever has a token for it')
    assert.equal((await logIn('twin', 'Twins-Passw0rd', { project: { id } }, other)).status, 401)
  })

  test('what is stored tells no password and no secret', async () => {
    const { secret_key: secret } = (await server.call('console', 'POST', '/v1/users/twin/keys', {})).json
    assert.match(secret, /^[\w-]{40}$/)
    const stored = shared ? JSON.stringify(await Promise.all(['users', 'access_keys', 'audit', 'settings'].map(async (table) => (await ask(server.env['SLUICE_DATABASE_URL']!, `select * from ${table}`)).rows)))
      : readdirSync(server.home).filter((name) => name.startsWith('sluice.db')).map((name) => readFileSync(join(server.home, name), 'latin1')).join('')
    assert.match(stored, /scrypt:/)
    for (const text of ['Twins-Passw0rd', 'Bobs-Passw', secret]) assert.ok(!stored.includes(text), text)
    assert.doesNotMatch(server.log() + other.log(), /Passw0rd/)
    await until('quiet', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0)
  })
})

test('the same from the command line', async () => {
  const server = await makeServer({ SLUICE_DATABASE_URL: '' })
  try {
    await server.start()
    const sluice = (args: readonly string[], input = '', env: NodeJS.ProcessEnv = {}): Promise<{ code: number | null; out: string; err: string }> => new Promise((done) => {
      const child = spawn(process.execPath, [join(root, 'bin/sluice.js'), ...args], { env: { ...server.env, ...env } })
      let [out, err] = ['', '']
      child.stdout.on('data', (data) => { out += data })
      child.stderr.on('data', (data) => { err += data })
      child.stdin.end(input)
      child.on('exit', (code) => done({ code, out, err }))
    })
    const done = async (args: readonly string[], input = ''): Promise<string> => {
      const r = await sluice(args, input)
      assert.equal(r.code, 0, `${args.join(' ')}: ${r.err}`)
      return r.out
    }
    assert.match(await done(['role', 'write', 'restarter', '--allow', 'dcs:instance:modifyStatus', '--deny', 'dcs:instance:delete']), /allow dcs:instance:modifyStatus; deny dcs:instance:delete/)
    const made = await done(['user', 'create', 'bob', '--role', 'restarter', '--role', 'readonly', '--project', 'eu-de_test'])
    assert.match(made, /^bob  readonly in eu-de_test, restarter in eu-de_test {2}/)
    assert.match(await sluice(['ps'], '', { SLUICE_USER: 'bob', SLUICE_PASSWORD: /password: (\S+)/.exec(made)![1]! }).then((r) => r.out), /^INSTANCE/)
    assert.match(await done(['user', 'keys', 'create', 'bob']), /access key: [0-9A-F]{20}\nsecret key: \S{40}/)
    await done(['user', 'set-password', 'bob', '--password-stdin'], 'Bobs-Passw0rd\n')
    assert.match(await done(['user', 'list']), /bob .*restarter in eu-de_test/)
    assert.equal((await sluice(['user', 'delete', 'bob'])).code, 3)
    await done(['user', 'delete', 'bob', '--yes'])
    assert.match(await done(['project', 'create', 'another']), /^another  [0-9a-f]{32}$/m)
  } finally { await server.destroy() }
})
