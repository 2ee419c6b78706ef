/** The listeners themselves: faults, ports, closing, administration. */
import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { listen } from '../src/api/server.ts'
import { ground, people, projectId, type Ground } from './support/api-double.ts'

let g: Ground
let headers: Record<string, string>
before(async () => { g = await ground(); headers = { 'x-auth-token': await g.token(), 'content-type': 'application/json' } })
after(() => g.listening.close())

test('health and self-description need no token, nodes do', async () => {
  assert.equal((await g.call('console', 'GET', '/healthz')).status, 200)
  assert.deepEqual((await g.call('console', 'GET', '/')).json.endpoints, g.listening.urls)
  assert.equal((await g.call('console', 'GET', '/v1/nodes')).status, 401)
  assert.equal((await g.call('console', 'POST', '/v1/down')).status, 401)
  const id = g.seed('redis')
  const { json } = await g.call('console', 'GET', '/v1/nodes', { headers })
  assert.ok(json.nodes.some((node: any) => node.instance_id === id && node.pid === 4711))
})

test('a taken port is said in one sentence, and leaves no other port open', async () => {
  const config = { host: '127.0.0.1', port: g.base - 1, publicHost: '127.0.0.1', tls: null, metricsToken: null, rateLimit: 0, identity: { region: people.region } }
  const parts = { plane: {} as never, identity: { tokenKeys: { all: ['key'] } } as never, records: {} as never, log: { info() {}, warn() {}, error() {} }, down() {} }
  await assert.rejects(listen({ config, ...parts }), (error: Error) => {
    assert.match(error.message, new RegExp(`^port ${g.base} of 127\\.0\\.0\\.1, for DCS, is taken by another program: set SLUICE_PORT `))
    return true
  })
  await assert.rejects(new Promise((done, fail) => { const socket = connect(g.base - 1, '127.0.0.1', () => { socket.destroy(); done(null) }); socket.on('error', fail) }))
})

test('a fault of ours is a 500 with a code, and its log entry holds no secret', async () => {
  const broken = await ground()
  try {
    const token = await broken.token()
    const id = broken.seed('redis')
    broken.breakPlane()
    const with500 = { 'x-auth-token': token, 'content-type': 'application/json' }
    const body = JSON.stringify({ action: 'restart', instances: [id], password: 'hidden-in-the-body' })
    const r = await broken.call('dcs', 'PUT', `/v2/${projectId}/instances/status`, { body, headers: with500 })
    assert.deepEqual([r.status, r.json], [500, { error_msg: 'Internal service error.', error_code: 'DCS.5000', error_ext_msg: null }])
    const v1 = await broken.call('dcs', 'PUT', `/v1.0/${projectId}/instances/status`, { body, headers: with500 })
    assert.deepEqual([v1.status, v1.json.error.code], [500, '111500000'])
    const kafka = await broken.call('dms', 'POST', `/v2/${projectId}/instances/action`, { body, headers: with500 })
    assert.deepEqual([kafka.status, kafka.json], [500, { error_code: 'DMS.00500000', error_msg: 'Internal service error.' }])
    assert.equal(broken.errors.length, 3)
    const log = JSON.stringify(broken.errors)
    assert.match(log, /disk I\/O error/)
    for (const secret of [token, 'hidden-in-the-body', people.password, people.secretKey]) assert.ok(!log.includes(secret))
  } finally { await broken.listening.close() }
})

test('a request that comes in while the server closes gets an answer of the service', async () => {
  const closing = await ground()
  let answer = ''
  const ended = new Promise<void>((done) => {
    const socket = connect(closing.base + 1, '127.0.0.1', () => socket.write(`GET /v2/${projectId}/instances HTTP/1.1\r\nHost`))
    socket.on('data', (data) => { answer += data }).on('error', () => {}).on('close', () => done())
    setTimeout(() => { void closing.listening.close(); setTimeout(() => socket.write(': x\r\n\r\n'), 50) }, 50)
  })
  await ended
  assert.match(answer, /^HTTP\/1\.1 401 .*"DCS\.1003"/s)
})

