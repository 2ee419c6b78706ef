/** TLS of real servers: certificates that clients check, the switch there and back while clients write, and whatever is done to an instance meanwhile. Long, for all of it shares one server. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { after, before, describe, test } from 'node:test'
import { Cluster, Redis } from 'ioredis'
import { sampler } from './crash/sample.ts'
import { redisTls } from './crash/tls.ts'
import { clusterNodes } from './support/cluster.ts'
import { client, makeServer, nodePid, password, until, type Answer, type Server } from './support/server.ts'
import { followData } from '../src/state/followed.ts'
import { openDatabase, transact } from '../src/store/database.ts'

const ha = { spec_code: 'redis.ha.xu1.tiny.r2.128' }
type At = { readonly ip: string; readonly port: number }

describe('tls', { concurrency: false }, () => {
  let server: Server
  let ca: string
  before(async () => { server = await makeServer(); await server.start() })
  after(async () => { await server.destroy() })

  const put = (id: string, enabled: unknown, query = ''): Promise<Answer> => server.dcs('PUT', `/instances/${id}/ssl${query}`, { enabled })
  const show = async (id: string): Promise<any> => (await server.dcs('GET', `/instances/${id}/ssl`)).json
  const job = (id: string): Promise<any> => until('the job to end', async () => { const { json } = await server.dcs('GET', `/jobs/${id}`); return json.end_time && json }, 30_000)
  const turned = async (id: string, enabled: boolean): Promise<any> => {
    const { status, json } = await put(id, enabled)
    assert.equal(status, 200, JSON.stringify(json))
    assert.deepEqual([json.instance_id, json.instanceId, json.jobId, json.result], [id, id, json.job_id, null])
    // gophertelekomcloud's acceptance test goes on with the next request, without another try.
    assert.equal((await show(id)).enabled, enabled)
    const ended = await job(json.job_id)
    assert.equal(ended.status, 'SUCCESS', JSON.stringify(ended))
    const now = await server.running('dcs', id)
    assert.equal(now.enable_ssl, enabled)
    return now
  }
  /** What a customer unpacks, and keeps. */
  const downloaded = async (id: string): Promise<string> => {
    const { json } = await server.dcs('POST', `/instances/${id}/ssl-certs/download`)
    const answer = await fetch(json.link)
    assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'application/zip'])
    assert.equal((await fetch(json.link.replace(/signature=..../, 'signature=AAAA'))).status, 401)
    const archive = join(server.home, json.file_name)
    writeFileSync(archive, Buffer.from(await answer.arrayBuffer()))
    return execFileSync('python3', ['-c', 'import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\nsys.stdout.write(z.read(z.namelist()[0]).decode())', archive], { encoding: 'utf8' })
  }
  /** A client as a customer has one, who checks whom it talks to. */
  const secure = ({ ip, port }: At): Redis => {
    const redis = new Redis({ host: ip, port, password, tls: { ca }, protocol: 2, maxRetriesPerRequest: null, retryStrategy: () => 5, connectTimeout: 2000 })
    redis.on('error', () => {})
    return redis
  }
  const ask = async (at: At, tls: { ca?: string } | undefined, ...command: [string, ...string[]]): Promise<unknown> => {
    const redis = new Redis({ host: at.ip, port: at.port, password, ...tls ? { tls } : {}, protocol: 2, lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0, connectTimeout: 1000 })
    let failure: Error | undefined
    redis.on('error', (error) => { failure ??= error })
    try { await redis.connect(); return await redis.call(...command) } catch (error) { return `refused: ${(failure ?? error as Error).message}` } finally { redis.disconnect() }
  }
  const certificateAt = ({ ip, port }: At): Promise<X509Certificate> => new Promise((resolve, reject) => {
    const socket = connect({ host: ip, port, ca }, () => { resolve(new X509Certificate(socket.getPeerX509Certificate()!.raw)); socket.destroy() }).on('error', reject)
  })
  const files = (id: string, ordinal = 0): string[] => readdirSync(join(server.home, 'nodes', `${id}-${ordinal}`)).filter((name) => name.endsWith('.pem')).toSorted()

  test('an instance is created with TLS: redis-cli and others check its certificate, and nobody else is let in', async () => {
    const id = await server.createRedis('secure', { enable_ssl: true })
    const made = await server.running('dcs', id)
    assert.deepEqual([made.enable_ssl, made.features.support_ssl, made.port], [true, true, 6379])
    const shown = await show(id)
    assert.deepEqual([shown.enabled, shown.ip, shown.port, shown.ssl_validated], [true, made.ip, '6379', true])
    ca = await downloaded(id)
    const caFile = join(server.home, 'ca.crt')
    writeFileSync(caFile, ca)
    assert.equal(execFileSync('redis-cli', ['-h', made.ip, '--tls', '--cacert', caFile, 'ping'], { encoding: 'utf8', env: { ...process.env, REDISCLI_AUTH: password } }), 'PONG\n')
    assert.equal(await ask(made, { ca }, 'PING'), 'PONG')
    assert.match(String(await ask(made, {}, 'PING')), /^refused: .*certificate/)
    assert.match(String(await ask(made, undefined, 'PING')), /^refused/)
    const certificate = await certificateAt(made)
    assert.equal(certificate.checkIP(made.ip), made.ip)
    assert.equal(certificate.checkIP('127.0.0.1'), undefined)
    assert.equal(new Date(certificate.validTo).toISOString().slice(0, 19), shown.ssl_expired_at.slice(0, 19))
    writeFileSync(join(server.home, 'server.crt'), certificate.toString())
    execFileSync('openssl', ['verify', '-x509_strict', '-purpose', 'sslserver', '-verify_ip', made.ip, '-CAfile', caFile, join(server.home, 'server.crt')])
    for (const name of files(id)) assert.equal(statSync(join(server.home, 'nodes', `${id}-0`, name)).mode & 0o777, 0o600, name)
    // Everything that talks to servers goes on.
    const redis = secure(made)
    await redis.set('kept', 'yes')
    const { json: session } = await server.dcs('POST', `/instances/${id}/webcli/auth`, { password })
    assert.match(JSON.stringify((await server.dcs('POST', `/instances/${id}/webcli/command`, { client_id: session.client_id, command: 'get kept' })).json), /yes/)
    assert.equal((await server.dcs('PUT', '/instances/status', { action: 'soft_restart', instances: [id] })).status, 200)
    await server.running('dcs', id)
    assert.equal(await redis.get('kept'), 'yes')
    assert.equal((await server.dcs('PUT', '/instances/status', { action: 'flush', instances: [id] })).status, 200)
    await server.running('dcs', id)
    assert.equal(await redis.get('kept'), null)
    redis.disconnect()
  })

  test('the switch goes there and back while the server runs on; what is wrong changes nothing', async () => {
    const id = await server.createRedis('turned')
    const made = await server.running('dcs', id)
    const pid = nodePid(server.home, id)
    const plain = new Redis({ host: made.ip, port: made.port, password, protocol: 2, retryStrategy: () => null })
    plain.on('error', () => {})
    await plain.set('kept', 'yes')
    assert.deepEqual([await put(id, 'x'), await put(id, false)].map(({ status, json }) => [status, json.error_code]), [[400, 'DCS.4202'], [400, 'DCS.4202']])
    // Terraform's data source asks before there is TLS, and its test wants a bucket's name.
    const { json: early } = await server.dcs('POST', `/instances/${id}/ssl-certs/download`)
    assert.deepEqual([early.file_name, early.bucket_name, (await fetch(early.link)).status], ['redis-ca.zip', 'sluice', 200])
    assert.match((await put(id, true, '?dry_run=true')).json.plan.nodes[0].what, /TLS only/)
    assert.deepEqual([(await show(id)).enabled, files(id)], [false, []])
    const cut = new Promise((done) => { plain.once('close', done) })
    assert.equal((await turned(id, true)).port, made.port)
    await cut
    assert.deepEqual([(await put(id, true)).json.error_code, files(id)], ['DCS.4202', ['authority.pem', 'tls.pem']])
    assert.equal(await ask(made, { ca }, 'GET', 'kept'), 'yes')
    assert.match(String(await ask(made, undefined, 'PING')), /^refused/)
    // Another port, with TLS.
    assert.equal((await server.dcs('PUT', `/instances/${id}`, { port: 6390 })).status, 204)
    const moved = await until('the port to be left', async () => { const now = await server.running('dcs', id); return await ask(made, { ca }, 'PING') !== 'PONG' && now })
    assert.equal(await ask(moved, { ca }, 'GET', 'kept'), 'yes')
    await until('the move to end', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0)
    await turned(id, false)
    assert.deepEqual([await ask(moved, undefined, 'GET', 'kept'), files(id), (await show(id)).ssl_expired_at], ['yes', [], null])
    assert.equal(nodePid(server.home, id), pid, 'nothing was restarted')
    // As it is from now on.
    assert.equal((await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })).status, 200)
    await server.running('dcs', id)
    assert.equal(await ask(moved, undefined, 'GET', 'kept'), 'yes')
    const old = await server.createRedis('older', { engine_version: '5.0' })
    assert.equal((await server.running('dcs', old)).features.support_ssl, false)
    assert.equal((await put(old, true)).json.error_code, 'DCS.4027')
  })

  /** Writes with TLS and counts what was acknowledged, one key after the other. */
  const writing = (redis: Redis | Cluster): { acked: () => number; stop: () => Promise<void>; lost: () => Promise<number> } => {
    let [acked, over] = [0, false]
    const done = (async () => { while (!over) { try { await redis.set(`w:${acked}`, acked); acked += 1 } catch { /* told to try again */ } } })()
    return {
      acked: () => acked,
      async stop() { over = true; await done },
      async lost() { return (await Promise.all(Array.from({ length: acked }, (_, n) => redis.get(`w:${n}`)))).filter((value, n) => value !== String(n)).length },
    }
  }
  const linked = (id: string): Promise<unknown> => until('every node to be linked', async () => {
    const answers = await Promise.all((await clusterNodes(server, id)).map((node) => ask({ ip: node.address, port: node.port }, { ca }, 'INFO')))
    const texts = answers.filter((text) => !String(text).startsWith('refused')).map(String)
    return texts.length > 0 && texts.filter((text) => text.includes('role:slave')).every((text) => text.includes('master_link_status:up'))
  }, 30_000)

  test('a pair is turned while a client writes, hands its master over, is made larger, backed up and restored, and no write is lost', async () => {
    const id = await server.createRedis('pair', ha)
    const made = await server.running('dcs', id)
    const pids = [0, 1].map((n) => nodePid(server.home, id, n))
    assert.equal(await ask(made, undefined, 'SET', 'kept', 'yes'), 'OK')
    await turned(id, true)
    assert.deepEqual([0, 1].map((n) => nodePid(server.home, id, n)), pids)
    const redis = secure(made)
    assert.equal(await redis.get('kept'), 'yes')
    const clients = writing(redis)
    for (const action of ['swap', 'extend', 'soft_restart', 'kill']) {
      const since = clients.acked()
      if (action === 'swap') assert.equal((await server.dcs('POST', `/instances/${id}/swap`)).status, 204)
      if (action === 'extend') assert.equal((await server.dcs('POST', `/instances/${id}/resize`, { spec_code: 'redis.ha.xu1.tiny.r3.128', new_capacity: 0.125, change_type: 'createReplication', available_zones: ['eu-de-01'] })).status, 204)
      if (action === 'soft_restart') assert.equal((await server.dcs('PUT', '/instances/status', { action, instances: [id] })).status, 200)
      if (action === 'kill') {
        const master = (await server.dcs('GET', `/instances/${id}/logical-nodes`)).json.nodes.find((node: any) => node.node_type === 'master')
        const found = (await clusterNodes(server, id)).find((node) => node.address === master.node_ip)!
        // What it acknowledged and did not send is lost with it, as without TLS; so nothing is on its way.
        await clients.stop()
        assert.equal(await clients.lost(), 0)
        process.kill(found.pid, 'SIGKILL')
        await redis.set('after the death', 'yes')
        continue
      }
      await until(`${action} to be over`, async () => (await server.dcs('GET', `/instances/${id}/tasks?limit=1`)).json.tasks[0].status === 'SUCCESS', 60_000, 50)
      await until('writes', () => clients.acked() > since + 20)
    }
    await server.running('dcs', id)
    await linked(id)
    assert.equal(await clients.lost(), 0)
    assert.equal(await redis.get('after the death'), 'yes')
    const nodes = await clusterNodes(server, id)
    assert.equal(nodes.length, 3)
    for (const { address, port } of nodes) assert.equal((await certificateAt({ ip: address, port })).checkIP(address), address)
    // A copy comes through a connection of its own.
    const { json: backup } = await server.dcs('POST', `/instances/${id}/backups`, {})
    await until('the backup', async () => (await server.dcs('GET', `/instances/${id}/backups`)).json.backup_record_response.some((one: any) => one.backup_id === backup.backup_id && one.status === 'succeed'))
    await redis.set('kept', 'no')
    assert.equal((await server.dcs('POST', `/instances/${id}/restores`, { backup_id: backup.backup_id })).status, 200)
    await until('the restore', async () => (await server.dcs('GET', `/instances/${id}/restores`)).json.restore_record_response[0].status === 'succeed', 60_000, 50)
    assert.equal(await redis.get('kept'), 'yes')
    redis.disconnect()
    await turned(id, false)
    assert.deepEqual([await ask(made, undefined, 'GET', 'kept'), ...[0, 1, 2].map((n) => files(id, n))], ['yes', [], [], []])
  })

  test('a cluster is turned while it serves, sends clients on with TLS, and a dead master is replaced', async () => {
    const id = await server.createRedis('ring', { spec_code: 'redis.cluster.xu1.large.r2.4', capacity: 4 })
    const made = await server.running('dcs', id)
    await turned(id, true)
    await linked(id)
    const cluster = new Cluster([{ host: made.ip.split(',')[0], port: made.port }], { redisOptions: { password, tls: { ca }, protocol: 2 }, slotsRefreshTimeout: 5000, clusterRetryStrategy: () => 20, retryDelayOnFailover: 10, retryDelayOnClusterDown: 10, maxRedirections: 3000 })
    cluster.on('error', () => {})
    const clients = writing(cluster)
    await until('writes', () => clients.acked() > 100)
    const [first] = await clusterNodes(server, id)
    await clients.stop()
    process.kill(first!.pid, 'SIGKILL')
    const again = writing(cluster)
    await until('writes after the death', () => again.acked() > 100)
    await again.stop()
    assert.equal(await again.lost(), 0)
    await server.running('dcs', id)
    await linked(id)
    cluster.disconnect()
  })

  test('a certificate that will run out is renewed by itself, and the server that shows it runs on', async () => {
    const id = await server.createRedis('lasting', { ...ha, enable_ssl: true })
    const made = await server.running('dcs', id)
    const [before, pids] = [await certificateAt(made), [0, 1].map((n) => nodePid(server.home, id, n))]
    const redis = secure(made)
    await redis.set('kept', 'yes')
    let cuts = 0
    redis.on('close', () => { cuts += 1 })
    await server.end('SIGKILL')
    const db = await openDatabase({ home: server.home, databaseUrl: server.env['SLUICE_DATABASE_URL'] ?? null })
    const { spec } = await db.selectFrom('instances').select('spec').where('id', '=', id).executeTakeFirstOrThrow()
    const known = JSON.parse(spec)
    // A state from before it was turned is restored: until it is known which way its servers speak, both are tried.
    const row = (): Promise<{ grants: string }> => db.selectFrom('instances').select('grants').where('id', '=', id).executeTakeFirstOrThrow()
    const grants = (await row()).grants
    await db.updateTable('instances').set({ spec: JSON.stringify({ ...known, tls: null }) }).where('id', '=', id).execute()
    await transact(db, (tx) => followData(tx, server.home))
    assert.equal(JSON.parse((await row()).grants)['turning tls'], 'yes')
    await db.updateTable('instances').set({ grants, spec: JSON.stringify({ ...known, tls: { ...known.tls, expiresAt: Date.now() + 100 * 24 * 3600_000 } }) }).where('id', '=', id).execute()
    // Its key is sealed, and the authority's as well.
    const kept = JSON.stringify([spec, ...await db.selectFrom('settings').selectAll().execute()])
    assert.ok(kept.includes('BEGIN CERTIFICATE') && !kept.includes('PRIVATE KEY'))
    await db.destroy()
    await server.start()
    await until('the renewal to begin', async () => (await server.dcs('GET', `/instances/${id}/tasks?limit=1`)).json.tasks[0].name === 'UpdateSslSwitch')
    await server.running('dcs', id)
    await until('the renewal to end', async () => (await server.dcs('GET', `/instances/${id}/tasks?limit=1`)).json.tasks[0].status === 'SUCCESS')
    for (const at of [made, ...(await clusterNodes(server, id)).map(({ address, port }) => ({ ip: address, port }))]) assert.notEqual((await certificateAt(at)).serialNumber, before.serialNumber)
    assert.ok(Date.parse((await show(id)).ssl_expired_at) > Date.now() + 360 * 24 * 3600_000)
    assert.deepEqual([await redis.get('kept'), cuts, [0, 1].map((n) => nodePid(server.home, id, n))], ['yes', 0, pids])
    redis.disconnect()
  })
})

