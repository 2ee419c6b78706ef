/** Brings the nodes of an instance to its generation, and its roles to what was granted. Creation, restarts and recoveries are all this. */
import { checkpoint } from '../core/checkpoint.ts'
import { TerminalError, type StepContext } from '../core/operation.ts'
import type { Engine, NodeHealth, World } from '../core/engine.ts'
import type { Step } from '../core/operation.ts'
import type { Instance, NodeRecord } from '../core/instance.ts'
import type { NodeSpec, NodeState, Runtime } from '../core/runtime.ts'
import type { Parts } from './actions.ts'

/** A node that ends this often right after its launch will not stay the next time either. */
const launchesBeforeGivingUp = 3
/** Pauses before the second and the third launch: time for a port or a lock to become free. */
const pauseBeforeLaunchMs = [0, 250, 1000]
/** How soon to look again at a server that is starting; an empty Redis needs some 20 ms. */
const lookAgainMs = 4
/** One that takes long is looked at less often: what that adds is a small part of what it took, and the looks of sixteen starts at once are no load. */
const lookAgainPart = 0.15
const lookAgainAtMostMs = 50
/** What keeps dying is not started yet, and the others are looked after meanwhile: one of them may die as well. */
const lookWhileNotBeforeMs = 250
/** A roll that was cancelled ends after this even if the instance is not well: whoever looks after it goes on, and its owner may do something else. */
const abandonAfterMs = 12_000

/** Nodes that run something older than the instance allows, or nothing at all. Pure, and cheap: it is asked of every instance twice a second. */
export function outdated(instance: Instance, nodes: readonly NodeRecord[], states: readonly NodeState[]): NodeRecord[] {
  return nodes.filter((node) => {
    const state = states.find((s) => s.id === node.id)
    return state?.phase !== 'running' || state.observedGeneration < instance.floor
  })
}

/** What an engine sees of an instance and may do to it, as found by `inspect`. */
export function worldOf(context: StepContext, states: readonly NodeState[], runtime: Runtime): World {
  const { nodes } = context
  return {
    get instance() { return context.instance }, nodes, states,
    grant: (grants) => context.grant(grants),
    async kill(node) {
      const state = states.find((s) => s.id === node.id)
      if (state?.phase === 'running') await runtime.kill(node.id, state.identity!)
    },
    giveWay(node, who) {
      const state = states.find((s) => s.id === node.id)
      if (state?.phase === 'running') runtime.giveWay?.(node.id, state.identity!, who)
    },
    discard: (node, path) => runtime.discard(node.id, path),
    ...runtime.give ? { give: (endpoint: string, node: NodeRecord | null) => runtime.give!(context.instance, endpoint, node?.id ?? null) } : {},
    progress: (text, nodeId) => context.progress(text, nodeId),
  }
}

/** The same for whoever only asks: it can change nothing. */
export async function onlyLooking(instance: Instance, nodes: readonly NodeRecord[], runtime: Runtime): Promise<World> {
  const no = async (): Promise<never> => { throw new Error('a question changes nothing') }
  return { instance, nodes, states: await runtime.inspect(instance.id, nodes.map((node) => node.id)), grant: no, kill: no, giveWay() {}, discard: no, progress() {} }
}

/** Addresses for what has none, durably; once for each run of the operation also all else that a runtime keeps for an instance. */
export async function provide(context: StepContext, { runtime, scratch }: Pick<Parts, 'runtime' | 'scratch'>): Promise<void> {
  if (!runtime.provide || scratch.has('provided')) return
  const unplaced = context.nodes.some((node) => node.address === '')
  if (unplaced) context.progress('finding addresses')
  const found = await runtime.provide(context.instance, context.nodes)
  if (unplaced) await context.place(found)
  scratch.set('provided', 1)
}

/** Puts back what stands for nodes that run, and leaves these alone. */
async function mend({ instance, nodes }: StepContext, states: readonly NodeState[], { engine, runtime, scratch }: Parts): Promise<void> {
  if (!runtime.drift || scratch.has('mended')) return
  if (await runtime.drift(instance, nodes) !== null) {
    for (const spec of engine.layout(instance, nodes)) {
      const state = states.find(({ id }) => id === spec.id)!
      // As it is: a rolling change that was cancelled half way stays so.
      if (state.phase === 'running') await runtime.apply({ ...spec, generation: state.observedGeneration }, { force: false })
    }
  }
  scratch.set('mended', 1)
}

