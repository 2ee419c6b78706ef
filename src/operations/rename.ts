/** Other names for commands: the files forget the old ones, then all nodes start with the new ones, at once. */
import { checkpoint } from '../core/checkpoint.ts'
import { converge, provide, start, worldOf } from './converge.ts'
import { formerNames } from '../core/instance.ts'
import type { Step } from '../core/operation.ts'
import type { Parts } from './actions.ts'

const lookAgainMs = 25

export function rename(parts: Parts): Step {
  const { engine, runtime, scratch } = parts
  const restart = converge({ force: false, rolling: false })(parts)
  return async (context) => {
    const { instance, nodes } = context
    if (instance.grants[formerNames] === undefined) return restart(context)
    await provide(context, parts)
    const states = await runtime.inspect(instance.id, nodes.map((node) => node.id))
    const dead = states.filter((state) => state.phase !== 'running')
    if (dead.length > 0) {
      // As it was: it is restarted with the others later.
      const specs = engine.layout(instance, nodes).filter((spec) => dead.some((state) => state.id === spec.id))
      const waits = await Promise.all(specs.map((spec) => start(context, { ...spec, generation: instance.generation - 1 }, dead.find((state) => state.id === spec.id)!, { force: false }, { runtime, scratch })))
      return { waitMs: Math.max(...waits) }
    }
    const forgotten = await engine.forgetNames!(worldOf(context, states, runtime), scratch)
    if (!forgotten.ok) {
      context.progress(forgotten.reason ?? 'waiting for the engine')
      return { waitMs: lookAgainMs }
    }
    // Durable: from here on a node that starts, starts with the new names.
    const { [formerNames]: _, ...grants } = context.instance.grants
    await context.grant(grants)
    checkpoint('engine.renamed')
    return { waitMs: 0 }
  }
}
