/** Whose turn it is to stop while a Redis Cluster goes on serving: replicas, then masters that have handed their slots over. */
import { setTimeout as sleep } from 'node:timers/promises'
import { checkpoint } from '../../core/checkpoint.ts'
import { all, readInfo } from './client.ts'
import { byShard, closingShards, copied, isOwner, lookAtCluster, masterGrant, replidGrant, shardsOf, type ClusterView } from './cluster-views.ts'
import { closeAll, isLinked } from './seen.ts'
import { takeSlots } from './cluster-takeover.ts'
import type { Redis } from 'ioredis'
import type { Ground } from './topology.ts'
import type { NodeHealth } from '../../core/engine.ts'
import { closing as closingGrant, type NodeRecord } from '../../core/instance.ts'

/** Longer than a handover ever takes. When its control plane dies in the middle, the old master goes on by itself after this. */
const pauseMs = 3000
/** A replica that is linked has everything within a millisecond or two; one that has not lags, and clients wait meanwhile. */
const levelWithinMs = 250
/** The replica may take over until then: long before the old master's pause ends. */
const takeWithinMs = 500
/** News travel within some milliseconds. A master that has not heard of its successor by then hangs, and is killed before its pause ends. */
const heardWithinMs = 2000

export async function choose(ground: Ground, behind: readonly NodeRecord[]): Promise<NodeRecord | string> {
  const views = await lookAtCluster(ground)
  try {
    const waiting = (view: ClusterView): boolean => behind.some((node) => node.id === view.node.id)
    const shards = byShard(views, shardsOf(ground.instance, ground.nodes))
    const replica = shards.flatMap(([, members]) => members).find((view) => waiting(view) && view.me !== null && !isOwner(view.me))
    if (replica) return replica.node
    for (const [shard, members] of shards) {
      const owner = members.find((view) => waiting(view) && isOwner(view.me))
      // Without a replica nobody can take over: its slots are gone for as long as it needs to start.
      if (owner) return members.length === 1 ? owner.node : await handOver(ground, shard, owner, members)
    }
    return 'a node that is behind does not answer'
  } finally { closeAll(views) }
}

/** Hands the slots of its shard over to this node. */
export async function promote(ground: Ground, to: NodeRecord): Promise<NodeHealth> {
  const views = await lookAtCluster(ground)
  try {
    const [shard, members] = byShard(views, shardsOf(ground.instance, ground.nodes)).find(([, all]) => all.some((view) => view.node.id === to.id))!
    const owner = members.find((view) => isOwner(view.me))
    if (owner?.node.id === to.id) return { ok: true }
    if (!owner) return { ok: false, reason: `nobody owns the slots of shard ${shard}` }
    return { ok: false, reason: await handOver(ground, shard, owner, members.filter((view) => view === owner || view.node.id === to.id)) }
  } finally { closeAll(views) }
}

/**
 * What Redis's own coordinated CLUSTER FAILOVER does, in the same order, but without its waits for the next tick of a
 * clock of 100 ms and without votes, which masters give about the same old master only every 10 s; a failover that gets
 * none pauses the clients for 5 s. A vote decides between rivals, and here are none: the cluster is whole, so no replica
 * can be elected within the next 5 s, and the script of ours that comes later than 500 ms is refused. The master pauses
 * before the replica is asked, so the two never take writes together. One that freezes meanwhile would, after its pause,
 * take what waits in its sockets before it hears that it is a replica (tried: 180 of 200 such writes were acknowledged,
 * and lost); so it is killed while it is paused, which costs nothing: the replica has all of its data.
 */
