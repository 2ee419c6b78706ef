/** Takes accepted operations, calls their steps until they are done, and settles them. */
import { actions } from './actions.ts'
import { claim, grant, place, remember, renew, settle, type Settlement } from '../store/operations.ts'
import { instancesByIds, nodesOf } from '../store/instances.ts'
import { leavingNodes } from './shrink.ts'
import { isAway } from '../core/away.ts'
import { TerminalError, type Operation, type StepContext } from '../core/operation.ts'
import type { Database } from '../store/database.ts'
import type { Engine } from '../core/engine.ts'
import type { EngineName, Instance, NodeRecord, RuntimeName } from '../core/instance.ts'
import type { Logger } from '../core/logger.ts'
import type { Runtime } from '../core/runtime.ts'

export interface Worker {
  /** Looks for due operations now rather than at the next tick. */
  nudge(): void
  /** Where a running operation stands, for people; null when it does not run here. */
  progress(operationId: string): Progress | null
  /** Ends an operation early, and well; what is running here learns of it at once. */
  cancel(operationId: string): void
  /** Takes nothing new and waits for the steps in progress; what is unfinished stays accepted. */
  stop(): Promise<void>
}

export interface WorkerParts {
  readonly db: Database
  readonly engines: Readonly<Record<EngineName, Engine>>
  readonly runtimes: Readonly<Record<RuntimeName, Runtime>>
  readonly owner: string
  readonly log: Logger
  /** Told of every operation that was ended here. */
  readonly ended?: (engine: EngineName, operation: Operation, outcome: Settlement['outcome']) => void
}

export interface Progress { readonly text: string; /** What single nodes are at, by node id. */ readonly nodes: Readonly<Record<string, string>> }

interface Run { readonly abort: AbortController; progress: string | null; readonly nodes: Record<string, string>; cancelled: boolean; ended: Promise<void> }

/** Other control planes take over after this long without a renewal. */
const leaseMs = 8000
const renewEveryMs = 2500
/** For operations whose time comes later (a recovery's backoff) and for those of a control plane that died. */
const tickMs = 250
/** Restarts mostly wait for a server to come up; two cores are busy with about this many. */
const concurrency = 16
/** What ends within this is settled together: nothing beside a restart, and a fraction of the commits for fifty. */
const togetherMs = 5
/** A cluster that does not answer is asked again after this, for as long as the deadline allows. */
const awayMs = 1000
/** After a step threw: soon again, then ever later. */
const retryMs = [50, 200, 1000, 3000]

