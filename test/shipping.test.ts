/** What a platform team asks of a server: certificates that are renewed, metrics, and where its engines are. */
import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { connect } from 'node:tls'
import { readConfig } from '../src/config.ts'
import { freeBase, makeServer, password, root, until, type Server } from './support/server.ts'

const openssl = (...args: string[]): void => { execFileSync('openssl', args, { stdio: 'ignore' }) }

/** A certificate for 127.0.0.1 that is signed by itself. */
function certificate(folder: string, name: string): void {
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1',
    '-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.crt`))
}

/** The common name of what a listener shows. */
function shown(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => { resolve(String(socket.getPeerCertificate().subject.CN)); socket.destroy() })
    socket.on('error', reject)
  })
}

function get(port: number, path: string, ca: Buffer): Promise<{ status: number; json: any }> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, ca }, (answer) => {
      let text = ''
      answer.on('data', (data) => { text += data }).on('end', () => resolve({ status: answer.statusCode!, json: JSON.parse(text) }))
    }).on('error', reject).end()
  })
}

describe('HTTPS', { concurrency: false }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-tls-'))
  let base: number
  let env: NodeJS.ProcessEnv
  let log = ''
  let server: ChildProcess

  before(async () => {
    base = await freeBase()
    certificate(folder, 'first')
    certificate(folder, 'second')
    for (const end of ['crt', 'key']) writeFileSync(join(folder, `used.${end}`), readFileSync(join(folder, `first.${end}`)))
    env = { ...process.env, SLUICE_HOME: join(folder, 'home'), SLUICE_PORT: String(base), SLUICE_TLS_CERT: join(folder, 'used.crt'), SLUICE_TLS_KEY: join(folder, 'used.key'), SLUICE_GUARD: 'off' }
    server = spawn(process.execPath, [join(root, 'bin/server.js')], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [server.stdout, server.stderr]) stream!.on('data', (data) => { log += data })
    await until('the server to be ready', async () => (await get(base + 5, '/healthz', readFileSync(join(folder, 'first.crt')))).status === 200, 30_000, 20)
  })
  after(async () => {
    const gone = new Promise((done) => server.once('exit', done))
    server.kill('SIGTERM')
    await gone
    rmSync(folder, { recursive: true, force: true })
  })

  test('every listener shows the certificate, and tells addresses with https', async () => {
    for (const offset of [0, 1, 2, 3, 4, 5]) assert.equal(await shown(base + offset), 'first')
    const { json } = await get(base + 5, '/', readFileSync(join(folder, 'first.crt')))
    assert.deepEqual(json.endpoints, Object.fromEntries(['iam', 'dcs', 'dms', 'network', 'compute', 'console'].map((name, n) => [name, `https://127.0.0.1:${base + n}`])))
    await assert.rejects(fetch(`http://127.0.0.1:${base + 5}/healthz`))
  })

  test('the CLI trusts the certificate that it was told of, and says what is wrong when it was not', () => {
    const sluice = (more: NodeJS.ProcessEnv, ...args: string[]) => spawnSync(process.execPath, [join(root, 'bin/sluice.js'), ...args], { env: { ...env, ...more }, encoding: 'utf8' })
    const listed = sluice({}, 'dcs', 'list')
    assert.equal(listed.status, 0, listed.stderr)
    const mistrusting = sluice({ SLUICE_TLS_CERT: join(folder, 'second.crt'), SLUICE_TLS_KEY: join(folder, 'second.key') }, 'dcs', 'list')
    assert.equal(mistrusting.status, 1)
    assert.match(mistrusting.stderr, /shows a certificate that this side does not trust .*: set SLUICE_TLS_CERT as the server has it/)
  })

  test('a renewed certificate is shown without a restart, and half of a new one never', async () => {
    writeFileSync(join(folder, 'used.crt'), readFileSync(join(folder, 'second.crt')))
    await until('the complaint', () => /a renewed certificate cannot be used; the one before stays/.test(log), 15_000, 50)
    assert.equal(await shown(base + 1), 'first')
    writeFileSync(join(folder, 'new.key'), readFileSync(join(folder, 'second.key')))
    renameSync(join(folder, 'new.key'), join(folder, 'used.key'))
    await until('the new certificate', async () => await shown(base + 1) === 'second', 15_000, 50)
    for (const offset of [0, 2, 5]) assert.equal(await shown(base + offset), 'second')
    assert.ok(!log.includes('PRIVATE'))
  })

  test('what cannot work is said before anything starts', () => {
    assert.throws(() => readConfig({ SLUICE_TLS_CERT: 'a' }), /SLUICE_TLS_CERT and SLUICE_TLS_KEY belong together/)
    for (const [more, sentence] of [
      [{ SLUICE_TLS_KEY: join(folder, 'first.key') }, /the certificate in .* and the key in .* cannot be used together/],
      [{ SLUICE_TLS_KEY: join(folder, 'none.key') }, /SLUICE_TLS_KEY .*none\.key cannot be read/],
    ] as const) {
      const { status, stderr } = spawnSync(process.execPath, [join(root, 'bin/server.js')], { env: { ...env, ...more, SLUICE_HOME: join(folder, 'other') }, encoding: 'utf8', timeout: 20_000 })
      assert.equal(status, 1)
      assert.match(stderr, sentence)
    }
  })
})

