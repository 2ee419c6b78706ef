/** Copies an instance's data while it serves. Killed anywhere, it begins anew; what is not recorded is no backup. */
import { setTimeout as sleep } from 'node:timers/promises'
import { checkpoint } from '../core/checkpoint.ts'
import { outdated, provide, worldOf } from './converge.ts'
import type { Step, StepContext } from '../core/operation.ts'
import type { Parts } from './actions.ts'

/** Nobody else looks after the instance meanwhile, so a node that ends is noticed as soon as the observer would. */
const lookEveryMs = 500
/** The same for a node that answers nothing: asked this often, and called hung after so many silences in a row, as by the observer. */
const askEveryMs = 2000
const silencesBeforeGivingUp = 3
/** A replica that is just being connected to is ready a second later. */
const tries = 3
const tryAgainMs = 1000

/** By which the operation's memo names the record, and its format. */
export interface BackupMemo { readonly backup: string; readonly format: 'rdb' | 'aof' }

export function backup({ engine, runtime, vault, scratch }: Parts): Step {
  return async (context) => {
    await provide(context, { runtime, scratch })
    const { instance, nodes, operation } = context
    const { backup: id, format } = operation.memo as unknown as BackupMemo
    const states = await runtime.inspect(instance.id, nodes.map((node) => node.id))
    const dead = outdated(instance, nodes, states)
    if (dead.length > 0) return { failed: `node ${dead[0]!.ordinal} does not run` }
    const folder = await vault.clear(instance.id, id)
    const over = new AbortController()
    const looking = watchNodes(context, { engine, runtime }, over)
    try {
      const files = await engine.backups!.take(worldOf(context, states, runtime), folder, { format, signal: over.signal })
      checkpoint('backup.written')
      const evicted = await context.copied(files)
      checkpoint('backup.recorded')
      for (const one of evicted) await vault.remove(instance.id, one)
      return 'done'
    } catch (error) {
      // Somebody else goes on with it, or a restart took its place.
      if (context.signal.aborted) throw error
      const reason = over.signal.aborted ? String(over.signal.reason) : (error as Error).message
      const tried = (scratch.get('tried') ?? 0) + 1
      scratch.set('tried', tried)
      context.progress(reason)
      if (!over.signal.aborted && tried < tries) return { waitMs: tryAgainMs }
      await vault.remove(instance.id, id)
      return { failed: reason }
    } finally {
      over.abort()
      await looking
    }
  }
}

/** Ends the copy when a node has ended or hangs, so that it can be brought back, and when the operation is not ours any more. */
async function watchNodes({ instance, nodes, signal }: StepContext, { engine, runtime }: Pick<Parts, 'engine' | 'runtime'>, over: AbortController): Promise<void> {
  const both = AbortSignal.any([signal, over.signal])
  let [silences, askedAt] = [0, performance.now()]
  while (!both.aborted) {
    await sleep(lookEveryMs, undefined, { signal: both }).catch(() => {})
    if (both.aborted) break
    const states = await runtime.inspect(instance.id, nodes.map((node) => node.id)).catch(() => [])
    const dead = states.find((state) => state.phase !== 'running')
    if (dead) over.abort(`node ${dead.id} ended meanwhile`)
    if (dead || states.length === 0 || performance.now() - askedAt < askEveryMs) continue
    askedAt = performance.now()
    const health = await engine.probe(instance, nodes, states)
    silences = health.ok ? 0 : silences + 1
    if (silences >= silencesBeforeGivingUp) over.abort(health.reason ?? 'the engine does not answer')
  }
  if (signal.aborted) over.abort('it was taken away')
}
