/**
 * Spreads the slots evenly over the shards, keys and all, while clients go on. What moves where follows from who owns what
 * now, and half-moved slots are written in the nodes themselves: killed anywhere, the next call finds by looking where to go on.
 */
import { checkpoint } from '../../core/checkpoint.ts'
import { account, all } from './client.ts'
import { headOf, slotCount, type ClusterView } from './cluster-views.ts'
import type { Ground } from './topology.ts'

export type Shards = readonly (readonly [shard: number, members: readonly ClusterView[]])[]

/** Whoever calls looks at all nodes in between, so that a dead one is found after this. */
const workForMs = 200
/** What is said to a node is mostly waited for: several slots at once take hardly longer than one, and a few open ones cost a client a redirection. */
const slotsAtOnce = 16
/** MIGRATE keeps both of its nodes from serving, so batches grow from one key as long as they take less than this. */
const batchAtMostMs = 20
const batchKeys = { first: 1, most: 100 }
/** For how long nothing may move between the two nodes. Less than a session waits for an answer, so that MIGRATE ends first. */
const stallMs = 1500

interface Head { readonly shard: number; readonly view: ClusterView; readonly id: string }
interface Moving { readonly ground: Ground; readonly heads: readonly Head[]; /** By slot. */ readonly owners: (Head | undefined)[]; readonly counts: Map<Head, number>; batch: number }

/** Whether slots have to be moved: some are half way, or a shard has more or fewer than its part. */
export function uneven(shards: Shards): boolean {
  const moving = survey(shards)
  return moving !== null && (moving.heads.some(({ view }) => view.me!.moving.length > 0) || nextMove(moving) !== null)
}

/** Moves slots for a while. Every node answers and every shard is well. A sentence: where it stands, for there may be more to do. */
export async function spread(ground: Ground, shards: Shards): Promise<string> {
  const moving: Moving = { ...survey(shards)!, ground, batch: batchKeys.first }
  const until = performance.now() + workForMs
  let at = 'half-moved slots'
  try {
    // What was begun is finished first: of such a slot both nodes have keys.
    for (const slot of openSlots(moving)) {
      at = `slot ${slot}`
      await finish(moving, slot)
      if (performance.now() > until) return `slot ${slot}, which was half moved, is whole again`
    }
    for (let next = nextMove(moving); next; next = nextMove(moving)) {
      const { slots, from, to } = next
      at = `slots ${slots.join()}`
      if (moving.counts.get(to) === 0) await shareFunctions(from, to)
      await moveSlots(moving, slots, from, to)
      if (performance.now() > until) {
        const said = `${moving.counts.get(to)} of ${Math.floor(slotCount / moving.heads.length)} slots moved to shard ${to.shard}`
        ground.progress(said, to.view.node.id)
        return said
      }
    }
    return 'all slots are where they belong, and everybody is about to hear of it'
  } catch (error) {
    // The message only: an error of MIGRATE carries its arguments, and with them the password.
    return `${at} could not be moved yet: ${(error as Error).message}`
  }
}

/** Who owns what, each by its own word, the newest word where two say so. Null: a shard has no master, or a slot no owner, so nothing can be said. */
function survey(shards: Shards): Omit<Moving, 'ground' | 'batch'> | null {
  const heads: Head[] = []
  for (const [shard, members] of shards) {
    const view = headOf(members)
    if (!view) return null
    heads.push({ shard, view, id: view.me!.id })
  }
  const owners = Array.from<Head | undefined>({ length: slotCount }).fill(undefined)
  for (const head of heads.toSorted((a, b) => a.view.me!.epoch - b.view.me!.epoch)) {
    for (const [first, last] of head.view.me!.slots) owners.fill(head, first, last + 1)
  }
  if (owners.includes(undefined)) return null
  const counts = new Map(heads.map((head) => [head, 0]))
  for (const owner of owners) counts.set(owner!, counts.get(owner!)! + 1)
  return { heads, owners, counts }
}

/**
 * Which slots move next, and where to. One shard is filled after the other, so that its epoch is raised once, from the
 * one that has most, from its end: what stays remains one range.
 */