export function startWorker({ db, engines, runtimes, owner, log, ended }: WorkerParts): Worker {
  const running = new Map<string, Run>()
  /** The latest run of each instance: two never work on the same nodes at once. */
  const serial = new Map<string, Run>()
  let stopping = false
  let claiming: Promise<void> | null = null
  let again = false

  async function take(): Promise<void> {
    const free = concurrency - running.size
    if (free <= 0 || stopping) return
    const operations = (await claim(db, owner, Date.now(), leaseMs, free)).filter((operation) => !running.has(operation.id))
    if (operations.length === 0) return
    const ids = operations.map((operation) => operation.instanceId)
    const [instances, nodes] = [await instancesByIds(db, ids), await nodesOf(db, ids)]
    for (const operation of operations) {
      const run: Run = { abort: new AbortController(), progress: null, nodes: {}, cancelled: operation.cancelAt !== null, ended: Promise.resolve() }
      running.set(operation.id, run)
      // A recovery that was replaced may still be in the middle of a step on the same nodes.
      const predecessor = serial.get(operation.instanceId)
      predecessor?.abort.abort()
      serial.set(operation.instanceId, run)
      run.ended = (async () => {
        await predecessor?.ended
        await perform(operation, instances.get(operation.instanceId)!, nodes.get(operation.instanceId) ?? [], run)
      })().catch((error) => log.error({ error, operation: operation.id }, 'an operation could not be worked on')).finally(() => {
        running.delete(operation.id)
        if (serial.get(operation.instanceId) === run) serial.delete(operation.instanceId)
        // The others of its group end in the same turn, and one claim fills all of their places.
        setImmediate(nudge)
      })
    }
  }

  async function perform(operation: Operation, instance: Instance, recorded: readonly NodeRecord[], run: Run): Promise<void> {
    const row = actions[operation.action]
    const runtime = runtimes[instance.runtime]
    const step = row.step({ engine: engines[instance.engine], runtime, scratch: new Map() })
    // Not the wall clock: a machine that sets it must not fail what is under way.
    const deadline = performance.now() + row.deadlineMs
    let current = operation
    let [granted, nodes] = [instance, recorded]
    let lastError: string | null = null
    const context = (): StepContext => ({
      // As of now: a step that grants something and goes on must not grant from what it saw at its beginning.
      get instance() { return granted }, get nodes() { return nodes }, operation: current, signal: run.abort.signal, cancelled: run.cancelled,
      progress(text, nodeId) {
        if (nodeId === undefined) run.progress = text
        else run.nodes[nodeId] = text
      },
      async remember(memo) { await remember(db, owner, operation.id, memo); current = { ...current, memo } },
      async grant(grants) { await grant(db, owner, operation, grants); granted = { ...granted, grants } },
      async place(found) { await place(db, owner, operation, found); granted = { ...granted, endpoints: found.endpoints }; nodes = found.nodes },
    })
    for (let failures = 0; !run.abort.signal.aborted && !stopping;) {
      let waitMs: number
      try {
        const result = await within(step(context()), deadline - performance.now())
        if (result === 'done') return settled(instance, { operation, outcome: 'done', cause: null, gone: leavingNodes(operation.memo) })
        // Whatever the nodes run now is allowed from here on: nobody asked for more.
        if (result === 'cancelled') return settled(instance, { operation, outcome: 'cancelled', cause: null, floor: Math.min(...(await runtime.inspect(instance.id, nodes.map((node) => node.id))).map((state) => state.observedGeneration)) })
        waitMs = result.waitMs
        failures = 0
      } catch (error) {
        lastError = (error as Error).message
        if (error instanceof TerminalError) return fail(operation, instance, nodes, runtime, lastError)
        waitMs = isAway(error) ? awayMs : retryMs[Math.min(failures, retryMs.length - 1)]!
        if (!isAway(error)) failures += 1
        run.progress = lastError
        log.warn({ operation: operation.id, action: operation.action, instance: instance.id, failures, reason: lastError }, 'a step failed and is tried again')
        if (failures >= row.failures) return fail(operation, instance, nodes, runtime, lastError)
      }
      if (performance.now() > deadline) return fail(operation, instance, nodes, runtime, `gave up after ${row.deadlineMs / 1000} s: ${lastError ?? run.progress ?? 'no progress'}`)
      await pause(waitMs, run.abort.signal)
    }
  }

  async function fail(operation: Operation, instance: Instance, nodes: readonly NodeRecord[], runtime: Runtime, cause: string): Promise<void> {
    log.warn({ operation: operation.id, action: operation.action, instance: instance.id, cause }, 'an operation failed')
    // A failed creation holds no resources: nothing of it goes on running. Its log stays until it is deleted.
    if (operation.action === 'create') await runtime.stop(instance.id, nodes.map((node) => node.id), 0)
    await settled(instance, { operation, outcome: 'failed', cause })
  }

  // Operations of one batch end together: settling them in groups costs one commit, not fifty. One that is alone waits for nobody.
  let pending: { settlement: Settlement; resolve: (ours: ReadonlySet<string>) => void; reject: (error: unknown) => void }[] = []
  async function settled({ engine }: Instance, settlement: Settlement): Promise<void> {
    const { operation, outcome } = settlement
    const ours = await new Promise<ReadonlySet<string>>((resolve, reject) => {
      pending.push({ settlement, resolve, reject })
      if (pending.length === 1) setTimeout(() => {
        const group = pending
        pending = []
        settle(db, owner, group.map((one) => one.settlement), Date.now()).then((ids) => group.forEach((one) => one.resolve(ids)), (error) => group.forEach((one) => one.reject(error)))
      }, running.size > 1 ? togetherMs : 0)
    })
    if (ours.has(operation.id)) ended?.(engine, operation, outcome)
  }

  function nudge(): void {
    if (stopping) return
    if (claiming) { again = true; return }
    claiming = take().catch((error) => log.error({ error }, 'operations could not be taken')).finally(() => {
      claiming = null
      if (again) { again = false; nudge() }
    })
  }

  async function keepLeases(): Promise<void> {
    const before = [...running]
    if (before.length === 0) return
    const held = await renew(db, owner, Date.now() + leaseMs)
    for (const [id, run] of before) {
      if (!held.has(id)) run.abort.abort()
      else if (held.get(id)) run.cancelled = true
    }
  }

  const ticking = setInterval(nudge, tickMs)
  const renewing = setInterval(() => void keepLeases().catch((error) => log.error({ error }, 'leases could not be renewed')), renewEveryMs)
  return {
    nudge,
    progress(operationId) {
      const run = running.get(operationId)
      return run ? { text: run.progress ?? '', nodes: run.nodes } : null
    },
    cancel(operationId) {
      const run = running.get(operationId)
      if (run) run.cancelled = true
    },
    async stop() {
      stopping = true
      clearInterval(ticking)
      clearInterval(renewing)
      for (const run of running.values()) run.abort.abort()
      await Promise.all([claiming, ...[...running.values()].map((run) => run.ended)])
    },
  }
}

/** A step that never ends must not hold its instance for ever; what it still does later is fenced by generation and lease. */
async function within<T>(step: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const overdue = new Promise<never>((_, reject) => { timer = setTimeout(() => reject(new TerminalError('gave up: a step did not come back')), Math.max(ms, 1000)) })
  try { return await Promise.race([step, overdue]) } finally { clearTimeout(timer) }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
    function done(): void { clearTimeout(timer); signal.removeEventListener('abort', done); resolve() }
  })
}
