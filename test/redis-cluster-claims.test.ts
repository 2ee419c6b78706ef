/** Who is believed to own slots in a Redis Cluster that grows, or whose nodes lost something: on real servers, with operations that are left half way. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { after, before, describe, test } from 'node:test'
import { readPeers, slotCount } from '../src/engines/redis/cluster-views.ts'
import { countOf } from './crash/cluster-resize.ts'
import { clusterClient, selfOf, tell, type ClusterNode } from './support/cluster.ts'
import { asAccount, clusterSteps, type Steps } from './support/steps.ts'
import { password, until } from './support/server.ts'

/** A customer's keys, some for each shard. */
async function written({ nodes }: Steps, keys: readonly string[]): Promise<void> {
  const cluster = clusterClient({ ip: nodes()[0]!.address, port: nodes()[0]!.port })
  try { await Promise.all(keys.map((key) => cluster.set(key, key))) } finally { cluster.disconnect() }
}
async function lost({ nodes }: Steps, keys: readonly string[]): Promise<string[]> {
  const cluster = clusterClient({ ip: nodes()[0]!.address, port: nodes()[0]!.port })
  try {
    const values = await Promise.all(keys.map((key) => cluster.get(key)))
    return keys.filter((key, n) => values[n] !== key)
  } finally { cluster.disconnect() }
}
const some = (name: string, count: number): string[] => Array.from({ length: count }, (_, n) => `${name}:${n}`)

/** Once everybody has heard of it. */
async function bump(steps: Steps, node: ClusterNode): Promise<void> {
  const [, epoch] = String(await asAccount(steps, node, 'CLUSTER', 'BUMPEPOCH')).split(' ')
  await until('everybody to have heard', async () => (await Promise.all(steps.nodes().map((node) => tell(node, 'CLUSTER', 'INFO')))).every((about) => about.includes(`cluster_current_epoch:${epoch}\r`)))
}

describe('a shard that is new, and has no slots yet', { concurrency: false }, () => {
  let steps: Steps
  const keys = some('kept', 300)
  const shard = () => Promise.all(steps.nodes().slice(6).map(selfOf))
  before(async () => {
    steps = await clusterSteps()
    await steps.size(3, 2)
    await steps.perform('create')
    await written(steps, keys)
    // As after some failovers: by its number alone a new node would have an older epoch.
    for (const ordinal of [0, 2, 0, 2]) await bump(steps, steps.nodes()[ordinal]!)
    await steps.size(4, 2)
  })
  after(async () => { await steps.ground.destroy() })

  test('its epoch is above all others before it is given any, and its replica knows', async () => {
    await steps.perform('extend', { cut: 'engine.importing' })
    const { id } = (await shard())[0]!
    for (const node of steps.nodes().slice(6)) {
      const seen = readPeers(await tell(node, 'CLUSTER', 'NODES')).filter(({ master }) => master === null)
      assert.equal(seen.toSorted((a, b) => b.epoch - a.epoch)[0]!.id, id, `node ${node.ordinal}: ${seen.map((peer) => `${peer.place} ${peer.epoch}`).join()}`)
    }
  })

  test('its head is who took its dead master\'s place, and that one follows when it is back', async () => {
    await steps.kill(6)
    // Whoever had just promoted the other one ended there, and somebody else started the first one.
    await steps.perform('recover', { cut: 'engine.promoted' })
    await steps.ground.runtime.apply(steps.engine.layout(steps.instance(), steps.records())[6]!, { force: false })
    await steps.perform('recover', { cut: 'engine.followed' })
    const [first, second] = await shard()
    assert.deepEqual([first!.role, first!.master, second!.role], ['slave', second!.id, 'master'])
  })

  test('what was given to it is its successor\'s when the master dies before it took that', async () => {
    // Of the shard that has most, from its end.
    const [since, ...given] = await keysOf(steps.nodes()[0]!, slotCount - 1, 3)
    await written(steps, given)
    await steps.perform('extend', { cut: 'engine.given' })
    // Clients are sent on to it already.
    await written(steps, [since!])
    await steps.kill(7)
    await steps.perform('recover', { cut: 'engine.followed' })
    const [first, second] = await shard()
    assert.deepEqual([first!.role, second!.role, second!.master], ['master', 'slave', first!.id])
    assert.deepEqual(await lost(steps, [...keys, ...given, since!]), [])
  })
})

test('a replica that lost its list of nodes, and claims what it has keys of, is not believed before its master', async () => {
  const steps = await clusterSteps()
  const [before, since] = [some('before', 300), some('since', 300)]
  try {
    await steps.size(3, 2)
    await steps.perform('create')
    await written(steps, before)
    await steps.kill(1)
    rmSync(join(steps.ground.folder, 'nodes', steps.records()[1]!.id, 'data/nodes.conf'))
    await written(steps, since)
    await steps.perform('recover')
    const [master, replica] = await Promise.all(steps.nodes().slice(0, 2).map(selfOf))
    assert.deepEqual([master!.role, master!.slots, replica!.role, replica!.master], ['master', '0-5460', 'slave', master!.id])
    assert.deepEqual(await lost(steps, [...before, ...since]), [])
  } finally { await steps.ground.destroy() }
})

