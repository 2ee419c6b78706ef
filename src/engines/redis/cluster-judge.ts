/** Whether a Redis Cluster is what was ordered: all slots, seen alike by everybody, and every replica beside its master. */
import { byShard, closingShards, confirmedTo, headOf, isOwner, placeOf, shardsOf, size, slotCount, type ClusterView } from './cluster-views.ts'
import { isLinked } from './seen.ts'
import { links, loads } from './headway.ts'
import type { NodeHealth } from '../../core/engine.ts'
import type { Ground } from './topology.ts'

/** `moving`: well enough for slots to travel; a node that did not know whose they are would refuse them, and their clients. */
export function judgeCluster({ instance, nodes, progress }: Ground, views: readonly ClusterView[], moving = false): NodeHealth {
  const not = (reason: string): NodeHealth => ({ ok: false, reason })
  const silent = answering(views)
  if (silent) return not(silent)
  for (const { node, me, peers, session } of views) {
    if (session!.refusal) return not(`node ${node.ordinal} answers ${session!.refusal.message}`)
    const stranger = nodes.find((other) => !peers.some((peer) => peer.place === placeOf(other)))
    if (stranger) return not(`node ${node.ordinal} has not met node ${stranger.ordinal} yet`)
    const doubted = peers.find((peer) => peer.flags.some((flag) => flag.startsWith('fail') || flag === 'handshake' || flag === 'noaddr'))
    if (doubted) return not(`node ${node.ordinal} sees ${doubted.place} as ${doubted.flags.join()}`)
    if (!moving && me!.moving.length > 0) return not(`slots of node ${node.ordinal} are on their way`)
  }
  const shards = shardsOf(instance, nodes)
  const closing = closingShards(instance, shards)
  const reason = slotsAgree(views) ?? inShards(views, shards, progress, (shard) => moving || closing.has(shard)) ?? (moving || closing.size > 0 ? null : even(views))
  if (reason) return not(reason)
  const waiting = views.find((view) => !view.serves)
  return waiting ? not(`node ${waiting.node.ordinal} waits for the cluster before it takes commands`) : { ok: true }
}

/** Why not everybody can be asked; null when they can. */
export function answering(views: readonly ClusterView[]): string | null {
  const silent = views.find((view) => !view.session)
  if (silent) return silent.silence
  const loading = views.find((view) => !view.me)
  return loading ? `node ${loading.node.ordinal} is ${loads(loading.info)}` : null
}

function slotsAgree(views: readonly ClusterView[]): string | null {
  const beliefs = views.map(({ peers }) => peers.filter((peer) => peer.slots.length > 0).map((peer) => `${peer.id} ${peer.epoch} ${peer.slots.join(' ')}`).toSorted().join('\n'))
  const other = beliefs.findIndex((belief) => belief !== beliefs[0])
  if (other >= 0) return `nodes ${views[0]!.node.ordinal} and ${views[other]!.node.ordinal} see the slots differently`
  const owners = views[0]!.peers.filter((peer) => peer.slots.length > 0)
  const covered = owners.reduce((sum, peer) => sum + size(peer.slots), 0)
  if (covered < slotCount) return `${slotCount - covered} slots belong to nobody`
  return new Set(owners.map((peer) => peer.epoch)).size < owners.length ? 'two masters have the same epoch' : null
}

/** A move of slots that its operation gave up leaves them uneven. */
function even(views: readonly ClusterView[]): string | null {
  const counts = views.filter(({ me }) => isOwner(me)).map(({ me }) => size(me!.slots))
  return Math.max(...counts) - Math.min(...counts) > 1 ? `one shard has ${Math.min(...counts)} slots, and another one ${Math.max(...counts)}` : null
}

function inShards(views: readonly ClusterView[], shards: ReadonlyMap<string, number>, progress: Ground['progress'], mayBeBlank: (shard: number) => boolean): string | null {
  for (const [shard, members] of byShard(views, shards)) {
    const owners = members.filter((view) => isOwner(view.me))
    // A shard that is new has none until its first slot comes, and one that goes gave all away.
    const master = owners[0] ?? (mayBeBlank(shard) ? headOf(members) : undefined)
    if (!master || owners.length > 1) return `${owners.length === 0 ? 'nobody' : 'more than one node'} of shard ${shard} owns slots`
    progress(`master of shard ${shard}`, master.node.id)
    for (const view of members.filter((one) => one !== master)) {
      if (view.me!.master !== master.me!.id) return `node ${view.node.ordinal} does not follow the master of shard ${shard}, node ${master.node.ordinal}`
      if (!isLinked(view)) {
        progress(links(view.info), view.node.id)
        return `node ${view.node.ordinal} is ${links(view.info)}`
      }
      if (confirmedTo(view, master) === 0) return `node ${view.node.ordinal} has copied the data, and its master does not send it more yet`
      // By this it is known as a successor. A master takes a new id when its first replica comes, maybe after it was asked.
      if (view.info('master_replid') !== master.info('master_replid')) return `node ${view.node.ordinal} and its master give different replication ids`
      progress(`replica of shard ${shard}`, view.node.id)
    }
  }
  return null
}