test('closing ends idle connections at once and lets nobody hold it open', async () => {
  const closing = await ground()
  const agent = new Agent({ keepAlive: true })
  await new Promise<void>((done) => { request({ host: '127.0.0.1', port: closing.base + 5, path: '/healthz', agent }, (response) => { response.resume().on('end', done) }).end() })
  const idle = connect(closing.base + 1, '127.0.0.1')
  const half = connect(closing.base + 1, '127.0.0.1', () => half.write('PUT /v2/x/instances/status HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{'))
  for (const socket of [idle, half]) socket.on('error', () => {})
  await sleep(50)
  const started = performance.now()
  await closing.listening.close()
  assert.ok(performance.now() - started < 3000)
  agent.destroy()
  for (const socket of [idle, half]) socket.destroy()
})

/** Everything that comes back for these bytes until the server closes. */
const raw = (text: string): Promise<string> => new Promise((done) => {
  let answer = ''
  const socket = connect(g.base + 1, '127.0.0.1', () => socket.write(text))
  socket.setTimeout(5000, () => socket.destroy())
  socket.on('data', (data) => { answer += data }).on('error', () => {}).on('close', () => done(answer))
})
const heads = (answer: string): string[] => [...answer.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map((match) => match[1]!)

test('whatever Node\'s parser thinks of a request, the answer has a code', async () => {
  const path = `/v2/${projectId}/instances`
  const close = 'Host: x\r\nConnection: close\r\n\r\n'
  for (const method of ['QUERY', 'PROPFIND', 'MKCALENDAR', 'PATCH', 'FLUSH', 'Restart']) {
    const answer = await raw(`${method} ${path} HTTP/1.1\r\n${close}`)
    assert.deepEqual([heads(answer), /"error_code":"([^"]+)"/.exec(answer)?.[1]], [['405'], 'DCS.5001'], `${method}: ${answer}`)
    assert.match(await raw(`${method} /nowhere HTTP/1.1\r\n${close}`), /^HTTP\/1\.1 404 .*"DCS\.4001"/s)
  }
  assert.match(await raw(`get ${path} HTTP/1.1\r\n${close}`), /^HTTP\/1\.1 400 .*"APIGW\.0201"/s)
  assert.match(await raw(`GET ${path} HTTP/1.1\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 400 .*"APIGW\.0201"/s)
  assert.match(await raw(`GET ${path} HTTP/1.0\r\n\r\n`), /^HTTP\/1\.1 401 .*"DCS\.1003"/s)
  assert.match(await raw(`GET ${path} HTTP/1.1\r\nExpect: the-moon\r\n${close}`), /^HTTP\/1\.1 401 .*"DCS\.1003"/s)
})

test('rubbish behind a request does not hide what became of the request', async () => {
  const body = JSON.stringify({ action: 'restart', instances: [g.seed('redis')] })
  const answer = await raw(`PUT /v2/${projectId}/instances/status HTTP/1.1\r\nHost: x\r\nX-Auth-Token: ${headers['x-auth-token']}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}}}rubbish\r\n\r\n`)
  assert.deepEqual(heads(answer), ['200'], answer)
  assert.match(answer, /"result":"success"/)
})

test('clients that are refused and do not hang up lose their sockets', async () => {
  const open = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
  const before = open()
  const sockets = Array.from({ length: 20 }, () => { const socket = connect({ host: '127.0.0.1', port: g.base + 1, allowHalfOpen: true }, () => socket.write('rubbish\r\n\r\n')); return socket.resume() })
  await sleep(2000)
  assert.ok(open() <= before + sockets.length, `${open() - before} sockets for ${sockets.length} clients: the server still holds its ends`)
  for (const socket of sockets) socket.destroy()
})
