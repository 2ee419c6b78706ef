/** Brings the nodes of an instance to its generation. Creation, restarts and recoveries are all this. */
import { checkpoint } from '../core/checkpoint.ts'
import { TerminalError, type StepContext } from '../core/operation.ts'
import type { Step } from '../core/operation.ts'
import type { NodeSpec, NodeState } from '../core/runtime.ts'
import type { Parts } from './actions.ts'

/** A node that ends this often right after its launch will not stay the next time either. */
const launchesBeforeGivingUp = 3
/** Pauses before the second and the third launch: time for a port or a lock to become free. */
const pauseBeforeLaunchMs = [0, 250, 1000]
/** How soon to look again at a server that is starting; an empty Redis needs some 20 ms. */
const lookAgainMs = 4

/** Nodes behind their generation, or not running at all. Pure. */
export function outdated(specs: readonly NodeSpec[], states: readonly NodeState[]): NodeSpec[] {
  return specs.filter((spec) => {
    const state = states.find((s) => s.id === spec.id)
    return state?.phase !== 'running' || state.observedGeneration < spec.generation
  })
}

/** `force`: killed, all at once. `rolling`: one at a time, each proven healthy before the next. */
export function converge(how: { readonly force: boolean; readonly rolling: boolean }) {
  return ({ engine, runtime, scratch }: Parts): Step => async (context) => {
    const { instance, nodes } = context
    const ids = nodes.map((node) => node.id)
    const specs = engine.layout(instance, nodes)
    const states = await runtime.inspect(instance.id, ids)
    const behind = outdated(specs, states)
    if (behind.length === 0) {
      const health = await engine.probe(instance, nodes, states)
      if (health.ok) return 'done'
      context.progress(health.reason ?? 'waiting for the engine')
      return { waitMs: lookAgainMs }
    }
    context.progress(`${specs.length - behind.length} of ${specs.length} nodes run generation ${instance.generation}`)
    const waits = await Promise.all((how.rolling ? behind.slice(0, 1) : behind).map(async (spec) => {
      const state = states.find((s) => s.id === spec.id)!
      if (state.phase === 'running') await engine.drain?.(instance, nodes.find((node) => node.id === spec.id)!, state, { force: how.force })
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
