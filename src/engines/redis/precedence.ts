/** Who serves comes before who only prepares to: on a busy machine clients would wait for the processor longer than for any handover. */
import type { NodeRecord } from '../../core/instance.ts'
import type { World } from '../../core/engine.ts'
import type { Seen } from './seen.ts'

/** By a whole look: a replica that loads, copies or writes its file gives way to all; of a server that serves, what it has forked. */
export function serveFirst(ground: Pick<World, 'giveWay'>, views: readonly (Pick<Seen, 'info' | 'session'> & { readonly node: NodeRecord })[]): void {
  for (const view of views) if (view.session) ground.giveWay(view.node, isPreparing(view) ? 'all' : 'children')
}

function isPreparing({ info }: Pick<Seen, 'info'>): boolean {
  return info('role') === 'slave' && ['loading', 'master_sync_in_progress', 'rdb_bgsave_in_progress', 'aof_rewrite_in_progress'].some((field) => info(field) === '1')
}
