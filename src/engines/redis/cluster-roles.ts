/**
 * Makes one cluster of nodes that know nobody, keeps it whole, and gives a dead master's slots to a replica. Where the
 * cluster is now is read from its nodes; the grants only hold what they cannot tell: which node is of which shard, and
 * whose data a replica must have. Killed anywhere, the next call finds by looking where to go on.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { checkpoint } from '../../core/checkpoint.ts'
import { all, copier, readInfo } from './client.ts'
import { admitting } from './replication.ts'
import { answering, judgeCluster } from './cluster-judge.ts'
import { beforePromotion, claimGiven, finishGiven, fitMemory, spread, uneven } from './cluster-reshard.ts'
import { adopt, inherit, reunite } from './cluster-unowned.ts'
import { busPort, byShard, closingShards, confirmedTo, copied, headOf, isOwner, lookAtCluster, masterGrant, ownerOf, placeOf, replidGrant, shardGrant, shardsOf, slotCount, type ClusterView, type Shards } from './cluster-views.ts'
import { closeAll, isLinked, wasLinked } from './seen.ts'
import { flushallOf } from './flush.ts'
import { takeSlots } from './cluster-takeover.ts'
import { endHung, hangsAfterMs } from './hung.ts'
import { serveFirst } from './precedence.ts'
import { stillWriting } from './warm.ts'
import type { NodeHealth } from '../../core/engine.ts'
import type { Ground } from './topology.ts'
import { closing as closingGrant, type Grants } from '../../core/instance.ts'

/** A promotion that a frozen replica finds in its socket after this is refused: its master may serve again by then. Less than a session waits for an answer. */
const promoteWithinMs = 1000
/** Between the first doubt about a master and the election of a replica Redis itself waits 500 ms: so fresh must a look be, and so quick a promotion, to need no vote. */
const freshMs = 200
const promoteBeforeVotesMs = 300
/** A replica on the same host answers its master within a millisecond; on a busy one it needs its turn. */
const confirmWithinMs = 50

export async function arrange(ground: Ground): Promise<NodeHealth> {
  const lookedAt = Date.now()
  const views = await lookAtCluster(ground)
  try {
    serveFirst(ground, views)
    const shards = shardsOf(ground.instance, ground.nodes)
    // Durable first: what is done below must be done for the same shards when somebody else goes on with it.
    const closing = closingShards(ground.instance, shards)
    let grants = await record(ground, ground.instance.grants, Object.fromEntries([...shards].map(([id, shard]) => [shardGrant(id), String(shard)])), (name) => name === closingGrant && closing.size === 0)
    await authorise(ground, views)
    const members = byShard(views, shards)
    const reason = await takeOver(ground, views, lookedAt, members, grants) ?? answering(views) ?? (ground.instance.readyAt === null ? null : await finishGiven(members) ?? await reunite(members)) ?? await gather(ground, views, members) ?? (ground.instance.readyAt === null ? null : await adopt(members, closing))
    if (reason) return { ok: false, reason }
    const now = (): Ground => ({ ...ground, instance: { ...ground.instance, grants } })
    const known = async (): Promise<void> => {
      grants = await record(ground, grants, Object.fromEntries(members.flatMap(([shard, all]) => {
        // Of a new shard too: the first slot that it is given comes with keys, and its replica has them as well.
        const head = headOf(all)
        return head ? [[replidGrant(shard), head.info('master_replid')!], [masterGrant(shard), head.node.id]] : []
      })))
    }
    const behind = await notFed(members)
    const { readyAt, spec } = ground.instance
    if (readyAt !== null) await fitMemory(views, Math.floor(spec.memoryBytes / spec.shards), 'more')
    if (readyAt !== null && uneven(members, closing)) {
      const fit = judgeCluster(now(), views, true)
      if (!fit.ok) return fit
      // Moving takes its time: a master that dies meanwhile is replaced by whoever follows it now.
      await known()
      return { ok: false, reason: await spread(now(), members, closing) }
    }
    const health = judgeCluster(now(), views)
    if (!health.ok) return health
    if (readyAt !== null) await fitMemory(views, Math.floor(spec.memoryBytes / spec.shards), 'less')
    await known()
    if (behind) return { ok: false, reason: `node ${behind.node.ordinal} lags behind its master` }
    const unwritten = stillWriting(views)
    return unwritten === null ? health : { ok: false, reason: unwritten }
  } finally { closeAll(views) }
}

