/**
 * Spreads the slots evenly over the shards that stay, keys and all, while clients go on. What moves where follows from who owns what
 * now, and what was given is written in the nodes themselves: killed anywhere, the next call finds by looking where to go on.
 */
import { checkpoint } from '../../core/checkpoint.ts'
import { all } from './client.ts'
import { countedBytes } from './facts.ts'
import { flushallOf } from './flush.ts'
import { claim, givenBy, keysOf, moveSlots, setSlots, take } from './cluster-move.ts'
import { headOf, headsOf, ownedOf, ownerOf, placeOf, readPeers, replidGrant, slotCount, type ClusterView, type Head, type Shards } from './cluster-views.ts'
import { descendsFrom } from './views.ts'
import type { Grants } from '../../core/instance.ts'
import type { Ground } from './topology.ts'

/** Whoever calls looks at all nodes in between, so that a dead one is found after this. */
const workForMs = 200
/** What is said to a node is mostly waited for: several slots at once take hardly longer than one. */
const mostSlotsAtOnce = 128
/** The source holds writes while it is read for the second time, so slots become fewer where it takes longer than this. */
const holdAtMostMs = 50
/** How many slots at once were good lately, by the id of the giving node; of another nobody knows how large they are. */
const paces = new Map<string, number>()

interface Moving { readonly heads: readonly Head[]; /** By slot. */ readonly owners: (Head | undefined)[]; readonly counts: Map<Head, number>; /** Of heads that stay, and of those that shall give all. */ readonly staying: readonly Head[]; readonly closing: readonly Head[] }

/** Whether slots have to be moved: some are half way, or a shard has more or fewer than its part, which is nothing of those that close. */
export function uneven(shards: Shards, closing: ReadonlySet<number>): boolean {
  const moving = survey(shards, closing)
  return moving !== null && (moving.heads.some(({ view }) => view.me!.moving.length > 0) || nextMove(moving) !== null)
}

/** Moves slots for a while. Every node answers and every shard is well. A sentence: where it stands, for there may be more to do. */
export async function spread(ground: Ground, shards: Shards, closing: ReadonlySet<number>): Promise<string> {
  const moving = survey(shards, closing)!
  const until = performance.now() + workForMs
  let at = 'slots on their way'
  try {
    // What was begun is finished first: of such a slot the target has copies.
    for (const slot of openSlots(moving)) {
      at = `slot ${slot}`
      await finish(ground, moving, slot)
      if (performance.now() > until) return `slot ${slot}, which was on its way, has arrived`
    }
    for (let next = nextMove(moving); next; next = nextMove(moving)) {
      const { slots, from, to } = next
      at = `slots ${slots.join()}`
      await move(ground, moving, slots, from, to)
      if (performance.now() > until) {
        const said = moving.closing.includes(from) ? `${moving.counts.get(from)} slots of shard ${from.shard} are left to move` : `${moving.counts.get(to)} of ${Math.floor(slotCount / moving.staying.length)} slots moved to shard ${to.shard}`
        ground.progress(said, moving.closing.includes(from) ? from.view.node.id : to.view.node.id)
        return said
      }
    }
    return 'all slots are where they belong, and everybody is about to hear of it'
  } catch (error) {
    // The message only: an error of RESTORE carries the customer's data.
    return `${at} could not be moved yet: ${(error as Error).message}`
  }
}

/** Who owns what, each by its own word, the newest word where two say so. Null: a shard has no master, or a slot no owner, so nothing can be said. */
function survey(shards: Shards, closing: ReadonlySet<number>): Moving | null {
  const heads = headsOf(shards)
  if (!heads) return null
  const owners = Array.from<Head | undefined>({ length: slotCount }).fill(undefined)
  for (const head of heads.toSorted((a, b) => a.view.me!.epoch - b.view.me!.epoch)) {
    for (const [first, last] of head.view.me!.slots) owners.fill(head, first, last + 1)
  }
  if (owners.includes(undefined)) return null
  const counts = new Map(heads.map((head) => [head, 0]))
  for (const owner of owners) counts.set(owner!, counts.get(owner!)! + 1)
  return { heads, owners, counts, staying: heads.filter(({ shard }) => !closing.has(shard)), closing: heads.filter(({ shard }) => closing.has(shard)) }
}

/**
 * Which slots move next, and where to. One shard is filled after the other, so that its epoch is raised once, from the
 * one that has most, from its end: what stays remains one range.
 */
