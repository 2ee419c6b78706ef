/**
 * A replica that is restarted goes on where it was instead of copying everything from a master that serves. Redis keeps
 * its place in the replication stream in a dump only, never in an append-only file. So a replica saves a dump before it
 * is stopped, a grant says that it starts from that, with its append-only file off, and once it has all that its master
 * has the file is turned on and the grant is over. What it loads is older than what it had confirmed, so until then it is
 * nobody's successor, which the grant and its file show.
 */
import { checkpoint } from '../../core/checkpoint.ts'
import { all } from './client.ts'
import { dataFolder } from './data-folder.ts'
import { isLinked, closeAll } from './seen.ts'
import { appends, isMaster, lookAgain, lookAtAll, offsetOf, reaches, type NodeView } from './views.ts'
import { writes } from './headway.ts'
import type { Grants, Instance, NodeRecord } from '../../core/instance.ts'
import type { Ground } from './topology.ts'

/** Less than this is copied within some tens of milliseconds, which is quicker than what is done here. */
const worthBytes = 4 * 1024 * 1024

/** With which the names of these grants begin, and by which it is kept that a node starts from its dump. */
export const warmPrefix = 'warm '
export const warmGrant = (nodeId: string): string => `${warmPrefix}${nodeId}`

/** Whether a node starts from its dump. Whoever may have taken writes starts from its append-only file, always. */
export function startsWarm({ grants }: Pick<Instance, 'grants'>, { id }: NodeRecord): boolean {
  return grants[warmGrant(id)] !== undefined && grants['master'] !== id && !(grants['previous'] ?? '').split(' ').includes(id)
}

/**
 * Whether the node's data is all that it ever confirmed, and will be after its death: not while it only has what a dump had,
 * and not before its file has what it caught up on, for a new master that is killed comes back from that. Only a whole look says so.
 */
export function isComplete({ spec }: Pick<Instance, 'spec'>, grants: Grants, view: NodeView): boolean {
  if (!appends(spec) || isMaster(view)) return true
  // A file that is off without that grant is off because somebody turned it off, and what the node has is whole.
  return grants[warmGrant(view.node.id)] === undefined || view.info('aof_enabled') === '1' && isWritten(view)
}

/** Since when processes save their dumps for us, by what tells them apart, in seconds of their clock. Forgotten with this process: then they save again. */
const savingSince = new Map<string, number>()

/** Has a replica that will be stopped save its place. A sentence while it does; afterwards, or when it is not worth it or fails, null: it may stop. */
export async function prepareStop(ground: Ground, node: NodeRecord): Promise<string | null> {
  if (!appends(ground.instance.spec)) return null
  const views = await lookAtAll({ ...ground, nodes: [node] })
  try {
    const [view] = views as [NodeView]
    if (!view.session || !isLinked(view) || Number(view.info('used_memory_dataset')) < worthBytes) return null
    const { pid, startedAt } = view.session.identity
    const process = `${pid} ${startedAt}`
    const waiting = `node ${node.ordinal} is saving its place`
    // A customer's own save may have begun before the last one that we know of; the next one is ours.
    if (view.info('rdb_bgsave_in_progress') === '1') return waiting
    const since = savingSince.get(process)
    savingSince.delete(process)
    if (since === undefined) {
      const now = Math.floor(Number((await all(view.session.redis, [['TIME']]) as [[string, string]])[0][0]))
      // Refused while its append-only file is written anew, say.
      if (!await all(view.session.redis, [['BGSAVE']]).then(() => true, () => false)) return null
      savingSince.set(process, now)
      checkpoint('engine.saving')
      return waiting
    }
    if (view.info('rdb_last_bgsave_status') !== 'ok' || Number(view.info('rdb_last_save_time')) < since) return null
    await ground.grant({ ...ground.instance.grants, [warmGrant(node.id)]: 'yes' })
    checkpoint('engine.warmed')
    return null
  } finally { closeAll(views) }
}

/**
 * Turns append-only files on that are off and shall not be: a master's at once, a replica's when it is level. A sentence when
 * one was, or could not be yet.
 */
export async function appendAgain(ground: Ground, views: readonly NodeView[]): Promise<string | null> {
  if (!appends(ground.instance.spec)) return null
  const master = views.find(isMaster)!
  for (const view of views) {
    if (view.info('aof_enabled') !== '0' || view.info('loading') === '1' || !isMaster(view) && !isLinked(view)) continue
    if (view !== master) {
      await lookAgain(master)
      if (!await reaches(view, offsetOf(master))) return `node ${view.node.ordinal} lags behind the master`
    }
    await all(view.session!.redis, [['CONFIG', 'SET', 'appendonly', 'yes']])
    checkpoint('engine.appending')
    return `node ${view.node.ordinal} is writing its append-only file`
  }
  return null
}

/** Whether all that the node has is in its append-only file. Only a whole look says so. */
export const isWritten = ({ info }: Pick<NodeView, 'info'>): boolean => info('aof_rewrite_in_progress') === '0' && info('aof_rewrite_scheduled') === '0'

/** Of whom what it copied is not on disk yet, as a sentence; null: of nobody. Killed then, be it as the master that it may be by now, it would come back without. */
export function stillWriting(views: readonly Pick<NodeView, 'info' | 'node'>[]): string | null {
  const view = views.find((one) => !isWritten(one))
  return view ? `node ${view.node.ordinal} is writing what it copied to its append-only file${writes(view.info)}` : null
}

/** The grants without those of nodes whose append-only files have everything again; their dumps go first, so that none lies about. */
export async function cool(ground: Ground, views: readonly NodeView[], grants: Grants): Promise<Grants> {
  const over = views.filter((view) => grants[warmGrant(view.node.id)] !== undefined && view.info('aof_enabled') === '1' && isWritten(view))
  if (over.length === 0) return grants
  await Promise.all(over.map(({ node }) => ground.discard(node, `${dataFolder(ground.instance)}/dump.rdb`)))
  checkpoint('engine.discarded')
  const keys = over.map(({ node }) => warmGrant(node.id))
  const next = Object.fromEntries(Object.entries(grants).filter(([key]) => !keys.includes(key)))
  await ground.grant(next)
  return next
}
