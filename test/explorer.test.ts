/** What a service says of itself, and the page that sends it. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { people, projectId, type Ground } from './support/api-double.ts'
import { dcsGround, wish } from './support/dcs-wire.ts'
import { endpoints } from '../src/api/dcs/endpoints.ts'

let g: Ground
dcsGround((ground) => { g = ground })
const { sha256, signed } = await import(new URL('../src/api/explorer/sign.js', import.meta.url).href) as { sha256(bytes: Uint8Array): Uint8Array; signed(what: object): Record<string, string> }

test('every service describes itself, and serves a page that loads nothing from elsewhere', async () => {
  for (const service of ['iam', 'dcs', 'dms', 'network', 'compute', 'console'] as const) {
    const { status, json } = await g.call(service, 'GET', '/openapi.json')
    assert.deepEqual([status, json.openapi], [200, '3.1.0'])
    const ids = Object.values(json.paths).flatMap((methods: any) => Object.values(methods).map((operation: any) => operation.operationId))
    assert.equal(new Set(ids).size, ids.length, 'operation ids are unique')
    const page = await g.call(service, 'GET', '/docs')
    assert.match(String(page.headers['content-type']), /^text\/html/)
    assert.match(String(page.headers['content-security-policy']), /default-src 'none'/)
    assert.doesNotMatch(page.text, /https?:\/\//)
    for (const [, path] of page.text.matchAll(/src="([^"]+)"/g)) assert.equal((await g.call(service, 'GET', `/${path}`)).status, 200)
    assert.equal((await g.call(service, 'GET', '/docs/sign.js')).status, 200)
  }
})

test('the description of DCS has every route, with fields and codes where the documents list them', async () => {
  const { paths } = (await g.call('dcs', 'GET', '/openapi.json')).json
  const create = paths['/v2/{project_id}/instances'].post
  assert.deepEqual([create.operationId, create['x-iam-action'], create.requestBody.content['application/json'].schema.properties.spec_code.type], ['CreateInstance', 'dcs:instance:create', 'string'])
  assert.ok('204' in paths['/v2/{project_id}/instances/{instance_id}'].delete.responses)
  assert.ok(paths['/v2/{project_id}/instances'].get.parameters.some((one: any) => one.name === 'name_equal' && one.in === 'query'))
  assert.deepEqual(paths['/'].get.security, [])
  // Every documented endpoint is there, be it to say why not.
  assert.deepEqual(endpoints.filter(({ method, path }) => !Object.entries(paths).some(([known, methods]: [string, any]) => known.replaceAll(/\{\w+\}/g, '{}') === path.replaceAll(/\{\w+\}/g, '{}') && method.toLowerCase() in methods)), [])
  const names = new Set(Object.values(paths).flatMap((methods: any) => Object.values(methods).map((one: any) => one.operationId)))
  assert.ok(endpoints.filter(({ tier, path }) => tier === 'S' && path.startsWith('/v2')).every(({ operation }) => names.has(operation)))
})

test("the page's own arithmetic is SHA-256", () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 119, 1000, 70_000]) {
    const bytes = randomBytes(length)
    assert.deepEqual(Buffer.from(sha256(bytes)), createHash('sha256').update(bytes).digest())
  }
})

test('what the page signs, the server takes: bodies, odd queries, and nothing else', async () => {
  const host = `127.0.0.1:${g.base + 1}`
  const sign = (more: object) => signed({ host, path: `/v2/${projectId}/instances`, query: [], body: '', method: 'GET', accessKey: people.accessKey, secretKey: people.secretKey, now: new Date(g.clock.now), ...more })
  const body = JSON.stringify(wish({ name: 'from-the-page' }))
  const made = await g.call('dcs', 'POST', `/v2/${projectId}/instances`, { body, headers: { 'content-type': 'application/json', ...sign({ method: 'POST', body }) } })
  assert.equal(made.status, 200, made.text)
  const query: [string, string][] = [['name', "from-the-page"], ['tags', "a=b c*('~é"], ['include_failure', 'true']]
  assert.equal((await g.call('dcs', 'GET', `/v2/${projectId}/instances?${new URLSearchParams(query)}`, { headers: sign({ query }) })).status, 200)
  assert.equal((await g.call('dcs', 'GET', `/v2/${projectId}/instances`, { headers: sign({ secretKey: 'wrong' }) })).status, 401)
})
