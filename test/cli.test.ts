/** The command line, as a person and as a script use it, against a real server. */
import assert from 'node:assert/strict'
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { client, isAlive, makeServer, nodePid, password, redisBody, root, until, type Server } from './support/server.ts'

const bin = join(root, 'bin/sluice.js')

describe('sluice', { concurrency: false }, () => {
  let server: Server
  let id: string
  before(async () => { server = await makeServer(); await server.start(); id = await server.createRedis('cli-one'); await server.running('dcs', id) })
  after(async () => { await server.destroy() })
  // Not synchronous: the test's own clients must be able to answer meanwhile.
  const sluice = (args: readonly string[], env: NodeJS.ProcessEnv = {}, input = ''): Promise<{ code: number | null; out: string; err: string }> => new Promise((done) => {
    const child = spawn(process.execPath, [bin, ...args], { env: { ...server.env, ...env } })
    let [out, err] = ['', '']
    child.stdout.on('data', (data) => { out += data })
    child.stderr.on('data', (data) => { err += data })
    child.stdin.end(input)
    child.on('exit', (code) => done({ code, out, err }))
  })

  test('creates with a password from standard input, never from an argument, and waits until it serves', async () => {
    const r = await sluice(['dcs', 'create', 'from-stdin', '--password-stdin'], {}, `${password}\n`)
    assert.equal(r.code, 0, r.err)
    const [made] = JSON.parse((await sluice(['dcs', 'list', '--json'])).out).filter((i: { name: string }) => i.name === 'from-stdin')
    const redis = client(made)
    assert.equal(await redis.ping(), 'PONG')
    redis.disconnect()
    assert.match((await sluice(['dcs', 'create', '--help'])).out, /--password-stdin/)
    assert.equal((await sluice(['dcs', 'create', 'no-secret'])).code, 2)
  })

  test('restart waits and says what happened; --json is JSON alone', async () => {
    const pid = nodePid(server.home, id)
    const r = await sluice(['dcs', 'restart', id, '--json'])
    assert.equal(r.code, 0, r.err)
    assert.equal(JSON.parse(r.out)[0].outcome, 'done')
    assert.notEqual(nodePid(server.home, id), pid)
    assert.match((await sluice(['dcs', 'soft-restart', id])).err, /soft_restart done/)
  })

  test('flush and delete ask; without a terminal and without --yes nothing happens and the exit code is 3', async () => {
    const redis = client(await server.running('dcs', id))
    await redis.set('kept', 'yes')
    assert.equal((await sluice(['dcs', 'flush', id])).code, 3)
    assert.equal((await sluice(['dcs', 'delete', id])).code, 3)
    assert.equal(await redis.get('kept'), 'yes')
    assert.equal((await sluice(['dcs', 'flush', id, '--yes'])).code, 0)
    assert.equal(await redis.dbsize(), 0)
    redis.disconnect()
  })

  test('a refusal is told with its code and ends with exit code 1; wrong usage with 2', async () => {
    const r = await sluice(['dcs', 'restart', crypto.randomUUID(), id])
    assert.equal(r.code, 1)
    assert.match(r.err, /DCS\.3022/)
    assert.equal((await sluice(['dcs', 'restart'])).code, 2)
    assert.equal((await sluice(['nonsense'])).code, 2)
    assert.equal((await sluice(['--help'])).code, 0)
  })

  test('ps, tasks and logs show processes, operations and the server\'s own words', async () => {
    const ps = await sluice(['ps'])
    assert.match(ps.out, new RegExp(`${id}.*running.*${nodePid(server.home, id)}.*MB`))
    assert.match((await sluice(['dcs', 'tasks', id])).out, /flush\s+admin\s+done/)
    assert.match((await sluice(['logs', id])).out, /Ready to accept connections/)
    const follow = spawn(process.execPath, [bin, 'logs', id, '-f', '-n', '1'], { env: server.env })
    let text = ''
    follow.stdout.on('data', (data) => { text += data })
    await until('the last line', () => text.length > 0)
    text = ''
    await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })
    await until('new lines', () => text.includes('Redis is starting'))
    follow.kill('SIGKILL')
  })

  test('without a server it says how to start one; with a wrong password, that it is wrong', async () => {
    const away = await sluice(['dcs', 'list'], { SLUICE_PORT: '9' })
    assert.equal(away.code, 1)
    assert.match(away.err, /no Sluice server answers at .*sluice serve/)
    // It never comes to the end of its answer, which must not hold us.
    const other = createServer((_, answer) => { answer.writeHead(404).write('not found') }).listen(0, '127.0.0.1')
    await once(other, 'listening')
    const elsewhere = await sluice(['dcs', 'list'], { SLUICE_PORT: String((other.address() as AddressInfo).port) })
    other.close().closeAllConnections()
    assert.equal(elsewhere.code, 1)
    assert.match(elsewhere.err, /is no Sluice server \(status 404\): set SLUICE_PORT/)
    const wrong = await sluice(['dcs', 'list'], { SLUICE_PASSWORD: 'wrong' })
    assert.equal(wrong.code, 1)
    assert.match(wrong.err, /refuses these credentials/)
  })

  test('before flush and delete the plan is told; --dry-run tells it for every action and does nothing', async () => {
    const asked = await sluice(['dcs', 'flush', id])
    assert.equal(asked.code, 3)
    assert.match(asked.err, /node 0 {2}master {3}every key removed[^]*data at risk: Every key of every database/)
    const pid = nodePid(server.home, id)
    for (const verb of ['restart', 'soft-restart', 'flush', 'delete']) {
      const r = await sluice(['dcs', verb, id, '--dry-run'])
      assert.equal(r.code, 0, r.err)
      assert.match(r.out, /gap: .*\n {2}data at risk: /)
    }
    assert.equal((await sluice(['dcs', 'restart', id, crypto.randomUUID(), '--dry-run'])).code, 1)
    assert.equal(nodePid(server.home, id), pid)
    assert.match((await sluice(['dcs', 'delete', '--all-failed'])).out, /nothing to do/)
  })

  test('an instance with replicas: create, nodes, swap, resize, priority, progress of each node, cancel', async () => {
    assert.equal((await sluice(['dcs', 'create', 'with-replicas', '--no-password', '--spec', 'redis.ha.xu1.tiny.r2.128'])).code, 0)
    const ha = JSON.parse((await sluice(['dcs', 'list', '--json'])).out).find((i: { name: string }) => i.name === 'with-replicas').instance_id
    assert.match((await sluice(['dcs', 'nodes', ha])).out, /0 +master +Active[^]*1 +replica +Active/)
    assert.match((await sluice(['dcs', 'swap', ha, '--dry-run'])).out, /node 0 {2}master {3}hands its role over to node 1/)
    assert.equal((await sluice(['dcs', 'swap', ha])).code, 0)
    assert.match((await sluice(['dcs', 'nodes', ha])).out, /0 +replica +Active[^]*1 +master +Active/)
    const grown = await sluice(['dcs', 'resize', ha, 'redis.ha.xu1.tiny.r3.128'])
    assert.equal(grown.code, 0, grown.err)
    assert.equal((await sluice(['dcs', 'priority', ha, '2', '1'])).code, 0)
    assert.match((await sluice(['dcs', 'nodes', ha])).out, /2 +replica +Active +\S+ +1 /)
    assert.match((await sluice(['dcs', 'resize', ha, 'redis.ha.xu1.tiny.r2.128'])).err, /DCS\.4930/)
    assert.match((await sluice(['dcs', 'resize', ha, 'redis.ha.xu1.tiny.r2.128', '--node', '1'])).err, /DCS\.4936/)
    const soft = await sluice(['dcs', 'soft-restart', ha])
    assert.match(soft.err, /\[0: .* · 1: .* · 2: /)
    const shrunk = await sluice(['dcs', 'resize', ha, 'redis.ha.xu1.tiny.r2.128', '--node', '0', '--hand-over'])
    assert.equal(shrunk.code, 0, shrunk.err)
    const going = sluice(['dcs', 'soft-restart', ha])
    await until('the restart to be accepted', async () => (await server.status('dcs', ha)) === 'RESTARTING')
    const cancel = await sluice(['dcs', 'cancel', ha])
    // It may have ended meanwhile; then it says so.
    assert.match(cancel.out + cancel.err, /is being cancelled|nothing is being done|has ended already/)
    assert.match((await going).err, /soft_restart (cancelled|done)/)
    assert.equal((await sluice(['cancel', '0'.repeat(32)])).code, 1)
    assert.equal((await sluice(['dcs', 'delete', ha, '--yes'])).code, 0)
  })

  test('down stops every node and the server; the next start brings them back', async () => {
    const pid = nodePid(server.home, id)
    await server.running('dcs', id)
    assert.equal((await sluice(['down', '--yes'])).code, 0)
    await server.ended()
    assert.ok(!isAlive(pid))
    await server.start()
    await server.running('dcs', id)
    // It is found dead some time after the start.
    const said = await until('the recovery', async () => { const { out } = await sluice(['audit', '--json']); return /1 of its nodes were stopped, and are wanted again/.test(out) && out })
    assert.doesNotMatch(said, /ended by themselves/)
  })
})

