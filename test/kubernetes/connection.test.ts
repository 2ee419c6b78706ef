/** What clients in the cluster take their settings from, and the settings of operators as the API server sees them. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { Redis } from 'ioredis'
import { readKubernetesConfig } from '../../src/config-kubernetes.ts'
import { containRedis } from '../../src/engines/redis/container.ts'
import { nodeService, statefulSet } from '../../src/runtimes/kubernetes/manifests.ts'
import { makeServer, password, until, type Server } from '../support/server.ts'
import { inCluster, type TestCluster } from './cluster.ts'
import type { Instance } from '../../src/core/instance.ts'

describe('what an instance gives to its cluster', { concurrency: false }, () => {
  let cluster: TestCluster
  let server: Server
  before(async () => { cluster = await inCluster(); server = await makeServer(cluster.env); await server.start() })
  after(async () => { await server.destroy(); await cluster.destroy() })

  const found = async (name: string): Promise<any> => JSON.parse(await cluster.kubectl('get', 'secret', name, '--ignore-not-found', '-o', 'json') || 'null')
  const plain = ({ data }: { data: Record<string, string> }): Record<string, string> => Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]))

  test('a Secret has what a client needs; it follows the password, comes back when somebody takes it, and goes with the instance', async () => {
    const id = await server.createRedis('bound')
    const { ip, port } = await server.running('dcs', id)
    const name = `redis-${id}-connection`
    const secret = await found(name)
    assert.deepEqual(plain(secret), { type: 'redis', provider: 'sluice', host: ip, port: String(port), password, uri: `redis://:${encodeURIComponent(password)}@${ip}:${port}` })
    assert.equal(secret.metadata.ownerReferences[0].name, `redis-${id}`)
    const redis = new Redis(plain(secret)['uri']!, { maxRetriesPerRequest: 1 })
    assert.equal(await redis.ping(), 'PONG')
    redis.disconnect()

    const next = 'Next/Pass:word@1'
    assert.equal((await server.dcs('POST', `/instances/${id}/password/reset`, { new_password: next })).status, 200)
    const changed = plain(await until('the new password', async () => { const now = await found(name); return plain(now)['password'] === next && now }))
    const again = new Redis(changed['uri']!, { maxRetriesPerRequest: 1 })
    assert.equal(await again.ping(), 'PONG')
    again.disconnect()

    await cluster.kubectl('delete', 'secret', name)
    assert.deepEqual(plain(await until('the Secret to come back', () => found(name), 30_000, 100)), changed)
    await until('it to settle', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0)
    await server.dcs('DELETE', `/instances/${id}`)
    await until('it to be gone', async () => await found(name) === null, 60_000, 100)
  })

  test('storage class, tolerations, pull secrets, priority class, node selector and load balancers are as the API server wants them', async () => {
    const config = readKubernetesConfig({
      ...cluster.env, SLUICE_KUBERNETES_STORAGE_CLASS: 'fast', SLUICE_KUBERNETES_TOLERATIONS: 'dedicated=redis:NoSchedule,spot:NoExecute', SLUICE_KUBERNETES_PULL_SECRETS: 'one,two',
      SLUICE_KUBERNETES_PRIORITY_CLASS: 'system-node-critical', SLUICE_KUBERNETES_NODE_SELECTOR: 'disk=ssd,zone=a', SLUICE_KUBERNETES_EXPOSURE: 'LoadBalancer',
    })
    const instance = { id: 'i', engine: 'redis', spec: { port: null }, endpoints: {}, grants: {} } as unknown as Instance
    const node = { id: 'i-0', instanceId: 'i', ordinal: 0, host: 'kubernetes', address: '', ports: { service: 6379 } }
    const owner = { name: 'redis-i', uid: '0123' }
    const spec = { id: 'i-0', instanceId: 'i', software: { name: 'redis' as const, version: '7.0' }, argv: [], env: {}, files: { 'redis.conf': '' }, address: '', ports: { service: 6379 }, memoryBytes: 1 << 27, generation: 1, graceMs: 1000, forceGraceMs: 0 }
    const taken = async (manifest: object, kind: string): Promise<any> => {
      const child = spawn('kubectl', ['-n', cluster.config.namespace, 'apply', '--server-side', '--dry-run=server', '-f', '-', '-o', 'json'], { stdio: ['pipe', 'pipe', 'inherit'] })
      child.stdin.end(JSON.stringify({ apiVersion: kind, ...manifest }))
      let text = ''
      child.stdout.on('data', (data) => { text += data })
      const [code] = await once(child, 'close')
      assert.equal(code, 0)
      return JSON.parse(text)
    }
    const set = await taken(statefulSet(spec, containRedis(config.images.redis)(spec), owner, config), 'apps/v1')
    const pod = set.spec.template.spec
    assert.equal(set.spec.volumeClaimTemplates[0].spec.storageClassName, 'fast')
    assert.deepEqual(pod.tolerations, [{ key: 'dedicated', operator: 'Equal', value: 'redis', effect: 'NoSchedule' }, { key: 'spot', operator: 'Exists', effect: 'NoExecute' }])
    assert.deepEqual([pod.imagePullSecrets, pod.priorityClassName, pod.nodeSelector], [[{ name: 'one' }, { name: 'two' }], 'system-node-critical', { disk: 'ssd', zone: 'a' }])
    const service = await taken(nodeService(instance, node, owner, config), 'v1')
    assert.deepEqual([service.spec.type, service.spec.ports[0].port, service.spec.publishNotReadyAddresses], ['LoadBalancer', 6379, true])
  })
})
