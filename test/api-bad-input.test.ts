/** Thousands of bad requests: each gets its documented status and code, changes nothing, and leaves the server up. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { after, before, beforeEach, afterEach, test } from 'node:test'
import * as fc from 'fast-check'
import { ground, projectId, type Ground } from './support/api-double.ts'

let g: Ground
let headers: Record<string, string>
let wishes: number
/** A Redis with one replica. */
let pair: string
before(async () => { g = await ground(); pair = g.seed('redis', { replicas: 2 }); headers = { 'x-auth-token': await g.token(), 'content-type': 'application/json' } })
beforeEach(() => { wishes = g.wishes.length })
afterEach(async () => {
  assert.equal(g.wishes.length, wishes, 'the control plane saw a wish')
  assert.deepEqual(g.errors, [], 'a fault was logged')
  assert.equal((await g.call('console', 'GET', '/healthz')).status, 200)
})
after(() => g.listening.close())

const dcs = `/v2/${projectId}/instances/status`
const dms = `/v2/${projectId}/instances/action`
const id = randomUUID()
const runs = { numRuns: 1500 }
const put = (body: string | Buffer, more: Record<string, string> = {}) => g.call('dcs', 'PUT', dcs, { body, headers: { ...headers, ...more } })
const post = (body: string | Buffer, more: Record<string, string> = {}) => g.call('dms', 'POST', dms, { body, headers: { ...headers, ...more } })
const both = async (body: string | Buffer, number: string, more: Record<string, string> = {}) => {
  const [a, b] = await Promise.all([put(body, more), post(body, more)])
  assert.deepEqual([a.status, a.json.error_code, b.status, b.json.error_code], [400, `DCS.4${number}`, 400, `DMS.00400${number}`], String(body).slice(0, 200))
}

const junk = fc.oneof(fc.constant(null), fc.boolean(), fc.double(), fc.string(), fc.constant('\ud800'), fc.constant({ ['__proto__']: { action: 'restart' } }), fc.array(fc.anything({ maxDepth: 2 }), { maxLength: 3 }), fc.object({ maxDepth: 2 }))
const deep = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
const text = (value: unknown): string => JSON.stringify(value) ?? 'null'

test('what is no JSON object is 4005', () => fc.assert(fc.asyncProperty(
  fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom('{', '{"action":"restart",}', "{'action':'restart'}", 'NaN', '[{}]', '"restart"', 'true', '{"a":1}{"a":1}', '\u0000'), fc.jsonValue().map(text))
    .filter((body) => { try { const value = JSON.parse(body); return typeof value !== 'object' || value === null || Array.isArray(value) } catch { return true } }),
  (body) => both(body, '005'),
), runs))

test('bytes that are no UTF-8 are 4005', () => fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 20 }), (bytes) => both(Buffer.concat([Buffer.from('{"action":"'), Buffer.from(bytes), Buffer.from([0xff]), Buffer.from('"}')]), '005')), { numRuns: 300 }))

test('another content type is 4005, whatever the body', () => fc.assert(fc.asyncProperty(
  fc.constantFrom('text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/xml', 'application/json; charset=latin1', 'application/jsonx', 'x', '/', 'application/octet-stream'),
  (type) => both(text({ action: 'restart', instances: [id] }), '005', { 'content-type': type }),
), { numRuns: 50 }))

test('an action that is none is 4064, however deep or odd', async () => {
  await fc.assert(fc.asyncProperty(junk, fc.boolean(), (action, withIds) => both(text({ action, ...(withIds ? { instances: [id] } : {}) }), '064')), runs)
  for (const body of ['{}', `{"action":${deep(100_000)}}`, `{"action":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}`, '{"__proto__":{"action":"restart"}}', '{"constructor":1}', '{"refused":"x"}', '{"code":"DCS.5000"}']) await both(body, '064')
  await both(deep(500_000), '005')
})

test('instances that are no list are 4065', () => fc.assert(fc.asyncProperty(junk.filter((value) => !Array.isArray(value) || value.length === 0), (instances) => both(text({ action: 'restart', instances }), '065')), runs))

test('more than fifty are 4100, whatever they are', () => fc.assert(fc.asyncProperty(fc.array(fc.oneof(fc.uuid(), junk), { minLength: 51, maxLength: 80 }), (instances) => both(text({ action: 'restart', instances }), '100')), { numRuns: 200 }))

test('an id that is no UUID is 4061, wherever it stands', () => fc.assert(fc.asyncProperty(
  fc.uniqueArray(fc.uuid(), { maxLength: 20 }), fc.oneof(junk, fc.constantFrom('../x', `${id}/..`, ` ${id}`, `${id}\n`, `{${id}}`, id.slice(1), id.replaceAll('-', ''), `${id}\u0000`, "' or 1=1 --", deep(1000))), fc.nat(20),
  (ids, wrong, at) => both(text({ action: 'restart', instances: ids.toSpliced(at, 0, wrong as string) }), '061'),
), runs))