function nextMove({ owners, counts, staying, closing }: Moving): { readonly slots: readonly number[]; readonly from: Head; readonly to: Head } | null {
  const [least, most] = [Math.floor(slotCount / staying.length), Math.ceil(slotCount / staying.length)]
  const ends = closing.find((head) => counts.get(head)! > 0)
  const from = ends ?? staying.reduce((a, b) => counts.get(b)! > counts.get(a)! ? b : a)
  const poor = staying.find((head) => counts.get(head)! < least)
  if (!poor && counts.get(from)! <= most && !ends) return null
  const to = poor ?? staying.reduce((a, b) => counts.get(b)! < counts.get(a)! ? b : a)
  // The last one, which has the mark, goes alone.
  const spare = ends ? Math.max(1, counts.get(from)! - 1) : counts.get(from)! - least
  const count = poor ? Math.min(paces.get(from.id) ?? 1, least - counts.get(poor)!, spare) : 1
  const slots: number[] = []
  for (let slot = owners.lastIndexOf(from); slots.length < count; slot = owners.lastIndexOf(from, slot - 1)) slots.push(slot)
  return { slots, from, to }
}

interface Mark { readonly slot: number; readonly head: Head; readonly away: boolean; readonly other: string }

function marksOf({ heads }: Moving): Mark[] {
  return heads.flatMap((head) => head.view.me!.moving.flatMap((text) => {
    const [, slot, way, other] = /^\[(\d+)-([<>])-(\w+)\]$/.exec(text) ?? []
    return slot === undefined ? [] : [{ slot: Number(slot), head, away: way === '>', other: other! }]
  }))
}

function openSlots(moving: Moving): number[] { return [...new Set(marksOf(moving).map(({ slot }) => slot))].toSorted((a, b) => a - b) }

/** Brings a slot that was being moved to where it was going, whoever of the two shards has had a new master since. */
async function finish(ground: Ground, moving: Moving, slot: number): Promise<void> {
  const marks = marksOf(moving).filter((mark) => mark.slot === slot)
  const owner = moving.owners[slot]!
  // Nothing was given, or there would be a mark: the owner has all keys, and shall send nobody away.
  if (marks.some(({ head, away }) => away && head === owner)) await setSlots(owner, [slot], 'STABLE')
  const goal = marks.find(({ head, away }) => away && head === owner)
  // The target may be known by an id that is a replica's now: its shard has the copies.
  const aimed = (goal && headWith(moving.heads, goal.other)) ?? marks.find(({ away, head }) => !away && head !== owner)?.head ?? owner
  // One that closes gets none, whatever its file says that it imports: when it starts with the key of a slot that it gave, Redis notes that.
  const to = moving.closing.includes(aimed) ? owner : aimed
  if (to !== owner) return move(ground, moving, [slot], owner, to)
  for (const { head, away } of marks) if (head === owner || !away) await setSlots(head, [slot], 'STABLE')
  await Promise.all(moving.heads.filter((head) => head !== owner).map((head) => setSlots(head, [slot], 'NODE', owner.id)))
}

/** The master of the shard that a node of this id is of. Everybody knows everybody by now; a dead one is known by its place. */
function headWith(heads: readonly Head[], id: string): Head | undefined {
  const place = heads.flatMap(({ view }) => view.peers).find((peer) => peer.id === id)?.place
  return heads.find(({ members }) => members.some(({ node }) => placeOf(node) === place))
}

async function move(ground: Ground, moving: Moving, slots: readonly number[], from: Head, to: Head): Promise<void> {
  if (moving.counts.get(to) === 0) {
    // Of keys that go with a slot Redis tells neither replicas nor files. A mark of a slot that this shard gave would be there still, and be believed.
    await all(to.view.session!.redis, [[flushallOf(ground.instance.spec), 'ASYNC']])
    checkpoint('engine.emptied')
    await shareFunctions(from, to)
  }
  const own = moving.owners.flatMap((owner, slot) => owner === from ? [slot] : [])
  const heldMs = await moveSlots(moving.heads, slots, from, to, { own })
  paces.set(from.id, Math.max(1, Math.min(mostSlotsAtOnce, heldMs > holdAtMostMs ? slots.length >> 1 : slots.length * 2)))
  for (const slot of slots) moving.owners[slot] = to
  moving.counts.set(from, moving.counts.get(from)! - slots.length)
  moving.counts.set(to, moving.counts.get(to)! + slots.length)
}

/**
 * Ends what a mark says was begun: before anything else, for until then a slot may belong to nobody. A sentence when
 * there was one. Every node answers.
 */
export async function finishGiven(shards: Shards): Promise<string | null> {
  const heads = headsOf(shards)
  if (!heads) return null
  for (const [given, from] of (await Promise.all(heads.map(async (head) => [await givenBy(head, shards.length), head] as const)))) {
    const to = given && headWith(heads, given.to)
    if (!given || !to) continue
    const name = `slots ${given.slots.join()}`
    try {
      // It was made master before it had heard, while no control plane was up, and clients wrote to it: what it has is newer.
      const back = ownedOf(from, given.slots, true)
      if (back.length > 0 && await keysOf(from.view, back) > (back.includes(given.at) ? 1 : 0)) await moveSlots(heads, back, from, to, { add: true })
      await take(heads, given.slots, from, to)
    } catch (error) { return `${name}, which shard ${from.shard} gave, could not be taken yet: ${(error as Error).message}` }
    return `${name}, which shard ${from.shard} gave, are taken`
  }
  // Of slots that it imports a node believes no gossip: not that their owner died, nor who owns them now. Its copies are made anew.
  const stale = heads.flatMap((head) => head.view.me!.moving.flatMap((text) => {
    const [, slot, id] = /^\[(\d+)-<-(\w+)\]$/.exec(text) ?? []
    return slot === undefined || heads.some((other) => other.id === id) ? [] : [{ head, slot: Number(slot) }]
  }))
  if (stale.length === 0) return null
  await Promise.all(stale.map(({ head, slot }) => setSlots(head, [slot], 'STABLE')))
  return 'slots whose owner died are no longer imported from it'
}

