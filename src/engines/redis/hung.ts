/** A process that runs and answers nothing cannot be told anything; when others have its data, it is better dead. */
import { checkpoint } from '../../core/checkpoint.ts'
import type { Ground } from './topology.ts'
import type { Seen } from './seen.ts'

/** A server that answers nothing for this long hangs. A long script answers BUSY after 5 s. */
export const hangsAfterMs = 10_000
/** The same for a master whose data nobody else has: it comes back from its file, which takes its time, so it gets more. Without a file it is waited for. */
export const hangsAloneAfterMs = 30_000
/** Since when a process has not answered, by what tells it from every other. */
const silentSince = new Map<string, number>()

/** Kills what has been silent for longer than it is given. A sentence when one was killed. */
export async function endHung<T extends Seen>(ground: Ground, views: readonly T[], patienceMs: (view: T) => number): Promise<string | null> {
  for (const view of views) {
    const who = `${view.state.identity?.pid} ${view.state.identity?.startedAt}`
    if (view.answers || !view.running) { silentSince.delete(who); continue }
    const since = silentSince.get(who) ?? Date.now()
    silentSince.set(who, since)
    const patience = patienceMs(view)
    if (Date.now() - since < patience) continue
    silentSince.delete(who)
    ground.progress('hangs, and is killed', view.node.id)
    await ground.kill(view.node)
    checkpoint('runtime.killed')
    return `node ${view.node.ordinal} did not answer for ${patience / 1000} s and was killed`
  }
  return null
}
