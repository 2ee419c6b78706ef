/**
 * Who is master of a replicated Redis, and where. The grant in the database says who shall be; `arrange` makes that true,
 * one safe thing after another: whoever was master leaves the instance's address, loses its clients and becomes a replica
 * before anybody else may take a write. Killed anywhere in between, the next call finds by looking where to go on.
 */
import { checkpoint } from '../../core/checkpoint.ts'
import { TerminalError } from '../../core/operation.ts'
import { all } from './client.ts'
import { handOver } from './handover.ts'
import { endHung, hangsAfterMs, hangsAloneAfterMs } from './hung.ts'
import { appends, copyFrom, holds, isMaster, isReadOnly, judge, lookAgain, lookAtAll, offsetOf, reaches, type NodeView } from './views.ts'
import { closeAll, isLinked } from './seen.ts'
import { occupy, vacateDoor } from './doors.ts'
import { serveFirst } from './precedence.ts'
import { admitting, obeying } from './replication.ts'
import { formerMasters, heir, priority, priorityGrant, reconsider, withMaster } from './succession.ts'
import { appendAgain, cool, isComplete, prepareStop, stillWriting, warmGrant } from './warm.ts'
import { loads } from './headway.ts'
import type { Grants, NodeRecord } from '../../core/instance.ts'
import type { NodeHealth } from '../../core/engine.ts'
import type { Ground } from './topology.ts'

/** A link that is still up then leads to somebody else, who lives. */
const readsWithinMs = 200

export async function arrange(ground: Ground): Promise<NodeHealth> {
  const views = await lookAtAll(ground)
  try {
    serveFirst(ground, views)
    const arranged = await arrangeRoles(ground, views)
    if (!arranged.ok) return arranged
    const writing = await appendAgain(ground, views)
    if (writing) return { ok: false, reason: writing }
    const grants = await cool(ground, views, arranged.grants)
    const health = judge({ ...ground, instance: { ...ground.instance, grants } }, views)
    // Only after a fresh look: INFO of less says nothing of it.
    const unwritten = stillWriting(views)
    if (!health.ok) return health
    const behind = await notFed(views)
    if (behind) return { ok: false, reason: `node ${behind.node.ordinal} lags behind the master` }
    return unwritten === null ? health : { ok: false, reason: unwritten }
  } finally { closeAll(views) }
}

/**
 * A replica that hears nothing new. Linked is not enough: after a copy its master keeps back what is written for up to a
 * second, and all of that would be lost with the master. WAIT for more replicas than there are puts a question for their
 * offsets into the stream, which shows even where nobody writes.
 */
async function notFed(views: readonly NodeView[]): Promise<NodeView | undefined> {
  const master = views.find(isMaster)!
  await all(master.session!.redis, [['WAIT', views.length, 1]])
  await lookAgain(master)
  for (const view of views) if (view !== master && !await reaches(view, offsetOf(master))) return view
  return undefined
}

type Arranged = { readonly ok: false; readonly reason: string } | { readonly ok: true; readonly grants: Grants }

async function arrangeRoles(ground: Ground, views: readonly NodeView[]): Promise<Arranged> {
  const { service, readonly } = ground.instance.endpoints
  let grants = ground.instance.grants
  const record = async (next: Grants): Promise<void> => { await ground.grant(next); grants = next }
  let master = views.find((view) => view.node.id === grants['master'])
  if (!master) {
    master = views[0]!
    await record({ ...grants, master: master.node.id })
  }
  if (!master.running && ground.instance.readyAt !== null) {
    await readToTheEnd(views)
    const next = heir(ground, views, grants)
    if (!next) return { ok: false, reason: `the master, node ${master.node.ordinal}, does not run, and no replica has all of its data` }
    // Durable first: whoever comes after us must not think that the dead one is still to be waited for.
    await record(withMaster(grants, next))
    master = next
  }
  const better = master.running && ground.instance.readyAt !== null ? reconsider(ground, views, grants, master) : null
  if (better) {
    await record(withMaster(grants, better))
    master = better
  }
  const hung = await endHung(ground, views, (view) => {
    const needed = view.node.id === grants['master'] && !heir(ground, views.filter((other) => other !== view), grants)
    return !needed ? hangsAfterMs : ground.instance.spec.parameters['appendonly'] === 'no' ? Infinity : hangsAloneAfterMs
  })
  if (hung) return { ok: false, reason: hung }
  if (!master.session) return { ok: false, reason: master.silence }
  if (master.info('loading') === '1') return { ok: false, reason: `node ${master.node.ordinal} is ${loads(master.info)}` }
  // It may be the master still, and nobody can tell it to stop.
  const unsure = views.find((view) => view.running && !view.session && formerMasters(grants).includes(view.node.id))
  if (unsure) return { ok: false, reason: `${unsure.silence}; it was the master before` }

  // It may have been saving, and serves from now on.
  if (!isMaster(master)) ground.giveWay(master.node, 'children')
  for (const old of views.filter((view) => view !== master && view.session && isMaster(view))) {
    const handed = await handOver(ground, old, master)
    if (!handed.ok) return { ok: false, reason: handed.reason! }
  }
  const others = views.filter((view) => view !== master && view.session)
  // Of one that was told to leave the address, and then died with whoever told it.
  for (const other of others.filter((view) => holds(view, service!))) await vacateDoor(ground, other, 'service')
  if (!isMaster(master)) {
    const unwritten = appends(ground.instance.spec) && master.info('aof_enabled') === '0'
    await all(master.session.redis, [...unwritten ? [['CONFIG', 'SET', 'appendonly', 'yes']] : [], ['REPLICAOF', 'NO', 'ONE']])
    checkpoint('engine.promoted')
    await lookAgain(master)
  }
  if (!holds(master, service!)) await occupy(ground, master, 'service', others)
  const replid = master.info('master_replid')!
  if (grants['replid'] !== replid || grants['previous'] !== undefined) {
    const { previous: _, ...kept } = grants
    await record({ ...kept, replid })
  }
  // One that reads its file refuses every change of role until it is done, which is no failure.
  await Promise.all(others.filter((view) => view.info('loading') !== '1').map((view) => follow(ground, view, master)))
  const missing = views.find((view) => !view.session)
  // One that does not answer may hold the readers' address, and keeps others from listening on it.
  if (!missing?.running) await lendReaders(ground, others, readonly!)
  return missing ? { ok: false, reason: missing.silence } : { ok: true, grants }
}