test('ids in the path: anything but a UUID is 4061 or no route', () => fc.assert(fc.asyncProperty(
  fc.oneof(fc.string({ minLength: 1, maxLength: 60 }), fc.constantFrom('..', '.', '%2e%2e', `..%2f${id}`, `${id}%00`, '%ff', '%', '%zz', 'a'.repeat(5000), '%7Binstance_id%7D')).map((part) => /^[\w.%-]+$/.test(part) ? part : encodeURIComponent(part.toWellFormed())).filter((part) => part !== ''),
  fc.constantFrom('GET', 'DELETE'),
  async (part, method) => {
    for (const service of ['dcs', 'dms'] as const) {
      const r = await g.call(service, method, `/v2/${projectId}/instances/${part}`, { headers })
      const code = service === 'dcs' ? ['DCS.4061', 'DCS.4001', 'DCS.5001'] : ['DMS.00400061', 'DMS.00404001', 'DMS.00405001']
      assert.ok(code.includes(r.json.error_code), `${part}: ${r.status} ${r.text}`)
    }
  },
), { numRuns: 500 }))

test('resize and priority: junk in any field is a documented 400, for a real instance', async () => {
  const fields = ['spec_code', 'new_capacity', 'change_type', 'node_list', 'available_zones', 'execute_immediately', 'reserved_ip', 'bss_param'] as const
  await fc.assert(fc.asyncProperty(fc.constantFrom(...fields), junk, async (field, value) => {
    // Already its flavor: whatever is not refused for its form is refused for that.
    const body = { spec_code: 'redis.ha.xu1.tiny.r2.128', new_capacity: 0.125, change_type: 'createReplication', available_zones: ['a'], [field]: value }
    const r = await g.call('dcs', 'POST', `/v2/${projectId}/instances/${pair}/resize`, { body: text(body), headers })
    assert.equal(r.status, 400, `${field}: ${text(value)} ${r.text}`)
    assert.match(r.json.error_code, /^DCS\.4\d\d\d$/)
  }), { numRuns: 1000 })
  await fc.assert(fc.asyncProperty(junk.filter((value) => !(Number.isInteger(JSON.parse(text(value))) && Number(value) >= 0 && Number(value) <= 100)), async (value) => {
    const r = await g.call('dcs', 'POST', `/v2/${projectId}/instances/${pair}/groups/${id}/replications/x/slave-priority`, { body: text({ slave_priority_weight: value }), headers })
    assert.deepEqual([r.status, r.json.error_code], [400, 'DCS.4939'])
  }), { numRuns: 500 })
})

test('the routes of several nodes: odd ids, odd bodies, odd queries are documented refusals', () => fc.assert(fc.asyncProperty(
  fc.constantFrom(['POST', 'swap'], ['PUT', 'async-swap'], ['POST', 'resize'], ['GET', 'nodes'], ['GET', 'logical-nodes'], ['GET', 'groups'], ['DELETE', 'tasks/x'], ['POST', `groups/${id}/replications/${id}/slave-priority`]),
  fc.oneof(fc.constantFrom('..', '%2e%2e', `${id}%00`, '%ff', 'a'.repeat(5000), id, id.toUpperCase()), fc.string({ minLength: 1, maxLength: 40 }).map((part) => encodeURIComponent(part.toWellFormed())).filter((part) => part !== '' && part !== '.')),
  fc.oneof(junk.map(text), fc.string(), fc.constant('')), fc.constantFrom('', '?dry_run=1', '?dry_run=true', '?dry_run', '?dry_run=true&dry_run=true'),
  async ([method, path], part, body, query) => {
    const r = await g.call('dcs', method!, `/v2/${projectId}/${path === 'groups' ? 'instance' : 'instances'}/${part}/${path}${query}`, { headers, ...(method === 'GET' ? {} : { body }) })
    assert.ok([400, 404, 405].includes(r.status), `${method} ${part}/${path}: ${r.status} ${r.text}`)
    assert.match(r.json.error_code, /^DCS\.\d{4}$/)
  },
), { numRuns: 1000 }))

