/** Takes nodes out of an instance: their roles and data first, then the nodes. The rest goes on serving. */
import { converge, worldOf } from './converge.ts'
import type { Step } from '../core/operation.ts'
import type { Parts } from './actions.ts'

const lookAgainMs = 25

/** The nodes that go, by the operation's memo. */
export function leavingNodes(memo: Readonly<Record<string, string | number | boolean>>): readonly string[] {
  return String(memo['leaving'] ?? '').split(',').filter(Boolean)
}

export function shrink(parts: Parts): Step {
  const { engine, runtime } = parts
  const heal = converge({ force: false, rolling: false })(parts)
  return async (context) => {
    const { instance, nodes, operation } = context
    const leaving = nodes.filter((node) => leavingNodes(operation.memo).includes(node.id))
    if (operation.memo['vacated'] !== true) {
      // Nothing is taken from an instance that is not whole.
      const healed = await heal(context)
      if (healed !== 'done') return healed
      const states = await runtime.inspect(instance.id, nodes.map((node) => node.id))
      const vacated = await engine.vacate?.(worldOf(context, states, runtime), leaving) ?? { ok: true }
      if (!vacated.ok) {
        context.progress(vacated.reason ?? 'waiting for the engine')
        return { waitMs: lookAgainMs }
      }
      // Durable before anything is removed: from here on these nodes are never asked to take part again.
      await context.remember({ ...operation.memo, vacated: true })
    }
    context.progress(`removing ${leaving.length} nodes and their data`)
    await runtime.remove(instance.id, leaving.map((node) => node.id), { all: false })
    const staying = nodes.filter((node) => !leaving.includes(node))
    // Whoever gets the addresses that are free now has rules of its own.
    await runtime.provide?.(context.instance, staying)
    await runtime.publish?.(context.instance, engine.connection(context.instance, staying))
    return 'done'
  }
}
