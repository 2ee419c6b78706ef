/** Empties an instance exactly once; a node that just died is brought back first. */
import { checkpoint } from '../core/checkpoint.ts'
import { outdated, provide, settleDown, start, worldOf } from './converge.ts'
import type { Step } from '../core/operation.ts'
import type { Parts } from './actions.ts'

/** How soon to ask again whether a node that was started answers. */
const lookAgainMs = 10

export function flush({ engine, runtime, scratch }: Parts): Step {
  return async (context) => {
    await provide(context, { runtime, scratch })
    const { instance, nodes, operation } = context
    const states = await runtime.inspect(instance.id, nodes.map((node) => node.id))
    const world = worldOf(context, states, runtime)
    const missing = outdated(instance, nodes, states)
    if (missing.length > 0) {
      if (missing.length < nodes.length) await engine.arrange?.(world)
      const specs = engine.layout(world.instance, nodes).filter((spec) => missing.some((node) => node.id === spec.id))
      const waits = await Promise.all(specs.map((spec) => start(context, spec, states.find((s) => s.id === spec.id)!, { force: false }, { runtime, scratch })))
      return { waitMs: Math.max(...waits) }
    }
    const health = await settleDown(engine, world)
    if (!health.ok) {
      context.progress(health.reason ?? 'waiting for the engine')
      return { waitMs: lookAgainMs }
    }
    if (operation.memo['flushed'] !== true) {
      context.progress('clearing the data')
      await engine.flush!(world, operation.id)
      checkpoint('engine.flushed')
      // Durable before the evidence goes: from here on nobody flushes for this operation again.
      await context.remember({ flushed: true })
    }
    await engine.forgetFlush!(world, operation.id)
    checkpoint('engine.flushForgotten')
    return 'done'
  }
}
