/** Empties an instance exactly once; a node that just died is brought back first. */
import { checkpoint } from '../core/checkpoint.ts'
import { outdated, start } from './converge.ts'
import type { Step } from '../core/operation.ts'
import type { Parts } from './actions.ts'

/** How soon to ask again whether a node that was started answers. */
const lookAgainMs = 10

export function flush({ engine, runtime, scratch }: Parts): Step {
  return async (context) => {
    const { instance, nodes, operation } = context
    const states = await runtime.inspect(instance.id, nodes.map((node) => node.id))
    const missing = outdated(instance, nodes, states)
    if (missing.length > 0) {
      const specs = engine.layout(instance, nodes).filter((spec) => missing.some((node) => node.id === spec.id))
      const waits = await Promise.all(specs.map((spec) => start(context, spec, states.find((s) => s.id === spec.id)!, { force: false }, { runtime, scratch })))
      return { waitMs: Math.max(...waits) }
    }
    const health = await engine.probe(instance, nodes, states)
    if (!health.ok) {
      context.progress(health.reason ?? 'waiting for the engine')
      return { waitMs: lookAgainMs }
    }
    const each = <T>(work: (index: number) => Promise<T>): Promise<T[]> => Promise.all(nodes.map((_, index) => work(index)))
    if (operation.memo['flushed'] !== true) {
      context.progress('clearing the data')
      await each((i) => engine.flush!(instance, nodes[i]!, states[i]!, operation.id))
      checkpoint('engine.flushed')
      // Durable before the evidence goes: from here on nobody flushes for this operation again.
      await context.remember({ flushed: true })
    }
    await each((i) => engine.forgetFlush!(instance, nodes[i]!, states[i]!, operation.id))
    checkpoint('engine.flushForgotten')
    return 'done'
  }
}
