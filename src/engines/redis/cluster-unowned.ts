/**
 * Slots about which no mark says anything, for a shard's last one takes the mark with it: those that nobody owns, and those
 * that a former master owns beside its successor. Both are there only when somebody died just as such a slot was taken.
 */
import { checkpoint } from '../../core/checkpoint.ts'
import { all } from './client.ts'
import { claim, moveSlots, span } from './cluster-move.ts'
import { redisOf } from './cluster-proof.ts'
import { headsOf, isOwner, ownedOf, placeOf, slotCount, type ClusterView, type Head, type Shards } from './cluster-views.ts'

const ownersIn = (shards: Shards): ClusterView[] => shards.flatMap(([, members]) => members).filter(({ me }) => isOwner(me))

/** Before a dead master is started, as it may have owned something that its successor never heard of: whoever has heard of it last knows. */
export async function inherit(shards: Shards, heads: readonly Head[]): Promise<void> {
  const views = shards.flatMap(([, members]) => members).filter(({ me }) => me !== null)
  const owned = new Set(ownersIn(shards).flatMap(span))
  const last = new Map<number, { readonly epoch: number; readonly id: string; readonly place: string }>()
  for (const peer of views.flatMap(({ peers }) => peers)) {
    for (const [first, end] of peer.slots) for (let slot = first; slot <= end; slot += 1) if (!owned.has(slot) && (last.get(slot)?.epoch ?? -1) < peer.epoch) last.set(slot, peer)
  }
  for (const { view, id, members } of heads) {
    // One that only says nothing may have it, and answer somebody.
    const places = members.filter(({ running }) => !running).map(({ node }) => placeOf(node))
    const theirs = [...last].filter(([, peer]) => peer.id !== id && places.includes(peer.place))
    const missing = ownedOf({ view }, theirs.map(([slot]) => slot), false)
    if (missing.length === 0) continue
    await claim({ view, id }, missing, last.get(missing[0]!)!.id)
    checkpoint('engine.taken')
  }
}

/** Slots that nobody owns go to who has their keys. A sentence when there were some. Every node answers. */
export async function adopt(shards: Shards, closing: ReadonlySet<number>): Promise<string | null> {
  const heads = headsOf(shards)
  const staying = (heads ?? []).filter(({ shard }) => !closing.has(shard))
  // A shard that has nothing is new, or lost its files: what was in it is nobody else's.
  if (staying.length < 2 || staying.some(({ view }) => !isOwner(view.me))) return null
  const owned = new Set(ownersIn(shards).flatMap(span))
  const slots = Array.from({ length: slotCount }, (_, slot) => slot).filter((slot) => !owned.has(slot))
  if (slots.length === 0) return null
  const counts = await Promise.all(staying.map(({ view }) => all(redisOf(view), slots.map((slot) => ['CLUSTER', 'COUNTKEYSINSLOT', slot])) as Promise<number[]>))
  const most = (n: number): number => counts.reduce((best, count, head) => count[n]! > counts[best]![n]! ? head : best, 0)
  for (const [head, theirs] of Map.groupBy(slots.keys(), most)) {
    await claim(staying[head]!, [...theirs].map((n) => slots[n]!), staying[head === 0 ? 1 : 0]!.id)
    checkpoint('engine.taken')
  }
  return `slots ${slots.join()}, which nobody owned, are taken`
}

/** A former master that came back with slots of which its successor had not heard gives them to it: what was written to it since is nowhere else. A sentence when there was one. */
export async function reunite(shards: Shards): Promise<string | null> {
  const heads = headsOf(shards)
  for (const head of heads ?? []) {
    for (const view of head.members) {
      if (view === head.view || !isOwner(view.me)) continue
      const others = new Set(ownersIn(shards).filter((one) => one !== view).flatMap(span))
      const slots = span(view).filter((slot) => !others.has(slot))
      // It is about to hear.
      if (slots.length === 0) continue
      try {
        await moveSlots(heads!, slots, { ...head, view, id: view.me!.id, members: [view] }, { ...head, members: head.members.filter((one) => one !== view) })
      } catch (error) { return `slots ${slots.join()} of node ${view.node.ordinal} could not be moved yet: ${(error as Error).message}` }
      return `slots ${slots.join()}, which node ${view.node.ordinal} came back with, are its successor's`
    }
  }
  return null
}
