/**
 * Other names for commands. What clients sent stands in append-only files as they sent it, and a server that starts with
 * other names does not know it any more, and does not start. So before that nobody may send the commands that write, and
 * the files are written anew, without them.
 */
import { checkpoint } from '../../core/checkpoint.ts'
import { account, all, copier } from './client.ts'
import { closeAll, meetAll } from './seen.ts'
import { usersOf } from './users.ts'
import { writes } from './headway.ts'
import type { NodeHealth } from '../../core/engine.ts'
import type { Ground } from './topology.ts'
import type { RedisSecrets } from './layout.ts'

/** Of those that can be renamed. */
const writing = ['-flushall', '-flushdb']

/** Replicas are level within a millisecond or two, mostly. */
const arrivesWithinMs = 100

/** `asked`: which servers were asked to write theirs, by this run of the operation. */
export async function forgetNames(ground: Ground, asked: Map<string, number>, secrets: RedisSecrets): Promise<NodeHealth> {
  const users = usersOf(ground.instance, secrets).filter(([name]) => name !== account && name !== copier)
  const views = await meetAll(ground, {}, async () => ({}))
  try {
    // Everywhere first: what one node is sent all of its shard writes down.
    const silent = views.find((view) => !view.session)
    if (silent) return { ok: false, reason: silent.silence }
    await Promise.all(views.map((view) => all(view.session!.redis, users.map(([name]) => ['ACL', 'SETUSER', name, ...writing]))))
    checkpoint('engine.withheld')
    // What was sent before that and is on its way to a replica arrives before the replica writes its file anew.
    if (views.length > 1) await Promise.all(views.filter(({ info }) => info('role') === 'master').map(({ session }) => all(session!.redis, [['WAIT', views.length, arrivesWithinMs]])))
    for (const { session, info, node, state } of views) {
      if (info('aof_enabled') !== '1') continue
      const key = `rewritten ${state.identity!.pid} ${state.identity!.startedAt}`
      if (!asked.has(key)) {
        // Refused while another one is under way, which may have begun too early.
        if (await all(session!.redis, [['BGREWRITEAOF']]).then(() => true, () => false)) asked.set(key, 1)
        return { ok: false, reason: `node ${node.ordinal} writes its append-only file anew` }
      }
      if (info('aof_rewrite_in_progress') !== '0' || info('aof_rewrite_scheduled') !== '0') return { ok: false, reason: `node ${node.ordinal} writes its append-only file anew${writes(info)}` }
      if (info('aof_last_bgrewrite_status') !== 'ok') {
        asked.delete(key)
        return { ok: false, reason: `node ${node.ordinal} could not write its append-only file anew` }
      }
    }
    return { ok: true }
  } finally { closeAll(views) }
}
