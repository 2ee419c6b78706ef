/** Whether an instance's data fits into less memory, asked of its servers. */
import type { Facts } from '../core/engine.ts'
import type { Spec } from '../core/instance.ts'
import type { Change, Step } from '../core/operation.ts'
import type { Parts } from './actions.ts'

/** What is used may be so much of the new size; the rest is for what is written meanwhile. */
const mostOfSmaller = 0.7

/** Why it does not; null when it does. `room`: bytes that each part of the data may have. */
export function unfit(room: number, facts: Pick<Facts, 'fullestBytes'> | null, action: Change): string | null {
  if (!facts) return 'its servers do not answer, and what they hold must fit'
  const most = Math.floor(room * (action === 'configure' ? 1 : mostOfSmaller))
  return facts.fullestBytes <= most ? null : `${facts.fullestBytes} bytes are used, and ${most} at most may be`
}

/** What the fullest part may come to hold: with fewer parts, as many of the fullest as come together, or all that there is. */
export function fullest({ fullestBytes, usedBytes }: Facts, from: Pick<Spec, 'shards'>, to: Pick<Spec, 'shards'>): Pick<Facts, 'fullestBytes'> {
  return { fullestBytes: to.shards < from.shards ? Math.min(usedBytes, Math.ceil(fullestBytes * from.shards / to.shards)) : fullestBytes }
}

/** Says whether a change of size could be had; it changes nothing. */
export function check({ engine, runtime }: Parts): Step {
  return async ({ instance, nodes, operation }) => {
    const next = { ...instance, spec: { ...instance.spec, memoryBytes: Number(operation.memo['memoryBytes']), shards: Number(operation.memo['shards']) } }
    if (!engine.room || next.spec.shards >= instance.spec.shards && engine.room(next) >= engine.room(instance)) return 'done'
    const states = await runtime.inspect(instance.id, nodes.map((node) => node.id))
    const facts = await engine.facts?.(instance, nodes, states).catch(() => null) ?? null
    const reason = unfit(engine.room(next), facts && fullest(facts, instance.spec, next.spec), 'check')
    return reason === null ? 'done' : { failed: reason }
  }
}
