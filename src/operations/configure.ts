/**
 * Makes changed settings true on nodes that go on running. When a server refuses one, what was set is taken back, and the
 * operation fails with the instance as it was before.
 */
import { checkpoint } from '../core/checkpoint.ts'
import { converge, provide, worldOf } from './converge.ts'
import { formerOf, TerminalError, type Step, type StepContext } from '../core/operation.ts'
import type { Parts } from './actions.ts'
import type { Instance, Spec } from '../core/instance.ts'

const lookAgainMs = 10

export function configure(parts: Parts): Step {
  const { engine, runtime, scratch } = parts
  const heal = converge({ force: false, rolling: false })(parts)
  return async (context) => {
    const { operation } = context
    const former = { ...context.instance.spec, ...formerOf(operation.memo)?.spec }
    const refused = operation.memo['refused']
    const wanted = context.instance.spec
    const [spec, before] = refused === undefined ? [wanted, former] : [former, wanted]
    const aimed = aimedAt(context, spec)
    await provide(aimed, parts)
    const { instance, nodes } = aimed
    // Whatever starts a node from here on starts it with the new settings.
    if (runtime.renew && !scratch.has(`renewed ${refused !== undefined}`)) {
      for (const one of engine.layout(instance, nodes)) await runtime.renew(one)
      scratch.set(`renewed ${refused !== undefined}`, 1)
      checkpoint('runtime.renewed')
    }
    const states = await runtime.inspect(instance.id, nodes.map((node) => node.id))
    let configured
    try { configured = await engine.configure!(worldOf(aimed, states, runtime), before) } catch (error) {
      if (!(error instanceof TerminalError) || refused !== undefined) throw error
      // Durable first: whoever goes on with this takes it back as well.
      await context.remember({ ...operation.memo, refused: error.message })
      return { waitMs: 0 }
    }
    // Nodes that are down get the settings with their files; the others have them by now, whoever else is missing.
    const healed = await heal(aimed)
    if (healed !== 'done') return healed
    if (!configured.ok) {
      context.progress(configured.reason ?? 'waiting for the engine')
      return { waitMs: lookAgainMs }
    }
    return refused === undefined ? 'done' : { failed: String(refused) }
  }
}

/** The same context about an instance with another spec. */
function aimedAt(context: StepContext, spec: Spec): StepContext {
  return { ...context, get instance(): Instance { return { ...context.instance, spec } }, get nodes() { return context.nodes } }
}
