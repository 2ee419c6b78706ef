/** Brings the nodes of an instance to its generation. Creation, restarts and recoveries are all this. */
import { checkpoint } from '../core/checkpoint.ts'
import { TerminalError, type StepContext } from '../core/operation.ts'
import type { Step } from '../core/operation.ts'
import type { Instance, NodeRecord } from '../core/instance.ts'
import type { NodeSpec, NodeState } from '../core/runtime.ts'
import type { Parts } from './actions.ts'

/** A node that ends this often right after its launch will not stay the next time either. */
const launchesBeforeGivingUp = 3
/** Pauses before the second and the third launch: time for a port or a lock to become free. */
const pauseBeforeLaunchMs = [0, 250, 1000]
/** How soon to look again at a server that is starting; an empty Redis needs some 20 ms. */
const lookAgainMs = 4
/** One that takes long is looked at less often: what that adds is a small part of what it took, and the looks of sixteen starts at once are no load. */
const lookAgainPart = 0.15
const lookAgainAtMostMs = 25

/** Nodes behind the instance's generation, or not running at all. Pure, and cheap: it is asked of every instance twice a second. */
export function outdated(instance: Instance, nodes: readonly NodeRecord[], states: readonly NodeState[]): NodeRecord[] {
  return nodes.filter((node) => {
    const state = states.find((s) => s.id === node.id)
    return state?.phase !== 'running' || state.observedGeneration < instance.generation
  })
}

/** `force`: killed, all at once. `rolling`: one at a time, each proven healthy before the next. */
export function converge(how: { readonly force: boolean; readonly rolling: boolean }) {
  return ({ engine, runtime, scratch }: Parts): Step => async (context) => {
    const { instance, nodes } = context
    const ids = nodes.map((node) => node.id)
    const states = await runtime.inspect(instance.id, ids)
    const behind = outdated(instance, nodes, states)
    if (behind.length === 0) {
      const health = await engine.probe(instance, nodes, states)
      if (health.ok) return 'done'
      context.progress(health.reason ?? 'waiting for the engine')
      const since = scratch.get('waiting') ?? Date.now()
      scratch.set('waiting', since)
      return { waitMs: Math.min(lookAgainAtMostMs, Math.max(lookAgainMs, (Date.now() - since) * lookAgainPart)) }
    }
    scratch.delete('waiting')
    context.progress(`${nodes.length - behind.length} of ${nodes.length} nodes run generation ${instance.generation}`)
    const specs = engine.layout(instance, nodes)
    const waits = await Promise.all((how.rolling ? behind.slice(0, 1) : behind).map(async (node) => {
      const state = states.find((s) => s.id === node.id)!
      const spec = specs.find((s) => s.id === node.id)!
      if (state.phase === 'running') await engine.drain?.(instance, node, state, { force: how.force })
      checkpoint('engine.drained')
      return start(context, spec, state, { force: how.force }, { runtime, scratch })
    }))
    return { waitMs: Math.max(...waits) }
  }
}

/** Launches one node unless it just ended too often; answers how long to wait before the next look. */
export async function start(
  context: StepContext, spec: NodeSpec, state: NodeState, how: { readonly force: boolean }, { runtime, scratch }: Pick<Parts, 'runtime' | 'scratch'>,
): Promise<number> {
  const key = `launches:${spec.id}`
  const launches = scratch.get(key) ?? 0
  if (launches >= launchesBeforeGivingUp) {
    throw new TerminalError(`${spec.software.name} of node ${spec.id} ended right after each of ${launches} starts${state.exit?.code == null ? '' : ` with exit code ${state.exit.code}`}${state.exit?.lastLines ? `; its last lines:\n${state.exit.lastLines}` : '; it logged nothing'}`)
  }
  const pausedAt = scratch.get(`${key}:paused`) ?? -1
  const pauseMs = pauseBeforeLaunchMs[launches] ?? 0
  if (pauseMs > 0 && pausedAt < launches) {
    scratch.set(`${key}:paused`, launches)
    return pauseMs
  }
  context.progress(state.phase === 'running' ? 'stopping and starting' : 'starting')
  await runtime.apply(spec, how)
  scratch.set(key, launches + 1)
  checkpoint('runtime.applied')
  return lookAgainMs
}
