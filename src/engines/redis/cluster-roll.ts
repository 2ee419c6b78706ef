/** Whose turn it is to stop while a Redis Cluster goes on serving: replicas, then masters that have handed their slots over. */
import { setTimeout as sleep } from 'node:timers/promises'
import { checkpoint } from '../../core/checkpoint.ts'
import { all } from './client.ts'
import { byShard, closeCluster, copied, isOwner, isSynced, lookAtCluster, nodeTimeoutMs, shardsOf, type ClusterView } from './cluster-views.ts'
import type { Ground } from './topology.ts'
import type { NodeRecord } from '../../core/instance.ts'

/** Redis gives up a handover after 5 s, and lets the old master go on. */
const handedWithinMs = 6000
/** For so long masters do not vote again about the slots of the same old master, and clients would wait in vain. */
const voteAgainMs = 2 * nodeTimeoutMs
/** An election that failed is not repeated by Redis before this. */
const electAgainMs = 4 * nodeTimeoutMs

/** By which is kept when a node's slots may be handed over again, epoch ms. */
const handoverGrant = (nodeId: string): string => `handover ${nodeId}`

export async function choose(ground: Ground, behind: readonly NodeRecord[]): Promise<NodeRecord | string> {
  const views = await lookAtCluster(ground)
  try {
    const waiting = (view: ClusterView): boolean => behind.some((node) => node.id === view.node.id)
    const shards = byShard(views, shardsOf(ground.instance, ground.nodes))
    const replica = shards.flatMap(([, members]) => members).find((view) => waiting(view) && view.me !== null && !isOwner(view.me))
    if (replica) return replica.node
    // One after another: each master has one vote at a time.
    for (const [shard, members] of shards) {
      const owner = members.find((view) => waiting(view) && isOwner(view.me))
      // Without a replica nobody can take over: its slots are gone for as long as it needs to start.
      if (owner) return members.length === 1 ? owner.node : await handOver(ground, shard, owner, members)
    }
    return 'a node that is behind does not answer'
  } finally { closeCluster(views) }
}

/**
 * Redis's own coordinated failover: the master pauses its clients, the replica gets what is missing, is elected, and
 * tells everybody; the clients that were paused are sent to it. A replica that freezes in the middle gets no votes later,
 * and a master that hears of nothing goes on by itself. It is waited for here: asked again it would begin again.
 */
async function handOver(ground: Ground, shard: number, owner: ClusterView, members: readonly ClusterView[]): Promise<string> {
  const { grants } = ground.instance
  const waitMs = Number(grants[handoverGrant(owner.node.id)] ?? 0) - Date.now()
  // Never longer than was ever written: a clock may have been set back.
  if (waitMs > 0 && waitMs <= electAgainMs) return `the master of shard ${shard} was handed over a moment ago: ${Math.ceil(waitMs / 1000)} s until the masters vote about it again`
  const next = members.filter((view) => view !== owner && isSynced(view) && view.me?.master === owner.me!.id).toSorted((a, b) => copied(b) - copied(a))[0]
  if (!next) return `no replica of shard ${shard} is up to date yet`
  ground.progress(`hands over to node ${next.node.ordinal}`, owner.node.id)
  await ground.grant({ ...grants, [handoverGrant(owner.node.id)]: String(Date.now() + voteAgainMs) })
  await all(next.session!.redis, [['CLUSTER', 'FAILOVER']])
  checkpoint('engine.handed')
  const giveUp = performance.now() + handedWithinMs
  while (performance.now() < giveUp) {
    const [[mine], [theirs]] = await Promise.all([next.session!.redis.role(), owner.session!.redis.role()])
    if (mine === 'master' && theirs === 'slave') return `node ${next.node.ordinal} is master of shard ${shard} now`
    await sleep(2)
  }
  await ground.grant({ ...grants, [handoverGrant(owner.node.id)]: String(Date.now() + electAgainMs) })
  return `node ${next.node.ordinal} was not elected master of shard ${shard}`
}
