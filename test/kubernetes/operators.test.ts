/** What operators set for the pods and volumes of all instances: they live by it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { client, makeServer, until } from '../support/server.ts'
import { whenCut } from '../support/cut.ts'
import { inCluster } from './cluster.ts'

test('an instance has the storage class, node selector, tolerations, pull secrets and priority class that are set, also after a restart', async () => {
  const cluster = await inCluster()
  const { kubectl, config: { namespace: name } } = cluster
  const apply = async (...items: readonly object[]): Promise<void> => {
    const child = spawn('kubectl', ['apply', '-f', '-'], { stdio: ['pipe', 'ignore', 'inherit'] })
    child.stdin.end(JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
    assert.deepEqual(await once(child, 'close'), [0, null])
  }
  const server = await makeServer({
    ...cluster.env, SLUICE_KUBERNETES_STORAGE_CLASS: name, SLUICE_KUBERNETES_PRIORITY_CLASS: name, SLUICE_KUBERNETES_NODE_SELECTOR: `${name}=here`,
    SLUICE_KUBERNETES_TOLERATIONS: 'dedicated=redis:NoSchedule,spot:NoExecute', SLUICE_KUBERNETES_PULL_SECRETS: 'one,two',
  })
  async function end(): Promise<void> {
    uncut()
    await server.destroy()
    await kubectl('delete', 'storageclass,priorityclass', name, '--ignore-not-found')
    await kubectl('label', 'node', '--all', `${name}-`)
    await cluster.destroy()
  }
  const uncut = whenCut(end)
  try {
    const classes = JSON.parse(await kubectl('get', 'storageclass', '-o', 'json')).items
    const { apiVersion, kind, provisioner, parameters, reclaimPolicy, volumeBindingMode } = classes.find((one: any) => one.metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true')
    const secret = (of: string): object => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name: of, namespace: name }, type: 'kubernetes.io/dockerconfigjson', stringData: { '.dockerconfigjson': '{"auths":{}}' } })
    await apply(
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }, secret('one'), secret('two'),
      { apiVersion, kind, metadata: { name }, provisioner, parameters, reclaimPolicy, volumeBindingMode },
      { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name }, value: 1000 },
    )
    await server.start()
    const id = await server.createRedis('as-set')
    const list = async (what: string): Promise<any> => JSON.parse(await kubectl('get', what, '-l', `app.kubernetes.io/instance=${id}`, '-o', 'json')).items
    // No machine has that label yet.
    await until('a pod that nothing takes', async () => (await list('pods'))[0]?.status.conditions?.some((one: any) => one.type === 'PodScheduled' && one.reason === 'Unschedulable'))
    await kubectl('label', 'node', '--all', `${name}=here`)
    const redis = client(await server.running('dcs', id, 120_000))
    await redis.set('kept', 'yes')
    async function asSet(): Promise<string> {
      const [[{ metadata, spec, status }], [volume]] = [await list('pods'), await list('persistentvolumeclaims')]
      assert.deepEqual([status.phase, spec.nodeSelector, spec.imagePullSecrets], ['Running', { [name]: 'here' }, [{ name: 'one' }, { name: 'two' }]])
      assert.deepEqual([spec.priorityClassName, spec.priority], [name, 1000])
      for (const one of [{ key: 'dedicated', operator: 'Equal', value: 'redis', effect: 'NoSchedule' }, { key: 'spot', operator: 'Exists', effect: 'NoExecute' }]) assert.ok(spec.tolerations.some((other: any) => JSON.stringify(Object.entries(other).toSorted()) === JSON.stringify(Object.entries(one).toSorted())), JSON.stringify(spec.tolerations))
      assert.deepEqual([volume.spec.storageClassName, volume.status.phase], [name, 'Bound'])
      return metadata.uid
    }
    const before = await asSet()
    await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })
    await server.running('dcs', id, 120_000)
    assert.notEqual(await asSet(), before)
    assert.equal(await redis.get('kept'), 'yes')
    redis.disconnect()
    await server.dcs('DELETE', `/instances/${id}`)
  } finally { await end() }
})
