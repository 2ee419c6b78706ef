/** Hands the master's role over because somebody asked for it. */
import { converge, worldOf } from './converge.ts'
import type { Step } from '../core/operation.ts'
import type { Parts } from './actions.ts'

const lookAgainMs = 10

export function swap(parts: Parts): Step {
  const { engine, runtime } = parts
  const heal = converge({ force: false, rolling: false })(parts)
  return async (context) => {
    const { nodes, operation } = context
    const healed = await heal(context)
    if (healed !== 'done') return healed
    const { instance } = context
    // Durable, so that a swap that is resumed does not go back again.
    if (operation.memo['before'] === undefined) await context.remember({ before: JSON.stringify(instance.grants) })
    const before = operation.memo['before'] === undefined ? instance.grants : JSON.parse(String(operation.memo['before']))
    const states = await runtime.inspect(instance.id, nodes.map((node) => node.id))
    const swapped = await engine.swap!(worldOf(context, states, runtime), before)
    if (swapped.ok) return 'done'
    context.progress(swapped.reason ?? 'waiting for the engine')
    return { waitMs: lookAgainMs }
  }
}