function nextMove({ heads, owners, counts }: Pick<Moving, 'heads' | 'owners' | 'counts'>): { readonly slots: readonly number[]; readonly from: Head; readonly to: Head } | null {
  const [least, most] = [Math.floor(slotCount / heads.length), Math.ceil(slotCount / heads.length)]
  const from = heads.reduce((a, b) => counts.get(b)! > counts.get(a)! ? b : a)
  const poor = heads.find((head) => counts.get(head)! < least)
  if (!poor && counts.get(from)! <= most) return null
  const to = poor ?? heads.reduce((a, b) => counts.get(b)! < counts.get(a)! ? b : a)
  const count = poor ? Math.min(slotsAtOnce, least - counts.get(poor)!, counts.get(from)! - least) : 1
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

/** Brings a half-moved slot to where it was going, whoever of the two shards has had a new master since. */
async function finish(moving: Moving, slot: number): Promise<void> {
  const marks = marksOf(moving).filter((mark) => mark.slot === slot)
  const owner = moving.owners[slot]!
  // The target may be known by an id that is a replica's now: its shard has the keys.
  const goal = marks.find(({ head, away }) => away && head === owner)
  const to = (goal && headWith(moving, goal.other)) ?? marks.find(({ away, head }) => !away && head !== owner)?.head ?? owner
  if (to !== owner) return moveSlots(moving, [slot], owner, to)
  await tell(owner, [slot], 'STABLE')
  await publish(moving, [slot], owner)
  for (const { head, away } of marks) if (head !== owner && !away) await tell(head, [slot], 'STABLE')
}

/** The master of the shard that a node of this id is of; everybody knows everybody by now. */
function headWith({ heads }: Moving, id: string): Head | undefined {
  const master = heads[0]!.view.peers.find((peer) => peer.id === id)?.master
  return heads.find((head) => head.id === id || head.id === master)
}

/**
 * As redis-cli does it, but with several slots at each step. From the first step on a client that asks the owner for a key
 * that it has not is sent to the target; so when the owner has no key left, it will not get one. Each step may be repeated.
 */
async function moveSlots(moving: Moving, slots: readonly number[], from: Head, to: Head): Promise<void> {
  await tell(to, slots, 'IMPORTING', from.id)
  checkpoint('engine.importing')
  const redis = from.view.session!.redis
  // Sent together, done in this order: what is looked for is looked for after what is done.
  const [, found] = await Promise.all([tell(from, slots, 'MIGRATING', to.id), Promise.all(slots.map((slot) => keysIn(redis, slot, moving.batch)))])
  checkpoint('engine.migrating')
  for (const [n, slot] of slots.entries()) {
    // One after another, so that both nodes serve in between.
    for (let keys = found[n]!; keys.length > 0;) [, keys] = await Promise.all([sendKeys(moving, from, to, keys), keysIn(redis, slot, moving.batch)])
  }
  // The target first: its own epoch makes its word the last one, so that never nobody owns the slot.
  await tell(to, slots, 'NODE', to.id)
  checkpoint('engine.taken')
  await tell(from, slots, 'NODE', to.id)
  checkpoint('engine.given')
  await publish(moving, slots, to, from)
  for (const slot of slots) moving.owners[slot] = to
  moving.counts.set(from, moving.counts.get(from)! - slots.length)
  moving.counts.set(to, moving.counts.get(to)! + slots.length)
}

/** Tells the masters that had no part in it; gossip would tell them later, and clients that ask them meanwhile go a longer way. */
async function publish({ heads }: Moving, slots: readonly number[], owner: Head, except?: Head): Promise<void> {
  await Promise.all(heads.filter((head) => head !== owner && head !== except).map((head) => tell(head, slots, 'NODE', owner.id)))
}

async function tell({ view }: Head, slots: readonly number[], ...what: readonly string[]): Promise<void> {
  await all(view.session!.redis, slots.map((slot) => ['CLUSTER', 'SETSLOT', slot, ...what]))
}

type Redis = NonNullable<ClusterView['session']>['redis']

/** Keys are bytes, not text. */
async function keysIn(redis: Redis, slot: number, most: number): Promise<Buffer[]> {
  return await redis.callBuffer('CLUSTER', 'GETKEYSINSLOT', slot, most) as Buffer[]
}

/** Only the owner's copy counts, so one that an interrupted call left at the target is written over. */
async function sendKeys(moving: Moving, from: Head, { view: { node } }: Head, keys: readonly Buffer[]): Promise<void> {
  const since = performance.now()
  await from.view.session!.redis.call('MIGRATE', node.address, node.ports['service']!, '', 0, stallMs, 'REPLACE', 'AUTH2', account, moving.ground.password, 'KEYS', ...keys)
  checkpoint('engine.sent')
  const tookMs = performance.now() - since
  moving.batch = Math.max(1, Math.min(batchKeys.most, tookMs > batchAtMostMs ? Math.floor(moving.batch / 2) : moving.batch * 2))
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
    if (which === 'more' ? now >= bytes : now <= bytes || Number(info('used_memory')) > bytes) return
    await all(session!.redis, [['CONFIG', 'SET', 'maxmemory', bytes]])
    checkpoint('engine.fitted')
  }))
}
