/** Who is master next, by what was granted and what is seen. Pure: it asks no server and tells none. */
import { wasLinked } from './seen.ts'
import { appends, descendsFrom, isMaster, offsetOf, type NodeView } from './views.ts'
import { isComplete, warmGrant } from './warm.ts'
import type { Grants } from '../../core/instance.ts'
import type { Ground } from './topology.ts'

/** So often in a row, each time three starts, a master may die before one is preferred that lacks some of its data. */
const crashesToDespair = 3

/** By which a replica's priority is kept among the grants; 0: never a master, 100 unless said. */
export const priorityGrant = (nodeId: string): string => `priority ${nodeId}`

/** Nodes that may be masters still: each keeps its place among the grants until it is seen to be none. */
export const formerMasters = (grants: Grants): readonly string[] => (grants['previous'] ?? '').split(' ').filter(Boolean)

/** The grants with another master. Whoever was granted the role before may have it, all of them, when those in between died before they got it. */
export function withMaster(grants: Grants, { node }: NodeView): Grants {
  const former = new Set([...formerMasters(grants), ...grants['master'] === undefined ? [] : [grants['master']]])
  former.delete(node.id)
  // Whoever may take writes starts from its append-only file, not from a dump.
  const { [warmGrant(node.id)]: _, ...kept } = grants
  return { ...kept, master: node.id, previous: [...former].join(' ') }
}

/** Whether another one than the granted master should have the role, because that one was not promoted yet and things have changed. */
export function reconsider(ground: Ground, views: readonly NodeView[], grants: Grants, granted: NodeView): NodeView | null {
  const former = views.filter((view) => formerMasters(grants).includes(view.node.id))
  // Who is master still has told nobody to take over: the old one is demoted before the new one hears of it. So it may go on.
  if (!granted.session) return former.find((view) => view.session && isMaster(view)) ?? null
  // Nobody will tell the granted one what it lacks, and another one may have more: its link may have been down for long.
  if (isMaster(granted) || former.length === 0 || former.some((view) => view.running)) return null
  const next = successor(ground, views, grants)
  return next && next !== granted && (isMaster(next) || offsetOf(next) > offsetOf(granted)) ? next : null
}

/**
 * Who takes over from a dead master that could come back with all that it had: only who heard it until the end, not who had
 * lost it, was about to copy everything anew, or has never heard it. One that has no file, or keeps dying, is not waited for.
 */
export function heir(ground: Ground, views: readonly NodeView[], grants: Grants): NodeView | undefined {
  const comesBack = appends(ground.instance.spec) && ground.instance.crashes < crashesToDespair
  return successor(ground, views.filter((view) => !comesBack || isMaster(view) || wasLinked(view, views)), grants)
}

/** Who has the most of a dead master's data; nobody who was still copying when it died, or had only what its dump had. */
function successor(ground: Ground, views: readonly NodeView[], grants: Grants): NodeView | undefined {
  return views
    .filter((view) => view.session && view.info('loading') === '0' && isComplete(ground.instance, grants, view) && descendsFrom(view, grants['replid']) && priority(view, grants) > 0)
    .toSorted((a, b) => Number(isMaster(b)) - Number(isMaster(a)) || offsetOf(b) - offsetOf(a) || priority(a, grants) - priority(b, grants) || a.node.ordinal - b.node.ordinal)[0]
}

export function priority({ node }: NodeView, grants: Grants): number { return Number(grants[priorityGrant(node.id)] ?? 100) }
