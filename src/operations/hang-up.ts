/** Hangs up on all customers of some nodes. Those that come back are let in. */
import { worldOf } from './converge.ts'
import type { Step } from '../core/operation.ts'
import type { Parts } from './actions.ts'

/** `memo.node`: of this one alone. */
export function hangUp({ engine, runtime }: Parts): Step {
  return async (context) => {
    const { instance, nodes, operation } = context
    const states = await runtime.inspect(instance.id, nodes.map((node) => node.id))
    const world = worldOf(context, states, runtime)
    const chosen = nodes.filter((node) => operation.memo['node'] === undefined || operation.memo['node'] === node.id)
    const answers = await Promise.allSettled(chosen.map((node) => engine.desk!.hangUp(world, node, null)))
    const silent = answers.find((answer) => answer.status === 'rejected')
    return silent ? { failed: (silent.reason as Error).message } : 'done'
  }
}