/**
 * A replica that hears nothing new. Replicas say by themselves how far they are once a second, and after a change of master
 * nothing is known of them until then. WAIT for more of them than there are has their masters ask, with a question that is in
 * the stream itself. The answer to the first says how far a replica was before it, the answer to the second that it had the first.
 */
async function notFed(members: Shards): Promise<ClusterView | undefined> {
  const behind = await Promise.all(members.map(async ([, views]) => {
    const owner = ownerOf(views)
    const replicas = views.filter((view) => view !== owner && isLinked(view))
    if (!owner?.session || replicas.length === 0) return undefined
    const [{ redis }, rest, least] = [owner.session, owner.info, Number(owner.info('master_repl_offset')) + 1]
    const giveUp = performance.now() + confirmWithinMs
    await all(redis, [['WAIT', views.length, 1], ['WAIT', views.length, 1]])
    do {
      const now = readInfo(`\n${await redis.info('replication')}`)
      owner.info = (field) => now(field) ?? rest(field)
    } while (replicas.some((view) => confirmedTo(view, owner) < least) && performance.now() < giveUp)
    return replicas.find((view) => confirmedTo(view, owner) < least)
  }))
  return behind.find((view) => view !== undefined)
}

async function record(ground: Ground, grants: Grants, more: Grants, over: (name: string) => boolean = () => false): Promise<Grants> {
  if (Object.entries(more).every(([name, value]) => grants[name] === value) && !Object.keys(grants).some(over)) return grants
  const next = { ...Object.fromEntries(Object.entries(grants).filter(([name]) => !over(name))), ...more }
  await ground.grant(next)
  return next
}

/** Every node, for each may become a replica without us. No file holds the password, so each start takes it away. */
async function authorise(ground: Ground, views: readonly ClusterView[]): Promise<void> {
  const strange = views.filter((view) => view.me && view.masterauth !== ground.password)
  if (strange.length > 0) await Promise.all(views.filter((view) => view.me).map(({ session }) => all(session!.redis, [admitting(ground.password)])))
  await Promise.all(strange.map(async ({ session, me, info }) => {
    // One that tried without it would try again after a second only.
    const again = me!.master !== null && info('master_link_status') !== 'up' ? [['CLUSTER', 'REPLICATE', me!.master]] : []
    await all(session!.redis, [['CONFIG', 'SET', 'masteruser', copier], ['CONFIG', 'SET', 'masterauth', ground.password], ...again])
    checkpoint('engine.authorised')
  }))
}

