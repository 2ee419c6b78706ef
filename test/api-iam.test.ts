/** Keystone as cloud clients use it: versions, tokens, scopes, catalog, projects. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as fc from 'fast-check'
import { ground, otherProjectId, people, projectId, type Ground } from './support/api-double.ts'

let g: Ground
before(async () => { g = await ground() })
after(() => g.listening.close())

const json = { 'content-type': 'application/json' }
const user = { name: people.user, password: people.password, domain: { name: people.domain } }
const logIn = (auth: unknown, query = '') => g.call('iam', 'POST', `/v3/auth/tokens${query}`, { body: JSON.stringify({ auth }), headers: json })
const byPassword = (scope?: unknown, who: object = user) => logIn({ identity: { methods: ['password'], password: { user: who } }, ...(scope === undefined ? {} : { scope }) })

test('discovery needs no token: 300 with versions, 200 with one', async () => {
  const root = await g.call('iam', 'GET', '/')
  assert.equal(root.status, 300)
  assert.match(root.json.versions.values[0].id, /v3/)
  assert.equal(root.json.versions.values[0].links[0].rel, 'self')
  for (const path of ['/v3', '/v3/']) assert.equal((await g.call('iam', 'GET', path)).json.version.status, 'stable')
})

test('the headers of an answer are spelled as documented: the Java SDK finds no X-Subject-Token in other letters', async () => {
  const { rawHeaders } = await byPassword()
  for (const name of ['X-Subject-Token', 'X-Request-Id', 'X-IAM-Trace-Id']) assert.equal(rawHeaders.filter((one) => one === name).length, 1, name)
})

test('a password gets a token for a project by id, by name, for the domain, for nothing, and for the default project', async () => {
  const cases: [unknown, string | undefined, string | undefined][] = [
    [{ project: { id: projectId } }, projectId, undefined], [{ project: { id: projectId.toUpperCase() } }, projectId, undefined],
    [{ project: { name: 'eu-de_other', domain: { name: people.domain } } }, otherProjectId, undefined], [{ project: { name: 'eu-de_other' } }, otherProjectId, undefined],
    [{ domain: { name: people.domain } }, undefined, people.domain], ['unscoped', undefined, undefined], [undefined, projectId, undefined],
  ]
  for (const [scope, project, domain] of cases) {
    const r = await byPassword(scope)
    assert.equal(r.status, 201, JSON.stringify(scope))
    assert.ok(r.headers['x-subject-token'])
    assert.equal(r.json.token.project?.id, project)
    assert.equal(r.json.token.domain?.name, domain)
    assert.ok(Math.abs(Date.parse(r.json.token.expires_at) - g.clock.now - 86_400_000) < 1000)
    assert.equal(r.json.token.user.domain.name, people.domain)
  }
})

test('every wrong log-in says the same', async () => {
  const wrong = [
    await byPassword(undefined, { ...user, password: 'no' }), await byPassword(undefined, { ...user, name: 'nobody' }),
    await byPassword(undefined, { ...user, domain: { name: 'other' } }), await byPassword({ project: { id: 'f'.repeat(32) } }),
    await byPassword({ project: { name: 'foreign' } }), await byPassword({ domain: { name: 'other' } }),
    await logIn({ identity: { methods: ['token'], token: { id: 'forged.token' } } }),
  ]
  for (const r of wrong) {
    assert.equal(r.status, 401)
    assert.deepEqual(r.json, { error: { code: 401, message: 'The request you have made requires authentication.', title: 'Unauthorized' } })
    assert.equal(r.headers['x-subject-token'], undefined)
  }
})

test('a token makes another token, which ends no later', async () => {
  const token = await g.token()
  const first = g.clock.now
  g.clock.now += 3600_000
  const r = await logIn({ identity: { methods: ['token'], token: { id: token } }, scope: { project: { id: otherProjectId } } })
  assert.equal(r.status, 201)
  assert.equal(Date.parse(r.json.token.expires_at), first + 86_400_000)
  g.clock.now = first
})

test('the catalog holds what each client takes apart', async () => {
  const { json: { token } } = await byPassword({ project: { id: projectId } })
  const url = (type: string): string => token.catalog.find((entry: any) => entry.type === type).endpoints[0].url
  const { iam, dcs, dms } = g.listening.urls
  assert.deepEqual(['identity', 'dcsv1', 'dcs', 'dmsv1', 'dmsv2', 'dms'].map(url), [`${iam}/v3`, `${dcs}/v1.0/${projectId}`, `${dcs}/v1.0/${projectId}`, `${dms}/v1.0/${projectId}`, `${dms}/v2/${projectId}`, `${dms}/v1.0`])
  assert.ok(token.catalog.every((entry: any) => entry.endpoints[0].interface === 'public' && entry.endpoints[0].region === people.region))
  assert.equal((await logIn({ identity: { methods: ['password'], password: { user } } }, '?nocatalog')).json.token.catalog, undefined)
})

test('a token can be shown, and its own comes back in the header', async () => {
  const token = await g.token()
  const r = await g.call('iam', 'GET', '/v3/auth/tokens', { headers: { 'x-auth-token': token, 'x-subject-token': token } })
  assert.equal(r.status, 200)
  assert.equal(r.headers['x-subject-token'], token)
  assert.equal((await g.call('iam', 'GET', '/v3/auth/tokens', { headers: { 'x-auth-token': token, 'x-subject-token': `${token}x` } })).status, 404)
})

test('projects, domains and regions; the name filter is exact; a new project is a tenant of its own', async () => {
  const headers = { 'x-auth-token': await g.token(), ...json }
  const get = async (path: string) => (await g.call('iam', 'GET', path, { headers })).json
  assert.equal((await get('/v3/projects')).projects.length, 2)
  assert.deepEqual((await get('/v3/projects?name=eu-de')).projects.map((project: any) => project.id), [projectId])
  assert.deepEqual((await get('/v3/projects?name=eu')).projects, [])
  assert.equal((await get('/v3/auth/projects')).projects.length, 2)
  assert.equal((await get(`/v3/projects/${projectId}`)).project.name, 'eu-de')
  assert.equal((await get(`/v3/projects/${'e'.repeat(32)}`)).error.code, 404, 'another domain\'s project')
  assert.equal((await get(`/v3/auth/domains?name=${people.domain}`)).domains.length, 1)
  assert.equal((await get('/v3/auth/domains?name=x')).domains.length, 0)
  assert.equal((await get('/v3/regions')).regions[0].type, 'public')
  const make = (project: unknown) => g.call('iam', 'POST', '/v3/projects', { body: JSON.stringify({ project }), headers })
  const made = await make({ name: 'eu-de_new' })
  assert.equal(made.status, 201)
  assert.match(made.json.project.id, /^[0-9a-f]{32}$/)
  assert.equal((await make({ name: 'eu-de_new' })).status, 409)
  assert.equal((await make({ name: '' })).status, 400)
  assert.equal((await make({ name: 'x', domain_id: 'other' })).status, 403)
  const token = await g.token({ project: { id: made.json.project.id } })
  assert.equal((await g.call('dcs', 'GET', `/v2/${made.json.project.id}/instances`, { headers: { 'x-auth-token': token } })).status, 200)
})

test('Keystone envelopes: no token, unknown route, wrong method, large body', async () => {
  assert.equal((await g.call('iam', 'GET', '/v3/projects')).json.error.code, 401)
  assert.equal((await g.call('iam', 'GET', '/v2.0')).json.error.title, 'Not Found')
  assert.equal((await g.call('iam', 'DELETE', '/v3/projects')).json.error.code, 405)
  assert.equal((await g.call('iam', 'POST', '/v3/auth/tokens', { body: 'x'.repeat(1024 * 1024 + 1) })).status, 413)
})

test('no body makes a log-in anything but 400 or 401', async () => {
  const part = fc.letrec((tie) => ({ any: fc.oneof(fc.constantFrom<unknown>(null, true, 0, '', 'password', 'token', people.user, '\ud800', [], {}, ['password'], ['token']), fc.dictionary(fc.constantFrom('auth', 'identity', 'methods', 'password', 'user', 'name', 'id', 'domain', 'scope', 'project', 'token', '__proto__'), tie('any'), { maxKeys: 4 })) }))
  await fc.assert(fc.asyncProperty(fc.oneof(part.any.map((value) => JSON.stringify({ auth: value })), part.any.map((value) => JSON.stringify({ auth: { identity: value, scope: value } })), fc.string()), async (body) => {
    const r = await g.call('iam', 'POST', '/v3/auth/tokens', { body, headers: json })
    assert.ok(r.status === 400 || r.status === 401, `${body}: ${r.status}`)
    assert.equal(r.json.error.code, r.status)
  }), { numRuns: 800 })
  assert.deepEqual(g.errors, [])
})
