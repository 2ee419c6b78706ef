/** Ends the processes of an instance and removes their data; its rows go with the settlement. */
import type { Step } from '../core/operation.ts'
import type { Parts } from './actions.ts'

export function remove({ runtime, vault }: Parts): Step {
  return async (context) => {
    context.progress('removing processes and data')
    await runtime.remove(context.instance.id, context.nodes.map((node) => node.id), { all: true })
    await vault.remove(context.instance.id)
    return 'done'
  }
}