/** What a dead master sent has arrived, at least in the kernel; a replica that has seen the end of its link has read all of that. */
async function readToTheEnd(views: readonly NodeView[]): Promise<void> {
  const giveUp = Date.now() + readsWithinMs
  await Promise.all(views.filter((view) => view.session && !isMaster(view)).map(async (view) => {
    const rest = view.info
    while (view.info('master_link_status') === 'up' && Date.now() < giveUp) {
      const now = await lookAgain(view)
      // The short answer says nothing of loading, which was asked before.
      view.info = (field) => now(field) ?? rest(field)
    }
  }))
}

/** Makes a node a replica of the master, if it is not. */
async function follow(ground: Ground, view: NodeView, master: NodeView): Promise<void> {
  const { address, port } = copyFrom(ground, master)
  const follows = view.info('role') === 'slave' && view.info('master_host') === address && view.info('master_port') === String(port)
  // By itself it asks its master again and again; a customer may have set what it is refused for.
  const obeys = isReadOnly(view) && (isLinked(view) || view.info('master_sync_in_progress') === '1')
  if (follows) {
    if (obeys) return
    await all(master.session!.redis, [admitting(ground.password)])
    await all(view.session!.redis, obeying(ground.password))
    return
  }
  await all(master.session!.redis, [admitting(ground.password)])
  await all(view.session!.redis, [...obeying(ground.password), ['REPLICAOF', address, port]])
  checkpoint('engine.followed')
  await lookAgain(view)
}

/** One replica that is up to date listens on the readers' address. */
async function lendReaders(ground: Ground, replicas: readonly NodeView[], address: { readonly address: string; readonly port: number }): Promise<void> {
  const holder = replicas.find((view) => holds(view, address))
  if (holder && (isLinked(holder) || !replicas.some(isLinked))) return
  const reader = replicas.find(isLinked)
  if (!reader) return
  if (holder) await vacateDoor(ground, holder, 'readonly')
  await occupy(ground, reader, 'readonly', replicas.filter((view) => view === holder))
}

/** Replicas first; a master only when another one has taken its role. */
export async function choose(ground: Ground, behind: readonly NodeRecord[]): Promise<NodeRecord | string> {
  const { grants } = ground.instance
  const replica = behind.find((node) => node.id !== grants['master'])
  if (replica) return await prepareStop(ground, replica) ?? replica
  return nominate(ground, [])
}

export async function swap(ground: Ground, before: Grants): Promise<NodeHealth> {
  if (ground.instance.grants['master'] !== before['master']) return { ok: true }
  return { ok: false, reason: await nominate(ground, []) }
}

/** The same, to this node. */
export async function promote(ground: Ground, to: NodeRecord): Promise<NodeHealth> {
  if (ground.instance.grants['master'] === to.id) return { ok: true }
  return { ok: false, reason: await nominate(ground, ground.nodes.filter((node) => node.id !== to.id)) }
}

export async function vacate(ground: Ground, leaving: readonly NodeRecord[]): Promise<NodeHealth> {
  if (leaving.some((node) => node.id === ground.instance.grants['master'])) return { ok: false, reason: await nominate(ground, leaving) }
  const views = await lookAtAll({ ...ground, nodes: ground.nodes.filter((node) => node.id !== ground.instance.grants['master']) })
  try {
    const address = ground.instance.endpoints['readonly']!
    const going = views.filter((view) => leaving.some((node) => node.id === view.node.id))
    for (const view of going.filter((one) => one.session && holds(one, address))) await vacateDoor(ground, view, 'readonly')
    await lendReaders(ground, views.filter((view) => view.session && !going.includes(view)), address)
  } finally { closeAll(views) }
  // A node that comes later may get the number of one that left, and nothing of its past.
  const gone = leaving.flatMap((node) => [priorityGrant(node.id), warmGrant(node.id)])
  if (gone.some((key) => key in ground.instance.grants)) await ground.grant(Object.fromEntries(Object.entries(ground.instance.grants).filter(([key]) => !gone.includes(key))))
  return { ok: true }
}

/** Grants the master's role to the replica with the best priority; `arrange` hands it over. */
async function nominate(ground: Ground, but: readonly NodeRecord[]): Promise<string> {
  const { grants } = ground.instance
  const views = await lookAtAll(ground)
  try {
    const candidates = views.filter((view) => view.node.id !== grants['master'] && isLinked(view) && isComplete(ground.instance, grants, view) && priority(view, grants) > 0 && !but.some((node) => node.id === view.node.id))
    const next = candidates.toSorted((a, b) => priority(a, grants) - priority(b, grants) || offsetOf(b) - offsetOf(a) || a.node.ordinal - b.node.ordinal)[0]
    if (!next) {
      if (views.every((view) => view.session && (view.node.id === grants['master'] || priority(view, grants) === 0))) throw new TerminalError('every replica has priority 0, so none may become master')
      return 'no replica is up to date yet'
    }
    await ground.grant(withMaster(grants, next))
    return `handing the master's role over to node ${next.node.ordinal}`
  } finally { closeAll(views) }
}