describe('metrics', { concurrency: false }, () => {
  let server: Server
  let id: string
  const read = async (path: string, headers: Record<string, string> = { authorization: 'Bearer scrape-me' }) => fetch(`http://127.0.0.1:${server.base + 5}${path}`, { headers })
  /** The value of a series, whatever order its labels are in. */
  const value = (text: string, name: string, labels: Record<string, string>): number | undefined => {
    const line = text.split('\n').find((one) => one.startsWith(`${name}{`) && Object.entries(labels).every(([key, wanted]) => one.includes(`${key}="${wanted}"`)))
    return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ') + 1))
  }

  before(async () => {
    server = await makeServer({ SLUICE_METRICS_TOKEN: 'scrape-me' })
    await server.start()
    id = await server.createRedis('measured')
    await server.running('dcs', id)
  })
  after(() => server.destroy())

  test('only who knows the token sees them, and never a secret', async () => {
    assert.deepEqual([(await read('/metrics', {})).status, (await read('/v1/discovery', { authorization: 'Bearer scrape-mf' })).status], [401, 401])
    const answer = await read('/metrics')
    assert.match(answer.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/)
    assert.ok(!(await answer.text()).includes(password))
  })

  test('they count requests, operations by result, instances by status and nodes that run', async () => {
    await server.dcs('GET', '/instances')
    await server.dcs('PUT', '/instances/status', { action: 'soft_restart', instances: [id] })
    await server.running('dcs', id)
    const text = await (await read('/metrics')).text()
    assert.ok(value(text, 'sluice_http_requests_total', { service: 'DCS', method: 'GET', route: '/v2/:project_id/instances', status: '200' })! >= 1)
    assert.equal(value(text, 'sluice_operations_total', { engine: 'redis', action: 'create', outcome: 'done' }), 1)
    assert.equal(value(text, 'sluice_operations_total', { engine: 'redis', action: 'soft_restart', outcome: 'done' }), 1)
    assert.equal(value(text, 'sluice_operation_duration_seconds_count', { engine: 'redis', action: 'create' }), 1)
    assert.equal(value(text, 'sluice_instances', { engine: 'redis', status: 'running' }), 1)
    assert.equal(value(text, 'sluice_node_up', { instance: id }), 1)
    assert.ok(value(text, 'sluice_node_resident_bytes', { instance: id })! > 1_000_000)
    assert.match(text, /^sluice_operation_queue_age_seconds 0$/m)
    assert.match(text, /^process_resident_memory_bytes \d+/m)
  })

  test('service discovery names where each server answers', async () => {
    const found = await (await read('/v1/discovery')).json() as { targets: string[]; labels: Record<string, string> }[]
    const { ip, port } = await server.running('dcs', id)
    assert.deepEqual(found.map(({ targets, labels }) => [targets, labels['__meta_sluice_instance_id'], labels['__meta_sluice_engine'], labels['__meta_sluice_role']]), [[[`${ip}:${port}`], id, 'redis', 'master']])
  })

  test('an instance that was deleted is gone from them', async () => {
    await server.dcs('DELETE', `/instances/${id}`)
    await until('the deletion', async () => (await server.dcs('GET', `/instances/${id}`)).status === 404 && value(await (await read('/metrics')).text(), 'sluice_node_up', { instance: id }) === undefined)
    const text = await (await read('/metrics')).text()
    assert.equal(value(text, 'sluice_instances', { engine: 'redis', status: 'running' }), undefined)
  })
})
