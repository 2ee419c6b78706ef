/** A namespace for each project: two of them in a real cluster, and an instance that was there before. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { client, makeServer, redisBody, until, type Server } from '../support/server.ts'
import { inCluster, type TestCluster } from './cluster.ts'

const run = promisify(execFile)

describe('a namespace for each project', { concurrency: false }, () => {
  let cluster: TestCluster
  let server: Server
  let prefix: string
  /** The first project is the server's own. */
  const tenants: { project: string; namespace: string; token: string; id: string }[] = []
  let older: string

  const kubectl = async (...args: string[]): Promise<string> => (await run('kubectl', args)).stdout.trim()
  const dcs = async ({ project, token }: { project: string; token: string }, method: string, path: string, body?: unknown) => server.call('dcs', method, `/v2/${project}${path}`, body, { 'x-auth-token': token })
  const running = (tenant: (typeof tenants)[number]): Promise<any> => until(`${tenant.id} to be RUNNING`, async () => {
    const { json } = await dcs(tenant, 'GET', `/instances/${tenant.id}`)
    return json.status === 'RUNNING' && json
  }, 60_000)
  const objects = 'statefulset,pod,service,secret,configmap,pvc,pdb'
  const leftOf = (namespace: string): Promise<string> => kubectl('-n', namespace, 'get', objects, '-l', 'app.kubernetes.io/managed-by=sluice', '-o', 'name')

  before(async () => {
    cluster = await inCluster()
    server = await makeServer(cluster.env)
    prefix = cluster.config.namespace.replace('sluice-test-', 't')
    // As it was: one namespace for all.
    await server.start()
    older = await server.createRedis('cache')
    await server.running('dcs', older)
    await server.end('SIGTERM')
    server.always({ SLUICE_KUBERNETES_PROJECT_NAMESPACES: `${prefix}-{project}` }, [])
    await server.start()
    const second = (await server.call('iam', 'POST', '/v3/projects', { project: { name: 'team-b' } })).json.project.id
    for (const project of [server.project, second]) {
      const { headers } = await server.call('iam', 'POST', '/v3/auth/tokens', { auth: { identity: { methods: ['password'], password: { user: { name: 'admin', password: 'Test-Passw0rd', domain: { name: 'sluice' } } } }, scope: { project: { id: project } } } })
      tenants.push({ project, namespace: `${prefix}-${project}`, token: headers.get('x-subject-token')!, id: '' })
    }
  })
  after(async () => {
    await server.destroy()
    await Promise.all([cluster.destroy(), ...tenants.map(({ namespace }) => kubectl('delete', 'namespace', namespace, '--ignore-not-found', '--wait=false'))])
  })

  test('two projects have instances of one name, each in a namespace that tells whose it is', async () => {
    for (const tenant of tenants) tenant.id = (await dcs(tenant, 'POST', '/instances', redisBody('cache'))).json.instances[0].instance_id
    for (const [n, tenant] of tenants.entries()) {
      const redis = client(await running(tenant))
      assert.equal(await redis.set('whose', n), 'OK')
      redis.disconnect()
      assert.equal(await kubectl('-n', tenant.namespace, 'get', 'statefulset', '-o', 'name'), `statefulset.apps/redis-${tenant.id}-0`)
      assert.equal(await kubectl('-n', tenant.namespace, 'get', 'secret', `redis-${tenant.id}-connection`, '-o', 'name'), `secret/redis-${tenant.id}-connection`)
      assert.match(await kubectl('get', 'namespace', tenant.namespace, '-L', 'sluice/project-name', '--no-headers'), n === 0 ? /eu-de_test$/ : /team-b$/)
    }
  })

  test('what was there before the setting stays where it is, and serves', async () => {
    const redis = client(await server.running('dcs', older))
    await redis.set('kept', 'yes')
    await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [older] })
    await server.running('dcs', older)
    assert.equal(await redis.get('kept'), 'yes')
    redis.disconnect()
    assert.equal((await cluster.kubectl('get', 'statefulset', '-o', 'name')).trim(), `statefulset.apps/redis-${older}-0`)
  })

  test('a restart is finished by the next control plane, and what somebody deletes comes back in its own namespace', async () => {
    const [first, second] = [tenants[0]!, tenants[1]!]
    for (const tenant of tenants) await dcs(tenant, 'PUT', '/instances/status', { action: 'restart', instances: [tenant.id] })
    await server.end('SIGKILL')
    await server.start()
    for (const [n, tenant] of tenants.entries()) {
      const redis = client(await running(tenant))
      assert.equal(await redis.get('whose'), String(n))
      redis.disconnect()
    }
    await kubectl('-n', second.namespace, 'delete', 'configmap', `redis-${second.id}`)
    await until('the owner and what it owns', async () => {
      const found = await kubectl('-n', second.namespace, 'get', 'configmap,statefulset,service', '-l', `app.kubernetes.io/instance=${second.id}`, '-o', 'name')
      return found.split('\n').length === 3 && (await running(second)).status === 'RUNNING'
    }, 60_000, 100)
    const redis = client(await running(second))
    assert.equal(await redis.get('whose'), '1')
    redis.disconnect()
    assert.ok(!(await kubectl('-n', first.namespace, 'get', 'configmap', '-o', 'name')).includes(second.id))
  })

  test('a removal leaves nothing but the namespace, for that may have more in it', async () => {
    for (const tenant of tenants) assert.equal((await dcs(tenant, 'DELETE', `/instances/${tenant.id}`)).status, 204)
    assert.equal((await server.dcs('DELETE', `/instances/${older}`)).status, 204)
    for (const namespace of [...tenants.map((tenant) => tenant.namespace), cluster.config.namespace]) {
      await until('nothing to be left', async () => await leftOf(namespace) === '', 60_000, 100)
      assert.equal(await kubectl('get', 'namespace', namespace, '-o', 'jsonpath={.status.phase}'), 'Active')
    }
  })
})
