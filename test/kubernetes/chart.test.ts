/**
 * The chart, installed: two control planes on one PostgreSQL, in the cluster, with the rights that it gives them and no others.
 * Needs helm, an image of Sluice that the cluster has (SLUICE_TEST_IMAGE, see packaging/Dockerfile) and a PostgreSQL that its
 * pods reach: one of our own where this machine is one of the cluster's, else SLUICE_TEST_CLUSTER_POSTGRES, a URL of an empty database.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { networkInterfaces } from 'node:os'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { startPostgres, type Postgres } from '../support/postgres.ts'
import { client, password, redisBody, root, until } from '../support/server.ts'
import { inCluster, type TestCluster } from './cluster.ts'

const run = promisify(execFile)
const image = process.env['SLUICE_TEST_IMAGE']
/** Of this machine, as a node of the cluster. */
const reached = (await run('kubectl', ['get', 'nodes', '-o', 'jsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}'])).stdout.split(' ')
  .find((address) => Object.values(networkInterfaces()).some((all) => all?.some((one) => one.address === address)))
const missing = !image || !reached && !process.env['SLUICE_TEST_CLUSTER_POSTGRES'] ? 'NOT TESTED: set SLUICE_TEST_IMAGE, and SLUICE_TEST_CLUSTER_POSTGRES' : false
const secret = 'Chart-Passw0rd'