test('serve --ephemeral removes everything it made when it ends', async () => {
  const server = await makeServer()
  const before = new Set(readdirSync(tmpdir()))
  const child = spawn(process.execPath, [bin, 'serve', '--ephemeral'], { env: { ...server.env, SLUICE_HOME: '', SLUICE_DATABASE_URL: '' }, stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    let out = ''
    child.stdout.on('data', (data) => { out += data })
    const home: string = await until('the ready line', () => /home (\S+)/.exec(out)?.[1] ?? '')
    assert.ok(!before.has(home.split('/').at(-1)!))
    const answer = await fetch(`http://127.0.0.1:${server.base}/v3/auth/tokens`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ auth: { identity: { methods: ['password'], password: { user: { name: 'admin', password: 'Test-Passw0rd', domain: { name: 'sluice' } } } }, scope: { project: { id: server.project } } } }) })
    const token = answer.headers.get('x-subject-token')!
    const made = await (await fetch(`http://127.0.0.1:${server.base + 1}/v2/${server.project}/instances`, { method: 'POST', headers: { 'content-type': 'application/json', 'x-auth-token': token }, body: JSON.stringify(redisBody('shortlived')) })).json() as { instances: { instance_id: string }[] }
    const pid = await until('the node', () => { try { return nodePid(home, made.instances[0]!.instance_id) } catch { return 0 } })
    child.kill('SIGTERM')
    await new Promise((done) => child.once('exit', done))
    assert.ok(!isAlive(pid))
    assert.ok(!existsSync(home))
  } finally { child.kill('SIGKILL'); await server.destroy() }
})

