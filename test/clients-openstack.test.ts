/** OpenStack's command line with the extensions for Open Telekom Cloud, unmodified, on a real Redis. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { pythonWith } from '../scripts/clients.ts'
import { client, makeServer, password, root, until, type Server } from './support/server.ts'

let server: Server
let shell: ChildProcess
let lines: AsyncIterator<string>
let words = ''

before(async () => {
  server = await makeServer()
  await server.start()
  const at = `http://127.0.0.1:${server.base}/v3`
  shell = spawn(pythonWith('openstack'), [join(root, 'test/clients/cli.py')], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'], HOME: server.home, OS_AUTH_URL: at, OS_USERNAME: 'admin', OS_PASSWORD: server.env['SLUICE_PASSWORD'], OS_USER_DOMAIN_NAME: 'sluice', OS_PROJECT_NAME: server.env['SLUICE_PROJECT'],
      OS_PROJECT_DOMAIN_NAME: 'sluice', OS_REGION_NAME: 'eu-de', OS_IDENTITY_API_VERSION: '3', OS_INTERFACE: 'public',
    },
  })
  shell.stderr!.on('data', (data) => { words += data })
  lines = createInterface({ input: shell.stdout! })[Symbol.asyncIterator]()
})
after(async () => {
  shell?.stdin!.end()
  if (shell && shell.exitCode === null) await once(shell, 'exit')
  await server.destroy()
})

async function openstack(...words_: string[]): Promise<any> {
  shell.stdin!.write(`${JSON.stringify(words_)}\n`)
  const { value, done } = await lines.next()
  if (done) throw new Error(`the command line ended: ${words.slice(-2000)}`)
  const { code, out, err } = JSON.parse(value) as { code: number; out: string; err: string }
  assert.equal(code, 0, `${words_.join(' ')}: ${err || out}`)
  return out.trim() === '' ? null : JSON.parse(out)
}

test('one life on the command line, with the data looked at from outside', async () => {
  const made = await openstack('dcs', 'instance', 'create', '--name', 'os-life', '--engine', 'redis', '--engine_version', '5.0', '--capacity', '2', '--password', password, '--vpc_id', randomUUID(), '--security_group_id', randomUUID(), '--subnet_id', randomUUID(), '--az', 'eu-de-01', '--product_id', 'OTC_DCS_SINGLE', '-f', 'json')
  const id = made.id
  await server.running('dcs', id)
  const listed = await openstack('dcs', 'instance', 'list', '--status', 'RUNNING', '-f', 'json')
  assert.deepEqual(listed.map((one: any) => Object.values(one).includes(id)), [true])
  const shown = await openstack('dcs', 'instance', 'show', 'os-life', '-f', 'json')
  assert.deepEqual([shown.status, shown.capacity, shown.resource_spec_code], ['RUNNING', 2, 'redis.single.xu1.large.2'])
  const redis = client(shown)
  await redis.set('kept', 'yes')
  await openstack('dcs', 'instance', 'restart', id, '-f', 'json')
  await server.running('dcs', id)
  assert.equal(await until('the data', () => redis.get('kept').catch(() => null)), 'yes')
  // What the extensions have no word for, by the token and the address that the command line itself uses.
  const token = await openstack('token', 'issue', '-f', 'json')
  for (const action of ['soft_restart', 'flush']) {
    const r = await fetch(`http://127.0.0.1:${server.base + 1}/v2/${server.project}/instances/status`, { method: 'PUT', headers: { 'x-auth-token': token.id, 'content-type': 'application/json' }, body: JSON.stringify({ action, instances: [id] }) })
    assert.equal(r.status, 200, await r.text())
    await server.running('dcs', id)
  }
  assert.equal(await until('an answer', async () => await redis.dbsize().catch(() => null) === 0), true)
  redis.disconnect()
  const [quota] = await openstack('dcs', 'quota', 'list', '-f', 'json')
  assert.equal(quota.used ?? quota.Used, 1)
  assert.equal((await openstack('dcs', 'stat', 'list', '-f', 'json')).length, 1)
  await openstack('dcs', 'instance', 'delete', id)
  await until('404', async () => (await server.dcs('GET', `/instances/${id}`)).status === 404)
})
