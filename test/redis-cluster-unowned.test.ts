/** Slots of a Redis Cluster that nobody owns, or two in one shard: what is left when somebody dies just as a shard's last slot is taken. On real servers, with each state made by hand. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clusterClient, selfOf, type ClusterNode } from './support/cluster.ts'
import { asAccount, clusterSteps, type Steps } from './support/steps.ts'
import { until } from './support/server.ts'

/** In the first shard. */
const slot = 100
const key = 'in:100:{48063}'

async function withShards(work: (steps: Steps, first: ClusterNode, second: ClusterNode) => Promise<void>): Promise<void> {
  const steps = await clusterSteps()
  try {
    await steps.size(3, 2)
    await steps.perform('create')
    const [first, second] = steps.nodes() as [ClusterNode, ClusterNode]
    assert.equal(await asAccount(steps, first, 'CLUSTER', 'KEYSLOT', key), slot)
    const cluster = clusterClient({ ip: first.address, port: first.port })
    try {
      await cluster.set(key, 'kept')
      await work(steps, first, second)
      const [master, replica] = await Promise.all([first, second].map(selfOf)).then((selves) => selves.toSorted((a, b) => a.role.localeCompare(b.role)))
      assert.deepEqual([master!.role, master!.slots, replica!.role, replica!.master], ['master', '0-5460', 'slave', master!.id])
      assert.equal(await cluster.get(key), 'kept')
    } finally { cluster.disconnect() }
  } finally { await steps.ground.destroy() }
}

test('a replica never heard of a slot that its master had taken: it takes it before the dead one is started', () => withShards(async (steps, first, second) => {
  await steps.kill(0)
  await asAccount(steps, second, 'CLUSTER', 'DELSLOTS', slot)
  await steps.perform('recover', { cut: 'engine.taken' })
  assert.equal((await selfOf(second)).slots, '0-5460')
  await assert.rejects(selfOf(first), 'it was not started yet')
  await steps.perform('recover')
}))

test('a master comes back with a slot of which its successor never heard, while nobody looked: what it has is moved there', () => withShards(async (steps, first, second) => {
  await steps.kill(0)
  await asAccount(steps, second, 'CLUSTER', 'DELSLOTS', slot)
  await asAccount(steps, second, 'CLUSTER', 'FAILOVER', 'TAKEOVER')
  await steps.ground.runtime.apply(steps.engine.layout(steps.instance(), steps.records())[0]!, { force: false })
  await until('it to have that slot only', async () => (await selfOf(first)).slots === String(slot))
  await steps.perform('recover')
  assert.equal((await selfOf(second)).role, 'master')
}))

test('a slot that nobody owns goes to who has its keys', () => withShards(async (steps, first) => {
  await asAccount(steps, first, 'CLUSTER', 'DELSLOTS', slot)
  assert.equal((await selfOf(first)).slots, '0-99 101-5460')
  await steps.perform('recover')
  assert.equal((await selfOf(first)).role, 'master')
}))