test('the CLI runs on whatever node is installed: an older one hands over to the one it brings', () => {
  const other = ['/usr/local/bin/node', '/usr/bin/node'].find((path) => existsSync(path)) ?? process.execPath
  const r = spawnSync(other, [bin, '--version'], { encoding: 'utf8' })
  assert.equal(r.status, 0, r.stderr)
  assert.match(r.stdout, /^\d+\.\d+\.\d+/)
})

test("the README's requests as curl: a token, and a TLS switch", async () => {
  const server = await makeServer()
  // What is given by the environment is not in that file of a home.
  const credentials = mkdtempSync(join(tmpdir(), 'sluice-readme-'))
  try {
    await server.start()
    writeFileSync(join(credentials, 'credentials.json'), JSON.stringify({ password: 'Test-Passw0rd', projectId: server.project }, null, 2))
    const readme = readFileSync(join(root, 'README.md'), 'utf8')
    const block = (beginning: string): string => readme.match(/```sh\n[^]*?```/g)!.find((text) => text.startsWith(`\`\`\`sh\n${beginning}`))!.slice(6, -3)
    const script = [
      block('HOME_OF_SLUICE').replace(/=~\/\S+/, `='${credentials}'`), block('call()').replace(/^REDIS=.*$/m, ''),
      `call -X POST $DCS/v2/$PROJECT/instances -d '${JSON.stringify(redisBody('readme'))}'`,
      `REDIS=$(call $DCS/v2/$PROJECT/instances | sed 's/.*"instance_id":"\\([^"]*\\)".*/\\1/')`,
      'until call $DCS/v2/$PROJECT/instances/$REDIS | grep -q RUNNING; do sleep 0.2; done',
      ...block('call -X PUT $DCS/v2/$PROJECT/instances/$REDIS/ssl').split('\n').slice(0, 2), 'call $DCS/v2/$PROJECT/instances/$REDIS/ssl',
    ].join('\n').replace(/:748(\d)/g, (_, n) => `:${server.base + Number(n)}`)
    const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((done) => execFile('sh', ['-ec', script], { timeout: 60_000 }, (_error, out, err) => done({ stdout: out, stderr: err })))
    const lines = stdout.trim().split('\n').filter(Boolean)
    assert.equal(JSON.parse(lines.at(-1)!).enabled, true, stdout + stderr)
    assert.match(JSON.parse(lines.at(-2)!).link, /^http/)
  } finally { await server.destroy(); rmSync(credentials, { recursive: true }) }
})