/** Roles as granted, and every node well. */
export async function settleDown(engine: Engine, world: World): Promise<NodeHealth> {
  const arranged = await engine.arrange?.(world) ?? { ok: true }
  return arranged.ok ? engine.probe(world.instance, world.nodes, world.states) : arranged
}

/** `force`: killed, all at once. `rolling`: one at a time, each proven healthy before the next. */
export function converge(how: { readonly force: boolean; readonly rolling: boolean }) {
  return (parts: Parts): Step => async (context) => {
    const { engine, runtime, scratch } = parts
    await provide(context, parts)
    const { instance, nodes } = context
    const states = await runtime.inspect(instance.id, nodes.map((node) => node.id))
    const world = worldOf(context, states, runtime)
    const stateOf = (node: NodeRecord): NodeState => states.find((s) => s.id === node.id)!
    const behind = outdated(instance, nodes, states)
    const dead = behind.filter((node) => stateOf(node).phase !== 'running')
    // What is stopped one after another can be left half done, and a cancelled change leaves it so.
    if (dead.length === 0 && (behind.length === 0 || context.cancelled && how.rolling)) {
      await mend(context, states, parts)
      const health = await settleDown(engine, world)
      if (health.ok) {
        await runtime.publish?.(context.instance, engine.connection(context.instance, nodes))
        return behind.length === 0 ? 'done' : 'cancelled'
      }
      if (context.cancelled && how.rolling && lasting(scratch, abandonAfterMs)) return { abandoned: health.reason ?? 'the engine does not answer' }
      return waitFor(health, context, scratch)
    }
    context.progress(`${nodes.length - behind.length} of ${nodes.length} nodes run generation ${instance.generation}`)
    let next: readonly NodeRecord[] = dead
    if (how.force) next = behind
    // Others may serve while the dead ones start, so their roles come first.
    else if (dead.length > 0 && dead.length < nodes.length) await engine.arrange?.(world)
    if (next.length === 0) {
      const chosen = await turn(engine, world, behind, how.rolling && nodes.length > 1)
      if ('ok' in chosen) return waitFor(chosen, context, scratch)
      next = chosen
    }
    scratch.delete('waiting')
    const notBefore = Number(context.operation.memo['notBefore'] ?? 0)
    if (dead.length > 0 && Date.now() < notBefore) return { waitMs: Math.min(notBefore - Date.now(), lookWhileNotBeforeMs) }
    // What was granted since this began decides what a node starts with.
    const specs = engine.layout(world.instance, nodes)
    const waits = await Promise.all(next.map(async (node) => {
      const [state, spec] = [stateOf(node), specs.find((s) => s.id === node.id)!]
      if (state.phase === 'running') await engine.drain?.(instance, node, state, { force: how.force })
      checkpoint('engine.drained')
      return start(context, spec, state, { force: how.force }, { runtime, scratch })
    }))
    return { waitMs: Math.max(...waits) }
  }
}

/** Whose turn it is to stop, among nodes that all run; or what is waited for. */
async function turn(engine: Engine, world: World, behind: readonly NodeRecord[], oneByOne: boolean): Promise<readonly NodeRecord[] | NodeHealth> {
  if (!oneByOne) return behind
  const health = await settleDown(engine, world)
  if (!health.ok) return health
  const chosen = await engine.choose?.(world, behind) ?? behind[0]!
  return typeof chosen === 'string' ? { ok: false, reason: chosen } : [chosen]
}

/** Whether it has been cancelled for this long. */
function lasting(scratch: Parts['scratch'], ms: number): boolean {
  const since = scratch.get('cancelled') ?? Date.now()
  scratch.set('cancelled', since)
  return Date.now() - since >= ms
}

/** Looks again soon at first, then less often. */
function waitFor(health: NodeHealth, context: StepContext, scratch: Parts['scratch']): { waitMs: number } {
  context.progress(health.reason ?? 'waiting for the engine')
  const since = scratch.get('waiting') ?? Date.now()
  scratch.set('waiting', since)
  return { waitMs: Math.min(lookAgainAtMostMs, Math.max(lookAgainMs, (Date.now() - since) * lookAgainPart)) }
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
  context.progress(state.phase === 'running' ? 'stopping and starting' : 'starting', spec.id)
  await runtime.apply(spec, how)
  scratch.set(key, launches + 1)
  checkpoint('runtime.applied')
  return lookAgainMs
}
