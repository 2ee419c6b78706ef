/** A process that runs and answers nothing cannot be told anything; when others have its data, it is better dead. */
import { checkpoint } from '../../core/checkpoint.ts'
import type { Ground } from './topology.ts'
import type { NodeRecord } from '../../core/instance.ts'
import type { NodeState } from '../../core/runtime.ts'

/** A server that answers nothing for this long hangs. A long script answers BUSY after 5 s. */
const hangsAfterMs = 10_000
/** Since when a process has not answered, by pid. */
const silentSince = new Map<number, number>()

/** A node as somebody looked at it. */
export interface Seen { readonly node: NodeRecord; readonly state: NodeState; readonly running: boolean; /** Be it only that a script keeps it busy. */ readonly answers: boolean }

/** Kills what has been silent for too long, if it may be spared. A sentence when one was killed. */
export async function endHung<T extends Seen>(ground: Ground, views: readonly T[], spared: (view: T) => boolean): Promise<string | null> {
  for (const view of views) {
    const pid = view.state.identity?.pid ?? 0
    if (view.answers || !view.running) { silentSince.delete(pid); continue }
    const since = silentSince.get(pid) ?? Date.now()
    silentSince.set(pid, since)
    if (Date.now() - since < hangsAfterMs || !spared(view)) continue
    silentSince.delete(pid)
    ground.progress('hangs, and is killed', view.node.id)
    await ground.kill(view.node)
    checkpoint('runtime.killed')
    return `node ${view.node.ordinal} did not answer for ${hangsAfterMs / 1000} s and was killed`
  }
  return null
}