test('where nodes share one address and leave their ports for each other, they do so with TLS', async () => {
  const server = await makeServer({ SLUICE_NODE_HOST: '127.0.0.1', SLUICE_NODE_PORTS: '26500-26560' })
  try {
    await server.start()
    const id = await server.createRedis('shared', { ...ha, enable_ssl: true })
    const made = await server.running('dcs', id)
    const redis = new Redis({ host: made.ip, port: made.port, password, tls: { rejectUnauthorized: false }, protocol: 2, maxRetriesPerRequest: null, retryStrategy: () => 5 })
    redis.on('error', () => {})
    const idle = async (): Promise<void> => { await until('the operation to end', async () => (await server.dcs('GET', `/instances/${id}/tasks?limit=1`)).json.tasks[0].status === 'SUCCESS', 60_000, 50) }
    for (let n = 0; n < 2; n += 1) {
      await redis.set(`before:${n}`, 'yes')
      assert.equal((await server.dcs('POST', `/instances/${id}/swap`)).status, 204)
      await idle()
      assert.equal(await redis.get(`before:${n}`), 'yes')
    }
    assert.equal((await server.dcs('POST', `/instances/${id}/backups`, {})).status, 200)
    await idle()
    assert.equal((await server.dcs('PUT', `/instances/${id}/ssl`, { enabled: false })).status, 200)
    await idle()
    assert.equal((await server.dcs('POST', `/instances/${id}/swap`)).status, 204)
    await idle()
    redis.disconnect()
    const plain = client(made)
    assert.equal(await plain.get('before:1'), 'yes')
    plain.disconnect()
  } finally { await server.destroy() }
})

// All of its points are in `npm run test:sweep`.
const { seed, random, sampled } = sampler()
const at = 1 + random(7)
test(`killed in the middle of the switch, at ${at}, a pair is all of it as it is recorded (seed ${seed})`, (t) => sampled(t, redisTls, [at], ['own addresses', {}]))