describe('the chart', { concurrency: false, skip: missing }, () => {
  let cluster: TestCluster
  let namespace: string
  let host: string
  let token: string
  let project: string
  /** Installs it, or changes its values. */
  let helm: (more: Readonly<Record<string, string>>) => Promise<void>

  async function dcs(method: string, path: string, body?: unknown): Promise<{ status: number; json: any }> {
    // A control plane that is killed hangs up on whoever it talks to; the next call reaches another one. While no pod is ready,
    // or the machine's rules do not know it yet, the address leads out of it: somebody else may answer.
    return until('an answer of a control plane', async () => {
      const answer = await fetch(`http://${host}:7481/v2/${project}${path}`, { method, headers: { 'x-auth-token': token, 'content-type': 'application/json' }, ...(body ? { body: JSON.stringify(body) } : {}) }).catch(() => null)
      if (!answer?.headers.has('x-request-id')) return null
      const text = await answer.text()
      return { status: answer.status, json: text ? JSON.parse(text) : null }
    }, 30_000, 200)
  }
  const running = (id: string) => until('RUNNING', async () => {
    const { json } = await dcs('GET', `/instances/${id}`)
    return json.status === 'RUNNING' && json
  }, 120_000, 100)

  let postgres: Postgres | undefined

  before(async () => {
    const database = process.env['SLUICE_TEST_CLUSTER_POSTGRES'] ?? (postgres = await startPostgres(reached)).url
    cluster = await inCluster()
    namespace = cluster.config.namespace
    const [repository, tag] = [image!.slice(0, image!.lastIndexOf(':')), image!.slice(image!.lastIndexOf(':') + 1)]
    const set = {
      'image.repository': repository, 'image.tag': tag, 'image.pullPolicy': cluster.config.pullPolicy, 'instances.pullPolicy': cluster.config.pullPolicy,
      'instances.redisImage': cluster.config.images.redis, 'instances.kafkaImage': cluster.config.images.kafka, 'instances.user': String(cluster.config.userId),
      'secret.databaseUrl': database, 'secret.masterKey': 'a-key-of-this-test-0123456789', 'secret.password': secret,
    }
    helm = async (more) => { await run('helm', ['upgrade', '--install', 'sluice', `${root}/packaging/helm/sluice`, '-n', namespace, '--create-namespace', '--wait', '--timeout', '120s', ...Object.entries({ ...set, ...more }).flatMap(([name, value]) => ['--set-string', `${name}=${value.replaceAll(/[,{}]/g, '\\$&')}`])]) }
    await helm({})
    host = (await cluster.kubectl('get', 'service', 'sluice', '-o', 'jsonpath={.spec.clusterIP}')).trim()
    // Ready is what the API server knows; the machine's rules for the Service follow.
    ;({ token, project } = await until('the Service to lead to a control plane', async () => {
      const answer = await fetch(`http://${host}:7480/v3/auth/tokens`, {
        method: 'POST', headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ auth: { identity: { methods: ['password'], password: { user: { name: 'admin', password: secret, domain: { name: 'sluice' } } } }, scope: { project: { name: 'eu-de', domain: { name: 'sluice' } } } } }),
      })
      if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`)
      return { token: answer.headers.get('x-subject-token')!, project: ((await answer.json()) as any).token.project.id }
    }))
  })
  after(async () => {
    await run('helm', ['uninstall', 'sluice', '-n', namespace]).catch(() => {})
    await cluster.destroy()
    await postgres?.destroy()
  })

  test('one node and two, restarted while a control plane is killed, flushed and deleted', async () => {
    const made = await Promise.all([dcs('POST', '/instances', redisBody('single')), dcs('POST', '/instances', redisBody('pair', { spec_code: 'redis.ha.xu1.tiny.r2.128' }))])
    const ids = made.map(({ json }) => json.instances[0].instance_id as string)
    const shown = await Promise.all(ids.map(running))
    for (const instance of shown) {
      const redis = client(instance, password)
      await redis.set('kept', 'yes')
      redis.disconnect()
    }
    assert.equal((await dcs('PUT', '/instances/status', { action: 'soft_restart', instances: ids })).status, 200)
    const pod = (await cluster.kubectl('get', 'pod', '-l', 'app.kubernetes.io/name=sluice', '-o', 'jsonpath={.items[0].metadata.name}')).trim()
    await cluster.kubectl('delete', 'pod', pod, '--now', '--wait=false')
    await Promise.all(ids.map(running))
    for (const instance of shown) {
      const redis = client(instance, password)
      assert.equal(await redis.get('kept'), 'yes')
      redis.disconnect()
    }
    assert.equal((await dcs('PUT', '/instances/status', { action: 'flush', instances: ids })).status, 200)
    await Promise.all(ids.map(running))
    for (const instance of shown) {
      const redis = client(instance, password)
      assert.equal(await redis.dbsize(), 0)
      redis.disconnect()
    }
    // With no more rights than these, what a pod and its volume have can be changed.
    assert.equal((await dcs('POST', `/instances/${ids[1]}/resize`, { new_capacity: 0.25, spec_code: 'redis.ha.xu1.tiny.r2.256' })).status, 204)
    assert.equal((await running(ids[1]!)).capacity_minor, '.25')
    for (const id of ids) assert.equal((await dcs('DELETE', `/instances/${id}`)).status, 204)
    await until('nothing to be left', async () => (await cluster.kubectl('get', 'statefulset,pvc', '-o', 'name')).trim() === '', 120_000, 500)
  })

  test('both say that they are ready, and tell what they did', async () => {
    const metrics = await (await fetch(`http://${host}:7485/metrics`)).text()
    assert.ok(metrics.includes('sluice_operation_queue_age_seconds 0'))
    assert.equal((await cluster.kubectl('get', 'deployment', 'sluice', '-o', 'jsonpath={.status.readyReplicas}')).trim(), '2')
  })

  test('with a namespace for each project it has the rights for that', async () => {
    await helm({ 'instances.projectNamespaces': `${namespace.replace('sluice-test-', 't')}-{project}` })
    const own = `${namespace.replace('sluice-test-', 't')}-${project}`
    try {
      const id = (await dcs('POST', '/instances', redisBody('apart'))).json.instances[0].instance_id
      await running(id)
      assert.equal((await cluster.kubectl('get', 'statefulset', '-o', 'name', '-n', own)).trim(), `statefulset.apps/redis-${id}-0`)
      assert.equal((await dcs('DELETE', `/instances/${id}`)).status, 204)
      await until('nothing to be left', async () => (await cluster.kubectl('get', 'statefulset,pvc', '-o', 'name', '-n', own)).trim() === '', 60_000, 500)
    } finally { await cluster.kubectl('delete', 'namespace', own, '--ignore-not-found', '--wait=false') }
  })
})
