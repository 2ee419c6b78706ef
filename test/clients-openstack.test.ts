/** OpenStack's command line with the extensions for Open Telekom Cloud, unmodified, on a real Redis. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
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
  shell = spawn(pythonWith('openstack'), [join(root, 'test/clients/cli.py')], { stdio: ['pipe', 'pipe', 'pipe'], env: environment() })
  shell.stderr!.on('data', (data) => { words += data })
  lines = createInterface({ input: shell.stdout! })[Symbol.asyncIterator]()
})
after(async () => {
  shell?.stdin!.end()
  if (shell && shell.exitCode === null) await once(shell, 'exit')
  await server.destroy()
})

function environment(): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'], HOME: server.home, PYTHONDONTWRITEBYTECODE: '1', OS_AUTH_URL: `http://127.0.0.1:${server.base}/v3`, OS_USERNAME: 'admin', OS_PASSWORD: server.env['SLUICE_PASSWORD'], OS_USER_DOMAIN_NAME: 'sluice', OS_PROJECT_NAME: server.env['SLUICE_PROJECT'],
    OS_PROJECT_DOMAIN_NAME: 'sluice', OS_REGION_NAME: 'eu-de', OS_IDENTITY_API_VERSION: '3', OS_INTERFACE: 'public',
  }
}

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

test('tokens, projects, users and roles as the command line looks them up; a revoked token is a wrong one', async () => {
  const made = await openstack('token', 'issue', '-f', 'json')
  assert.equal(made.project_id, server.project)
  assert.deepEqual((await openstack('catalog', 'list', '-f', 'json')).map((entry: any) => entry.Type).toSorted(), ['compute', 'dcs', 'dcsv1', 'dms', 'dmsv1', 'dmsv2', 'identity', 'network', 'vpc'])
  assert.equal((await openstack('project', 'show', server.env['SLUICE_PROJECT']!, '-f', 'json')).id, server.project)
  assert.equal((await openstack('user', 'list', '-f', 'json'))[0].Name, 'admin')
  assert.equal((await openstack('user', 'show', 'admin', '-f', 'json')).name, 'admin')
  assert.deepEqual((await openstack('role', 'list', '-f', 'json')).map((role: any) => role.Name), ['admin', 'readonly'])
  assert.equal((await openstack('region', 'list', '-f', 'json'))[0].Region, 'eu-de')
  assert.equal((await openstack('domain', 'list', '-f', 'json'))[0].Name, 'sluice')
  await openstack('token', 'revoke', made.id)
  assert.equal((await server.call('dcs', 'GET', `/v2/${server.project}/instances`, undefined, { 'x-auth-token': made.id })).json.error_code, 'DCS.1001')
})

test('networks as the command line makes and shows them', async () => {
  assert.deepEqual((await openstack('network', 'list', '-f', 'json')).map((network: any) => network.Name), ['subnet-default', 'admin_external_net'])
  const group = await openstack('security', 'group', 'create', 'web', '--description', 'd', '-f', 'json')
  const rule = await openstack('security', 'group', 'rule', 'create', 'web', '--protocol', 'tcp', '--dst-port', '6379', '--remote-ip', '10.0.0.0/8', '-f', 'json')
  assert.equal(rule.port_range_max, 6379)
  assert.equal((await openstack('security', 'group', 'rule', 'list', 'web', '-f', 'json')).length, 5)
  await openstack('security', 'group', 'delete', group.id)
  const ip = await openstack('floating', 'ip', 'create', 'admin_external_net', '-f', 'json')
  assert.match(ip.floating_ip_address, /^198\.51\.100\./)
  await openstack('floating', 'ip', 'delete', ip.id)
  assert.equal((await openstack('subnet', 'list', '-f', 'json')).length, 1)
  assert.equal((await openstack('availability', 'zone', 'list', '--compute', '-f', 'json')).length, 3)
  const sdk = spawn(pythonWith('openstack'), [join(root, 'test/clients/network.py')], { stdio: ['ignore', 'pipe', 'pipe'], env: environment() })
  const [out, err] = await Promise.all([text(sdk.stdout), text(sdk.stderr)])
  assert.deepEqual(JSON.parse(out || `"${err.slice(-2000)}"`), { vpcs: ['vpc-default', 'renamed'], subnets: ['cache-subnet'], status: ['OK', 'ACTIVE'], renamed: 'renamed', found: true, left: ['vpc-default'] }, err)
})