/** Gives the slots of dead masters to replicas, and ends nodes that hang. A sentence when it did, or could not. */
async function takeOver(ground: Ground, views: readonly ClusterView[], lookedAt: number, shards: Shards, grants: Grants): Promise<string | null> {
  // Before it is ready nobody has data, and a node that died is simply started again.
  if (ground.instance.readyAt === null) return null
  const promoted: string[] = []
  const masters: ClusterView[] = []
  for (const [shard, members] of shards) {
    const next = ownerOf(members) ? undefined : successor(members, grants[replidGrant(shard)])
    if (!next) continue
    const first = await beforePromotion(next, shards, views)
    if (first) { promoted.push(first); continue }
    // Another replica can only be elected when somebody doubts that the master lives.
    const doubted = views.some(({ peers }) => peers.some((peer) => peer.id === next.me!.master && peer.flags.some((flag) => flag.startsWith('fail'))))
    // Nobody is elected for a shard without slots.
    const owned = views.some(({ peers }) => peers.some((peer) => peer.id === next.me!.master && peer.slots.length > 0))
    const vote = owned && members.length > 2 && (doubted || Date.now() - lookedAt > freshMs)
    // One after another: where votes decide, a master has one at a time.
    promoted.push(await promote(ground, next, vote ? 'FORCE' : 'TAKEOVER', members.length > 2 && !vote ? promoteBeforeVotesMs : promoteWithinMs))
    masters.push(next)
  }
  if (masters.length > 0 || views.some(({ running }) => !running)) await inherit(shards, await claimGiven(shards, masters, grants))
  return promoted.length > 0 ? promoted.join('; ') : endHung(ground, views, (view) => {
    const [shard, members] = shards.find(([, all]) => all.includes(view))!
    const others = members.filter((one) => one !== view)
    const head = headOf(others)
    // A replica may, in a shard without slots of a master that has its data; so may a master, when its replica was elected or can be promoted.
    return ownerOf(others) !== undefined || head?.info('master_replid') !== undefined && head.info('master_replid') === grants[replidGrant(shard)] || successor(others, grants[replidGrant(shard)], view) !== undefined ? hangsAfterMs : Infinity
  })
}

/** Who has the most of the dead master's data; nobody who was still copying when it died. `ending`: the master that will be dead. */
function successor(members: readonly ClusterView[], replid: string | undefined, ending?: ClusterView): ClusterView | undefined {
  return members.filter((view) => view.me && view.me.master !== null && replid !== undefined && [view.info('master_replid'), view.info('master_replid2')].includes(replid)
    && wasLinked(view, members.filter((one) => one !== ending))
    && masterOf(view, ending ? [ending] : members.filter((one) => !one.running)) !== undefined,
  ).toSorted((a, b) => copied(b) - copied(a) || a.node.ordinal - b.node.ordinal)[0]
}

function masterOf(view: ClusterView, among: readonly ClusterView[]): ClusterView | undefined {
  const place = view.peers.find((peer) => peer.id === view.me!.master)?.place
  return among.find((one) => placeOf(one.node) === place)
}

/**
 * The process of the master has ended, which the runtime has proven, and is not started before this is over; so nobody
 * takes writes for its slots. Waiting for its start instead would cost the loading of its data and the 2 s that a cluster
 * makes a master wait after each start. Where no other replica can be elected meanwhile nobody has to be asked
 * (TAKEOVER). Where one could, the masters' votes decide (FORCE): one decider at a time. An old master that comes back has
 * the older epoch: before it may take a write it must have heard from most masters, and that makes it a replica.
 */
async function promote(ground: Ground, next: ClusterView, how: 'FORCE' | 'TAKEOVER', withinMs: number): Promise<string> {
  ground.progress('takes over from the dead master', next.node.id)
  const until = Date.now() + withinMs
  await takeSlots(next.session!.redis, how, 0, until)
  // Elections need some 10 ms; the dead node is started after this, and may as well come back as what it will be.
  while (Date.now() < until && (await next.session!.redis.role())[0] !== 'master') await sleep(5)
  checkpoint('engine.promoted')
  return `node ${next.node.ordinal} takes over from the dead master`
}