test('a dry_run that is neither true nor false does nothing', () => fc.assert(fc.asyncProperty(
  fc.string({ minLength: 1 }).filter((value) => !['true', 'false'].includes(value)), fc.constantFrom('restart', 'flush'), async (value, action) => {
    const query = new URLSearchParams({ dry_run: value.toWellFormed() }).toString()
    const a = await g.call('dcs', 'PUT', `${dcs}?${query}`, { body: text({ action, instances: [pair] }), headers })
    const b = await g.call('dms', 'POST', `${dms}?${query}`, { body: text({ action: 'delete', instances: [id] }), headers })
    assert.deepEqual([a.json.error_code, b.json.error_code], ['DCS.4062', 'DMS.00400062'])
  },
), { numRuns: 300 }))

test('unknown routes are 404 and unknown methods 405, with and without a token', () => fc.assert(fc.asyncProperty(
  fc.array(fc.constantFrom('v2', 'v1.0', projectId, 'instances', 'status', 'kafka', 'x', '', '%2f'), { maxLength: 6 }), fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'SEARCH', 'LOCK'), fc.boolean(),
  async (parts, method, known) => {
    const path = `/${parts.join('/')}`
    const r = await g.call('dms', method, path, { headers: known ? headers : {} })
    assert.ok([200, 400, 401, 404, 405].includes(r.status), `${method} ${path}: ${r.status}`)
    assert.match(String(r.headers['x-request-id']), /^[0-9a-f]{32}$/)
    if (r.status === 404 && method !== 'HEAD') assert.ok(['DMS.00404001', 'DMS.00404022'].includes(r.json.error_code))
    if (r.status === 405 && method !== 'HEAD') assert.equal(r.json.error_code, 'DMS.00405001')
  },
), { numRuns: 800 }))

test('creations with one field of junk are refused with a code of the service', () => fc.assert(fc.asyncProperty(
  fc.constantFrom('name', 'engine', 'engine_version', 'capacity', 'spec_code', 'az_codes', 'vpc_id', 'subnet_id', 'password', 'instance_num'), junk, async (field, value) => {
    const body = { name: 'cache-a', engine: 'Redis', engine_version: '6.0', capacity: 0.125, spec_code: 'redis.single.xu1.tiny.128', az_codes: ['a'], vpc_id: id, subnet_id: id, password: 'Abcd1234!', [field]: value }
    // What chance may make right: a number left out, a name, a password, a zone.
    const sent: unknown = JSON.parse(text(value))
    if (field === 'instance_num' && (sent === null || sent === '' || sent === 1) || typeof sent === 'string' && sent.length >= 4 || field === 'az_codes' && Array.isArray(sent) && sent.every((zone) => typeof zone === 'string')) return
    const r = await g.call('dcs', 'POST', `/v2/${projectId}/instances`, { body: text(body), headers })
    assert.equal(r.status, 400, `${field}: ${text(value)}`)
    assert.match(r.json.error_code, /^DCS\.4\d\d\d$/)
  },
), { numRuns: 1000 }))

test('ten megabytes are 413, announced or not, and the connection can go on', async () => {
  const big = Buffer.alloc(10 * 1024 * 1024, 'x')
  for (const more of [{}, { 'x-auth-token': '' }]) assert.deepEqual([(await put(big, more)).status, (await put(big, more)).json.error_code, (await post(big, more)).json.error_code], [413, 'APIGW.0201', 'APIGW.0201'])
  const stream = new ReadableStream({ start(controller) { for (let n = 0; n < 160; n += 1) controller.enqueue(Buffer.alloc(65_536, 'x')); controller.close() } })
  const chunked = await fetch(`http://127.0.0.1:${g.base + 1}${dcs}`, { method: 'PUT', headers, body: stream, duplex: 'half' } as RequestInit)
  assert.equal(chunked.status, 413)
  const exact = await put(Buffer.from(text({ pad: 'x'.repeat(1024 * 1024 - 10) })))
  assert.equal(exact.json.error_code, 'DCS.4064')
})

test('what is no HTTP does not take the server down, and gets the envelope where it can', async () => {
  const raw = (bytes: string, port = 1) => new Promise<string>((done) => {
    const socket = connect(g.base + port, '127.0.0.1', () => socket.end(bytes))
    let got = ''
    socket.on('data', (data) => { got += data }).on('error', () => done(got)).on('close', () => done(got))
  })
  for (const bytes of ['\u0000\u0001\u0002', 'GET\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(100_000)}\r\n\r\n`, 'PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', 'PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n']) {
    assert.match(await raw(bytes), /^HTTP\/1\.1 4\d\d [^]*X-Request-Id: [0-9a-f]{32}[^]*"error_code":"APIGW\.0201"/, bytes.slice(0, 30))
  }
  // A client that ends in the middle of its body.
  await raw(`PUT ${dcs} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: ${headers['x-auth-token']}\r\nContent-Length: 100\r\n\r\n{"a`)
  assert.match(await raw(`OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 405/)
})