test('of two replicas of a shard one lost its master, and the other one, which has all, says nothing when that dies: the master comes back itself', async () => {
  const steps = await clusterSteps()
  try {
    await steps.size(3, 3)
    await steps.perform('create')
    const [master, behind] = steps.nodes() as [ClusterNode, ClusterNode]
    // Nor elected by the others, while whoever is slow here takes longer than they wait.
    await tell(behind, 'CONFIG', 'SET', 'masterauth', 'wrong', 'cluster-replica-no-failover', 'yes')
    await tell(behind, 'CLIENT', 'KILL', 'TYPE', 'master')
    const since = await keysOf(master, 0, 50)
    await written(steps, since)
    await until('it to be without its master for a while, and less than it is trusted for', async () => Number(/master_link_down_since_seconds:(\d+)/.exec(await tell(behind, 'INFO', 'replication'))?.[1] ?? 0) >= 3)
    // What is killed a moment after it acknowledged may not have written that yet.
    await until('it to be in the file of the master', async () => (await tell(master, 'INFO', 'persistence')).includes('aof_buffer_length:0\r'))
    const silent = (await steps.states())[2]!.identity!.pid
    process.kill(silent, 'SIGSTOP')
    await steps.kill(0)
    const recovered = steps.perform('recover')
    await until('somebody to be master', async () => (await Promise.all([master, behind].map((node) => selfOf(node).catch(() => null)))).some((self) => self?.role === 'master' && self.slots !== ''))
    process.kill(silent, 'SIGCONT')
    await recovered
    assert.equal((await selfOf(master)).slots, '0-5460')
    assert.deepEqual(await lost(steps, since), [])
  } finally { await steps.ground.destroy() }
})

for (const cut of ['engine.given', 'engine.given.last'] as const) {
  test(`a change to fewer shards ends half way, after ${cut}: all shards are whole again, and it can be had later`, async () => {
    const steps = await clusterSteps()
    const keys = some('kept', 300)
    try {
      await steps.size(6, 1)
      await steps.perform('create')
      await written(steps, [...keys, ...await keysOf(steps.nodes()[3]!, 8192, 5)])
      await steps.size(3, 1)
      const leaving = steps.nodes().slice(3).map(({ id }) => id).join()
      await steps.perform('shrink', { memo: { leaving }, cut })
      // As its deadline does.
      await steps.size(6, 1)
      await steps.perform('recover')
      assert.deepEqual((await Promise.all(steps.nodes().map(selfOf))).map(({ slots }) => countOf(slots)).toSorted(), [2730, 2730, 2731, 2731, 2731, 2731])
      assert.deepEqual(await lost(steps, keys), [])
      await steps.size(3, 1)
      await steps.perform('shrink', { memo: { leaving } })
      assert.deepEqual((await Promise.all(steps.nodes().map(selfOf))).map(({ slots }) => countOf(slots)).toSorted(), [5461, 5461, 5462])
      assert.deepEqual(await lost(steps, keys), [])
      assert.deepEqual(Object.keys(steps.instance().grants).filter((name) => /[345]$/.test(name) && !name.startsWith('shard ')), [])
    } finally { await steps.ground.destroy() }
  })
}

test('a shard that gave its last slot, and gets it back, is not taken for one that gives it: its replica still has the mark', async () => {
  const steps = await clusterSteps()
  try {
    await steps.size(6, 2)
    await steps.perform('create')
    const keys = await keysOf(steps.nodes()[6]!, 8192, 20)
    await written(steps, keys)
    await steps.size(3, 2)
    await steps.perform('shrink', { memo: { leaving: steps.nodes().slice(6).map(({ id }) => id).join() }, cut: 'engine.heard.last' })
    await steps.size(6, 2)
    await steps.perform('recover')
    await steps.kill(6)
    await steps.perform('recover')
    assert.deepEqual(await lost(steps, keys), [])
  } finally { await steps.ground.destroy() }
})

/** Names of keys that fall into a slot. */
async function keysOf({ address: host, port }: ClusterNode, slot: number, count: number): Promise<string[]> {
  const redis = new Redis({ host, port, password })
  const found: string[] = []
  try {
    for (let from = 0; found.length < count; from += 10_000) {
      const names = Array.from({ length: 10_000 }, (_, n) => `in:${from + n}`)
      const pipeline = redis.pipeline()
      for (const name of names) pipeline.cluster('KEYSLOT', name)
      const slots = (await pipeline.exec())!.map(([, one]) => one)
      found.push(...names.filter((_, n) => slots[n] === slot))
    }
    return found
  } finally { redis.disconnect() }
}