/**
 * Before a dead node is started: whoever is master of its shard now takes what had been given to it. The dead one may have
 * taken that, and died before its replica heard: it would come back as a second master, of these slots only. Answers who is master now, when there was nothing to take.
 */
export async function claimGiven(shards: Shards, promoted: readonly ClusterView[], grants: Grants): Promise<readonly Head[]> {
  const heads = (await Promise.all(shards.map(async ([shard, members]): Promise<Head[]> => {
    const owner = ownerOf(members)
    if (owner) return [{ shard, view: owner, id: owner.me!.id, members }]
    // In a shard without slots too, to which they were given; if whoever promoted it died then, it is the only master, and has the shard's data.
    const masters = members.filter(({ me }) => me !== null && me.master === null)
    const alone = masters.length === 1 && descendsFrom(masters[0]!, grants[replidGrant(shard)]) ? masters[0] : undefined
    const fresh = promoted.find((view) => members.includes(view)) ?? alone
    if (!fresh) return []
    const peers = readPeers(await fresh.session!.redis.call('CLUSTER', 'NODES') as string)
    const me = peers.find(({ flags }) => flags.includes('myself'))!
    return me.master === null ? [{ shard, view: { ...fresh, me, peers }, id: me.id, members }] : []
  }))).flat()
  let claimed = false
  for (const from of heads) {
    const given = await givenBy(from, shards.length)
    const to = given && headWith(heads, given.to)
    const missing = to ? ownedOf(to, given!.slots, false) : []
    if (missing.length === 0) continue
    await claim(to!, missing, from.id)
    checkpoint('engine.taken')
    claimed = true
  }
  return claimed ? [] : heads
}

/**
 * Before a replica becomes master: what its master gave is taken, and it knows of that, or it would claim and empty it. A
 * sentence while that is not so.
 */
export async function beforePromotion(next: ClusterView, shards: Shards, views: readonly ClusterView[]): Promise<string | null> {
  const old = next.peers.find((peer) => peer.id === next.me!.master)
  if (!old || old.slots.length === 0) return null
  const later = views.flatMap(({ peers }) => peers).find((peer) => peer.master === null && peer.id !== old.id && peer.epoch > old.epoch && peer.slots.some((range) => old.slots.some((own) => range[0] <= own[1] && own[0] <= range[1])))
  if (later) return `node ${next.node.ordinal}, about to take over, has not heard yet what ${later.place} owns`
  const given = await givenBy({ view: next }, shards.length, old.slots.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, n) => first + n)))
  if (!given) return null
  // Whoever heads its shard; that of `next` has nobody yet.
  const to = headWith(headsOf(shards.filter(([, members]) => !members.includes(next) && headOf(members))) ?? [], given.to)
  // Its shard has no master either: that one first. Only it knows what it was given.
  if (!to) return null
  const missing = ownedOf(to, given.slots, false)
  if (missing.length === 0) return null
  await claim(to, missing, old.id)
  checkpoint('engine.taken')
  return `shard ${to.shard} takes what the dead master gave before node ${next.node.ordinal} takes over`
}

/** A customer loads a function into every master, and cannot know of one that joins later. Redis has them from 7.0 on. */
async function shareFunctions({ view }: Head, to: Head): Promise<void> {
  if (Number(view.info('redis_version')?.split('.')[0]) < 7) return
  const dump = await view.session!.redis.callBuffer('FUNCTION', 'DUMP') as Buffer
  await to.view.session!.redis.call('FUNCTION', 'RESTORE', dump, 'REPLACE')
  checkpoint('engine.functions')
}

/**
 * Running nodes get the memory that their shard has now. `less` when all keys are where they belong, and only where nothing
 * would be evicted by it; such a node gets it with its next start.
 */
export async function fitMemory(views: readonly ClusterView[], bytes: number, which: 'more' | 'less'): Promise<void> {
  await Promise.all(views.map(async ({ session, info }) => {
    const now = Number(info('maxmemory')) || Infinity
    if (which === 'more' ? now >= bytes : now <= bytes || countedBytes(info) > bytes) return
    await all(session!.redis, [['CONFIG', 'SET', 'maxmemory', bytes]])
    checkpoint('engine.fitted')
  }))
}
