/**
 * Makes changed settings true on nodes that go on running. When a server refuses one, what was set is taken back, and the
 * operation fails with the instance as it was before. `settling` does the same about what a change that failed otherwise has left.
 */
import { checkpoint } from '../core/checkpoint.ts'
import { converge, provide, worldOf } from './converge.ts'
import { formerOf, TerminalError, type Places, type Step, type StepContext } from '../core/operation.ts'
import type { Parts } from './actions.ts'
import type { NodeState } from '../core/runtime.ts'
import { leftPorts, turningTls, unsettled, type Instance, type Spec } from '../core/instance.ts'

const lookAgainMs = 10
/** Servers that answer move within some milliseconds. Of one that does not the others may have to take over, wherever it listens. */
const movesWithinMs = 2000

export function configure(parts: Parts, heal = converge({ force: false, rolling: false })(parts)): Step {
  const { engine, runtime, scratch } = parts
  return async (context) => {
    const { operation } = context
    const change = formerOf(operation.memo)
    const former = { ...context.instance.spec, ...change ? change.spec : JSON.parse(context.instance.grants[unsettled] ?? '{}') as Partial<Spec> }
    const refused = operation.memo['refused']
    const wanted = context.instance.spec
    const [spec, before] = refused === undefined ? [wanted, former] : [former, wanted]
    const aimed = aimedAt(context, spec, refused === undefined ? null : change?.places ?? null)
    // Durable first: whoever goes on with this takes it back as well.
    const refuse = async (error: unknown): Promise<{ waitMs: number }> => {
      if (!(error instanceof TerminalError) || refused !== undefined || !change) throw error
      await context.remember({ ...operation.memo, refused: error.message })
      // For what was before that has to be true again.
      scratch.delete('provided')
      return { waitMs: 0 }
    }
    try { await provide(aimed, parts) } catch (error) { return refuse(error) }
    const { instance, nodes } = aimed
    let configured, states: readonly NodeState[], refusal: Error | null = null
    try {
      // Whatever starts a node from here on starts it with the new settings.
      if (runtime.renew && !scratch.has(`renewed ${refused !== undefined}`)) {
        for (const one of engine.layout(instance, nodes)) await runtime.renew(one)
        scratch.set(`renewed ${refused !== undefined}`, 1)
        checkpoint('runtime.renewed')
      }
      states = await runtime.inspect(instance.id, nodes.map((node) => node.id))
      configured = await engine.configure!(worldOf(aimed, states, runtime), before, !change).catch((error: unknown) => {
        if (change || !(error instanceof TerminalError)) throw error
        // Who takes over from a dead master must not wait for that.
        refusal = error
        return { ok: false, reason: error.message }
      })
    } catch (error) { return refuse(error) }
    // Until all have moved nobody is told where the others are.
    const since = scratch.get('moving') ?? Date.now()
    scratch.set('moving', since)
    if ((operation.action === 'port' || operation.action === 'ssl' || !change) && refusal === null && !configured.ok && Date.now() - since < movesWithinMs && states.every((state) => state.phase === 'running')) return waiting(context, configured.reason)
    // Nodes that are down get the settings with their files; the others have them by now, whoever else is missing.
    const healed = await heal(aimed)
    if (healed !== 'done') return healed
    if (refusal && operation.action === 'recover') throw refusal
    // What a person wished is done, and a recovery says what is left.
    if (refusal) return 'done'
    if (!configured.ok) return waiting(context, configured.reason)
    const { [leftPorts]: left, [turningTls]: turning, ...others } = context.instance.grants
    const { [unsettled]: _, ...settled } = others
    const grants = change ? others : settled
    const arrived = left === undefined ? undefined : await engine.arrived?.(worldOf(aimed, states, runtime))
    if (arrived?.ok === false) return waiting(context, arrived.reason)
    if (left !== undefined || turning !== undefined || !change) {
      // First, for nobody looks for it any more once it is not granted.
      if (left !== undefined) await runtime.provide?.({ ...instance, grants }, nodes)
      await context.grant(grants)
    }
    return refused === undefined ? 'done' : { failed: String(refused) }
  }
}

function waiting(context: StepContext, reason = 'waiting for the engine'): { waitMs: number } {
  context.progress(reason)
  return { waitMs: lookAgainMs }
}

/** The same context about an instance with another spec, and where it was before. */
function aimedAt(context: StepContext, spec: Spec, places: Places | null): StepContext {
  return {
    ...context,
    get instance(): Instance { return { ...context.instance, spec, ...places ? { endpoints: places.endpoints } : {} } },
    get nodes() { return places ? context.nodes.map((node) => ({ ...node, ports: places.ports[node.id] ?? node.ports })) : context.nodes },
  }
}

/**
 * The same step; where a change that failed has left something half done it has that put right beside, for it may be what keeps the
 * instance from being well. A recovery does, and so does what takes its place and waits for that.
 */
export function settling(step: (parts: Parts) => Step) {
  return (parts: Parts): Step => {
    const alone = step(parts)
    const settle = configure(parts, alone)
    return (context) => (context.instance.grants[unsettled] === undefined ? alone : settle)(context)
  }
}