/** Brings nodes together that all answer. A sentence when something was done, and must be looked at again. */
async function gather(ground: Ground, views: readonly ClusterView[], shards: Shards): Promise<string | null> {
  // Later one that lost its list of nodes claims what it has keys of, and must not be believed before its master.
  const fresh = views.filter((view) => view.peers.length === 1 && view.me!.epoch === 0 && (ground.instance.readyAt === null || view.me!.slots.length === 0))
  // Each its own, before they meet: Redis would sort equal ones out, one after another.
  await Promise.all(fresh.map(({ session, node }) => all(session!.redis, [['CLUSTER', 'SET-CONFIG-EPOCH', node.ordinal + 1]])))
  if (fresh.length > 0) checkpoint('engine.numbered')
  if (ground.instance.readyAt === null) await share(views, shards, ground.instance.spec.shards)
  const ids = new Map(views.map((view) => [placeOf(view.node), view.me!.id]))
  await Promise.all(views.map(async ({ session, peers, me }, from) => {
    // Pairs, not a chain: gossip alone would need seconds to introduce them all.
    const unknown = views.slice(from + 1).filter(({ node, me: other }) => !peers.some((peer) => peer.id === other!.id || peer.flags.includes('handshake') && peer.place === placeOf(node)))
    // Of nodes that were removed, or that lost their files and are somebody else now. Whoever has slots is never forgotten.
    const gone = peers.filter((peer) => !peer.flags.includes('handshake') && peer.id !== me!.master && ![...ids.values()].includes(peer.id) && peer.slots.length === 0)
    const commands = [...unknown.map(({ node }) => ['CLUSTER', 'MEET', node.address, node.ports['service']!, busPort(node)]), ...gone.map((peer) => ['CLUSTER', 'FORGET', peer.id])]
    if (commands.length === 0) return
    await all(session!.redis, commands)
    checkpoint('engine.met')
  }))
  const strangers = views.find(({ peers }) => views.some(({ me }) => !peers.some((peer) => peer.id === me!.id)))
  if (strangers) return `node ${strangers.node.ordinal} has not met every other node yet`
  await Promise.all(shards.map(([, members]) => follow(members, flushallOf(ground.instance.spec))))
  // Where nothing was ever written a replica has nothing to confirm, and cannot be told from one that is sent nothing: to
  // be asked is something. More than there are, or the master would not ask.
  await Promise.all(shards.map(async ([, members]) => {
    const owner = headOf(members)
    if (owner?.info('master_repl_offset') === '0' && members.some(isLinked)) await owner.session!.redis.wait(members.length, 1)
  }))
  return null
}

/** At the creation each shard's first node gets its share, as far as nobody has it. Killed in between, the next call finds the same shares. */
async function share(views: readonly ClusterView[], shards: Shards, count: number): Promise<void> {
  const owned = new Set(views.flatMap(({ peers }) => peers.flatMap(({ slots }) => slots.flatMap(([first, last]) => span(first, last + 1)))))
  await Promise.all(shards.map(async ([shard, members]) => {
    const free = span(Math.floor(shard * slotCount / count), Math.floor((shard + 1) * slotCount / count)).filter((slot) => !owned.has(slot))
    const first = ownerOf(members) ?? members[0]!
    if (free.length === 0 || first.me!.master !== null) return
    await all(first.session!.redis, [['CLUSTER', 'ADDSLOTS', ...free]])
    checkpoint('engine.shared')
  }))
}

function span(first: number, end: number): number[] { return Array.from({ length: end - first }, (_, n) => first + n) }

/** Makes the nodes of a shard that own nothing replicas of the one that owns its slots, or is about to, once they know it as that. */
async function follow(members: readonly ClusterView[], flushall: string): Promise<void> {
  const owner = headOf(members)
  if (!owner) return
  for (const view of members) {
    const known = view.peers.find((peer) => peer.id === owner.me!.id)
    if (view === owner || view.me!.slots.length > 0 || view.me!.master === owner.me!.id || !known || known.master !== null || isOwner(owner.me) && !isOwner(known)) continue
    // A master that has keys and no slots got copies of what was never given to it, or is its successor's now. Redis lets no such node follow.
    const copies = view.me!.master === null && view.info('db0') !== undefined
    await all(view.session!.redis, [...copies ? [[flushall, 'ASYNC']] : [], ['CLUSTER', 'REPLICATE', owner.me!.id]])
    checkpoint('engine.followed')
  }
}
