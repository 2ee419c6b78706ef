/** Hands the master's role over because somebody asked for it: to whoever is next, or with `memo.to` to this node. */
import { converge, worldOf } from './converge.ts'
import { TerminalError, type Step, type StepContext } from '../core/operation.ts'
import type { NodeHealth } from '../core/engine.ts'
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
    const to = operation.memo['to']
    if (to !== undefined) {
      const node = nodes.find((one) => one.id === to)
      if (!node) throw new TerminalError(`the instance has no node ${to} any more`)
      return went(context, await engine.promote!(worldOf(context, await runtime.inspect(instance.id, nodes.map((one) => one.id)), runtime), node))
    }
    // Durable, so that a swap that is resumed does not go back again.
    if (operation.memo['before'] === undefined) await context.remember({ before: JSON.stringify(instance.grants) })
    const before = operation.memo['before'] === undefined ? instance.grants : JSON.parse(String(operation.memo['before']))
    const states = await runtime.inspect(instance.id, nodes.map((node) => node.id))
    return went(context, await engine.swap!(worldOf(context, states, runtime), before))
  }
}

function went(context: StepContext, { ok, reason }: NodeHealth): 'done' | { waitMs: number } {
  if (ok) return 'done'
  context.progress(reason ?? 'waiting for the engine')
  return { waitMs: lookAgainMs }
}
