/** Signed requests: both forms are accepted, and nothing that a signature covers can be changed. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as fc from 'fast-check'
import { ground, otherProjectId, people, projectId, type Ground } from './support/api-double.ts'
import { sign, type Signable } from './support/signer.ts'

let g: Ground
let id: string
before(async () => { g = await ground(); id = g.seed('redis', { status: 'createfailed' }) })
after(() => g.listening.close())

const key = { access: people.accessKey, secret: people.secretKey }
const forms = ['access', 'credential'] as const
const json = { 'content-type': 'application/json' }
const host = (port = 1): Record<string, string> => ({ host: `127.0.0.1:${g.base + port}` })
const flush = (): Signable => ({ method: 'PUT', path: `/v2/${projectId}/instances/status`, headers: { ...host(), ...json }, body: JSON.stringify({ action: 'flush', instances: [id] }) })
const list = (query = ''): Signable => ({ method: 'GET', path: `/v2/${projectId}/instances${query}`, headers: host(), body: '' })
const send = (request: Signable, headers: Record<string, string>) => g.call('dcs', request.method, request.path, { ...(request.body === '' ? {} : { body: request.body }), headers })
const signed = (request: Signable, form: 'access' | 'credential' = 'access', at = g.clock.now) => send(request, sign(request, key, at, form))
const refusedAs = (r: { status: number; json: any }, code = 'APIGW.0301') => { assert.equal(r.status, 401, JSON.stringify(r.json)); assert.equal(r.json.error_code, code) }

test('both forms are accepted, with bodies, queries and encoded paths', async () => {
  for (const form of forms) {
    assert.equal((await signed(list(), form)).status, 200)
    assert.equal((await signed(list('?offset=0&name=a%20b%2Bc~%2A%C3%A9&limit=7'), form)).status, 200)
    // The state forbids it, which only an accepted signature gets to hear.
    assert.equal((await signed(flush(), form)).json.error_code, 'DCS.4026')
    assert.equal((await signed({ ...list(), path: `/v2/${projectId}/instances/a%20b` }, form)).json.error_code, 'DCS.4061')
  }
})

test('a query with an asterisk as it is, a value given twice and a blank as plus verify like their encoded forms', async () => {
  for (const path of ['?name=a*b', '?tags=b&tags=a', '?name=a+b', '?name=']) assert.equal((await signed(list(path))).status, 200, path)
})

test('a POST without a body may be signed over its query, in the Credential form only', async () => {
  const post: Signable = { method: 'POST', path: `/v2/${projectId}/instances?a=b%20c&d=`, headers: host(), body: '' }
  assert.equal((await signed(post, 'credential')).json.error_code, 'DCS.4004')
  assert.equal((await signed(post, 'access')).json.error_code, 'DCS.4004')
  const { authorization } = sign(post, key, g.clock.now, 'credential')
  refusedAs(await send({ ...post, path: post.path.replace('a=b', 'a=c') }, { ...sign(post, key, g.clock.now, 'credential'), authorization: authorization! }))
})

test('a GET with a body is hashed with it', async () => {
  const get: Signable = { method: 'GET', path: '/v3/projects?name=eu-de', headers: { ...host(0), ...json }, body: '{}' }
  const headers = sign(get, key, g.clock.now)
  assert.equal((await g.call('iam', 'GET', get.path, { body: '{}', headers })).json.projects.length, 1)
  assert.equal((await g.call('iam', 'GET', get.path, { body: '[]', headers })).status, 401)
})

test('the clock may differ by fifteen minutes, and by no second more', async () => {
  const edge = 15 * 60_000
  for (const at of [-edge, edge]) assert.equal((await signed(list(), 'access', g.clock.now + at)).status, 200)
  for (const at of [-edge - 1000, edge + 1000, -86_400_000, 86_400_000]) for (const form of forms) refusedAs(await signed(list(), form, g.clock.now + at))
  const headers = sign(list(), key, g.clock.now)
  for (const date of ['20261121T094500', '2026-11-21T09:45:00Z', '', '20261332T094500Z']) refusedAs(await send(list(), { ...headers, 'x-sdk-date': date }))
})

test('host and x-sdk-date must be signed, and what is signed must be there', async () => {
  const headers = sign(list(), key, g.clock.now)
  for (const drop of ['host', 'x-sdk-date']) {
    const names = ['host', 'x-sdk-date'].filter((name) => name !== drop).join(';')
    const answer = await send(list(), { ...headers, authorization: headers['authorization']!.replace('host;x-sdk-date', names) })
    refusedAs(answer)
    assert.match(answer.json.error_msg, /host and x-sdk-date must be among the signed headers/)
  }
  // The official Go SDK never signs the host, and says who it is.
  refusedAs(await signed({ ...list(), headers: { 'user-agent': 'go' } }))
  assert.equal((await signed({ ...list(), headers: { 'user-agent': 'huaweicloud-usdk-go/3.0' } })).status, 200)
  // What it looks up by itself comes under the name of Go's HTTP client, and that name is not signed.
  for (const [path, status] of [['/v3/projects?name=eu-de', 200], ['/v3/auth/domains', 200], ['/v3/auth/catalog', 401]] as const) {
    const lookup: Signable = { method: 'GET', path, headers: {}, body: '' }
    assert.equal((await g.call('iam', 'GET', path, { headers: { ...sign(lookup, key, g.clock.now), 'user-agent': 'Go-http-client/1.1' } })).status, status, path)
  }
  const more = sign({ ...list(), headers: { ...host(), 'x-extra': '1' } }, key, g.clock.now)
  delete more['x-extra']
  refusedAs(await send(list(), more))
})

test('the Credential date must be the date of x-sdk-date', async () => {
  const headers = sign(list(), key, g.clock.now, 'credential')
  refusedAs(await send(list(), { ...headers, authorization: headers['authorization']!.replace('20261121/', '20261120/') }))
})

test('x-sdk-content-sha256 must be the hash of the body; UNSIGNED-PAYLOAD is not for JSON', async () => {
  const lie = { ...flush(), headers: { ...flush().headers, 'x-sdk-content-sha256': 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' } }
  refusedAs(await signed(lie))
  refusedAs(await signed({ ...flush(), headers: { ...flush().headers, 'x-sdk-content-sha256': 'UNSIGNED-PAYLOAD' } }))
  const { 'content-type': _, ...bare } = flush().headers
  refusedAs(await signed({ ...flush(), headers: { ...bare, 'x-sdk-content-sha256': 'UNSIGNED-PAYLOAD' } }))
  const text = await signed({ ...flush(), headers: { ...bare, 'content-type': 'text/plain', 'x-sdk-content-sha256': 'UNSIGNED-PAYLOAD' } })
  assert.equal(text.json.error_code, 'DCS.4005')
})

test('a signature covers every project of its domain and no other; an X-Project-Id must be the project in the path', async () => {
  const at = (project: string): Signable => ({ ...list(), path: `/v2/${project}/instances` })
  assert.equal((await signed(at(otherProjectId))).status, 200)
  for (const project of ['e'.repeat(32), 'f'.repeat(32)]) refusedAs(await signed(at(project)), 'DCS.1004')
  assert.equal((await signed({ ...list(), headers: { ...host(), 'x-project-id': projectId } })).status, 200)
  refusedAs(await signed({ ...list(), headers: { ...host(), 'x-project-id': otherProjectId } }), 'DCS.1004')
  assert.equal((await signed(at('%7Bproject_id%7D'))).json.error_code, 'DCS.4002')
})

test('unknown keys, other keys and malformed headers are refused alike', async () => {
  refusedAs(await send(list(), sign(list(), { ...key, access: 'NOBODY' }, g.clock.now)))
  refusedAs(await send(list(), sign(list(), { ...key, secret: 'wrong' }, g.clock.now)))
  for (const authorization of ['SDK-HMAC-SHA256', 'SDK-HMAC-SHA256 Access=a', 'Basic YTpi', 'Bearer x', 'V11-HMAC-SHA256 Credential=x']) refusedAs(await send(list(), { ...host(), authorization }))
})

test('flipping any byte of what is signed ends in 401, or finds no route, and changes nothing', async () => {
  const wishes = g.wishes.length
  const target = g.seed('redis')
  const bodies = JSON.stringify({ action: 'restart', instances: [target] })
  await fc.assert(fc.asyncProperty(
    fc.constantFrom(...forms), fc.constantFrom('path', 'query', 'body', 'header', 'authorization', 'method'), fc.nat(), fc.integer({ min: 1, max: 127 }),
    async (form, part, position, mask) => {
      const request: Signable = { method: 'PUT', path: `/v2/${projectId}/instances/status?note=abc&note2=d`, headers: { ...host(), ...json, 'user-agent': 'probe' }, body: bodies }
      const headers = sign(request, key, g.clock.now, form)
      const flip = (text: string): string | null => {
        const at = position % text.length
        const code = text.charCodeAt(at) ^ mask
        // What is no character of a request line or header does not come through HTTP as a change of that character.
        return code <= 32 || code >= 127 ? null : text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1)
      }
      const changed = { ...request }
      const changedHeaders = { ...headers }
      const [path, query] = request.path.split('?') as [string, string]
      if (part === 'method') changed.method = ['GET', 'POST', 'DELETE'][position % 3]!
      else if (part === 'header') {
        const name = ['host', 'content-type', 'user-agent', 'x-sdk-date'][position % 4]!
        const value = flip(headers[name]!)
        if (value === null) return
        changedHeaders[name] = value
      } else {
        const value = flip({ path, query, body: request.body, authorization: headers['authorization']! }[part]!)
        if (value === null) return
        if (part === 'path') Object.assign(changed, { path: `${value}?${query}` })
        if (part === 'query') Object.assign(changed, { path: `${path}?${value}` })
        if (part === 'body') Object.assign(changed, { body: value })
        if (part === 'authorization') changedHeaders['authorization'] = value
      }
      const r = await send(changed, changedHeaders)
      assert.ok(r.status === 401 || (part === 'path' || part === 'method') && [400, 404, 405].includes(r.status), `${part} ${position} ${mask}: ${r.status} ${r.text}`)
    },
  ), { numRuns: 1500 })
  assert.equal(g.wishes.length, wishes)
  assert.deepEqual(g.errors, [])
})
