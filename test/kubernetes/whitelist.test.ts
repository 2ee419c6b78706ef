/** Whitelists as NetworkPolicies: the objects, for whether they are enforced is the cluster's network's business. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { readKubernetesConfig } from '../../src/config-kubernetes.ts'
import { makeServer, until, type Server } from '../support/server.ts'
import { inCluster, type TestCluster } from './cluster.ts'

describe('whitelists in a cluster', { concurrency: false }, () => {
  let cluster: TestCluster
  let server: Server
  before(async () => { cluster = await inCluster(); server = await makeServer({ ...cluster.env, SLUICE_KUBERNETES_NETWORK_POLICIES: 'enforced', SLUICE_KUBERNETES_CONTROL_PLANES: '192.0.2.7,pods' }); await server.start() })
  after(async () => { await server.destroy(); await cluster.destroy() })

  test('the policy lets in who is listed, is put back, and goes with the list', async () => {
    const id = await server.createRedis('listed')
    await server.running('dcs', id)
    const policy = async (): Promise<any> => JSON.parse(await cluster.kubectl('get', 'networkpolicy', `redis-${id}-whitelist`, '--ignore-not-found', '-o', 'json') || 'null')
    const put = (enable_whitelist: boolean) => server.dcs('PUT', `/instance/${id}/whitelist`, { enable_whitelist, whitelist: [{ group_name: 'some', ip_list: ['10.1.2.3', '10.9.8.7/16'] }] })
    assert.equal(await policy(), null)
    assert.equal((await put(true)).status, 204)
    const { spec, metadata } = await policy()
    assert.deepEqual(spec.ingress[0].from.flatMap((one: any) => one.ipBlock?.cidr ?? []), ['192.0.2.7/32', '10.1.2.3/32', '10.9.0.0/16'])
    assert.deepEqual([spec.policyTypes, spec.ingress.length, spec.podSelector.matchLabels['app.kubernetes.io/instance'], metadata.ownerReferences[0].name], [['Ingress'], 1, id, `redis-${id}`])
    await cluster.kubectl('delete', 'networkpolicy', `redis-${id}-whitelist`)
    await until('it to be put back', policy)
    await server.running('dcs', id)
    assert.equal((await put(false)).status, 204)
    assert.equal(await policy(), null)
    assert.equal((await put(true)).status, 204)
    await server.dcs('DELETE', `/instances/${id}`)
    await until('it to go with the instance', async () => await policy() === null, 120_000)
  })

  test('where the network enforces none, or hides who comes, a list is refused', async () => {
    for (const [env, why] of [[{ SLUICE_KUBERNETES_NETWORK_POLICIES: '', SLUICE_KUBERNETES_CONTROL_PLANES: '' }, /set SLUICE_KUBERNETES_NETWORK_POLICIES/], [{ SLUICE_KUBERNETES_EXPOSURE: 'NodePort' }, /hide where clients come from/]] as const) {
      await server.end('SIGTERM')
      await server.start(env)
      const id = await server.createRedis('refused')
      await server.running('dcs', id)
      const answer = await server.dcs('PUT', `/instance/${id}/whitelist`, { enable_whitelist: true, whitelist: [{ group_name: 'some', ip_list: ['10.1.2.3'] }] })
      assert.deepEqual([answer.status, answer.json.error_code], [400, 'DCS.4027'])
      assert.match(answer.json.error_msg, why)
    }
    assert.throws(() => readKubernetesConfig({ SLUICE_KUBERNETES_NETWORK_POLICIES: 'enforced' }), /needs SLUICE_KUBERNETES_CONTROL_PLANES/)
  })
})