async function handOver(ground: Ground, shard: number, owner: ClusterView, members: readonly ClusterView[]): Promise<string> {
  const next = members.filter((view) => view !== owner && isLinked(view) && view.me?.master === owner.me!.id).toSorted((a, b) => copied(b) - copied(a))[0]
  if (!next) return `no replica of shard ${shard} is up to date yet`
  ground.progress(`hands over to node ${next.node.ordinal}`, owner.node.id)
  const [from, to] = [owner.session!.redis, next.session!.redis]
  // A takeover raises the epoch, a write to the disk while clients wait, unless it is the highest already.
  await all(to, [['CLUSTER', 'BUMPEPOCH']])
  checkpoint('engine.raised')
  const [until, lost] = [Date.now() + takeWithinMs, performance.now() + heardWithinMs]
  // In one turn of the master: nothing is written between the pause and its offset.
  const [, info] = await all(from, [['CLIENT', 'PAUSE', pauseMs, 'WRITE'], ['INFO', 'replication']]) as [string, string]
  checkpoint('engine.paused')
  const offset = Number(readInfo(`\n${info}`)('master_repl_offset'))
  const giveUp = performance.now() + levelWithinMs
  while (!await takeSlots(to, 'TAKEOVER', offset, until)) {
    if (performance.now() > giveUp) {
      await all(from, [['CLIENT', 'UNPAUSE']])
      return `node ${next.node.ordinal} lags behind the master of shard ${shard}`
    }
  }
  checkpoint('engine.promoted')
  if (!await hears(from, lost)) {
    ground.progress('hangs, and is killed', owner.node.id)
    await ground.kill(owner.node)
    checkpoint('runtime.killed')
    return `the old master of shard ${shard}, node ${owner.node.ordinal}, did not hear of its successor and was killed`
  }
  await all(from, [['CLIENT', 'UNPAUSE']])
  checkpoint('engine.unpaused')
  return `node ${next.node.ordinal} is master of shard ${shard} now`
}

/** Whether a master learns until then that it is a replica now. */
async function hears(redis: Redis, until: number): Promise<boolean> {
  while (performance.now() < until) {
    const late = new AbortController()
    const answer = await Promise.race([redis.role().catch(() => null), sleep(until - performance.now(), null, { signal: late.signal }).catch(() => null)])
    late.abort()
    if (answer?.[0] === 'slave') return true
  }
  return false
}

/** Takes nodes out. A master that goes alone hands its slots over first; a shard that goes gives them to the others, which is for `arrange` to do. Called while the whole cluster is well. */
export async function vacate(ground: Ground, leaving: readonly NodeRecord[]): Promise<NodeHealth> {
  const views = await lookAtCluster(ground)
  try {
    const goes = (view: ClusterView): boolean => leaving.some((node) => node.id === view.node.id)
    const shards = shardsOf(ground.instance, ground.nodes)
    const closing = byShard(views, shards).filter(([, members]) => members.every(goes)).map(([shard]) => shard)
    if (closing.some((shard) => !closingShards(ground.instance, shards).has(shard))) {
      await ground.grant({ ...ground.instance.grants, [closingGrant]: closing.join() })
      return { ok: false, reason: `shards ${closing.join()} are about to give their slots to the others` }
    }
    for (const [shard, members] of byShard(views, shards)) {
      const owner = members.find((view) => isOwner(view.me))
      if (owner && closing.includes(shard)) return { ok: false, reason: `shard ${shard} has slots yet` }
      if (owner && goes(owner)) return { ok: false, reason: await handOver(ground, shard, owner, members.filter((view) => view === owner || !goes(view))) }
    }
    const [going, staying] = [views.filter(goes), views.filter((view) => !goes(view))]
    const unsure = views.find((view) => !view.me)
    if (unsure) return { ok: false, reason: unsure.silence || `node ${unsure.node.ordinal} is loading its data` }
    // Dead first, or the others would hear of them again. Whoever is killed here meanwhile finds them dead, and starts them to begin again.
    await Promise.all(going.map((view) => ground.kill(view.node)))
    checkpoint('runtime.killed')
    await Promise.all(staying.map(async ({ session, peers }) => {
      const known = going.filter(({ me }) => peers.some((peer) => peer.id === me!.id))
      if (known.length > 0) await all(session!.redis, known.map(({ me }) => ['CLUSTER', 'FORGET', me!.id]))
    }))
    checkpoint('engine.forgotten')
    // A new shard of that number must not be taken for it.
    const over = closing.flatMap((shard) => [masterGrant(shard), replidGrant(shard)])
    if (closing.length > 0) await ground.grant(Object.fromEntries(Object.entries(ground.instance.grants).filter(([name]) => !over.includes(name))))
    return { ok: true }
  } finally { closeAll(views) }
}
