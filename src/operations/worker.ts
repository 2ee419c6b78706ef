/** Takes accepted operations, calls their steps until they are done, and settles them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { deadlineOf, within } from './deadline.ts'
import { actions } from './actions.ts'
import { claim, giveUp, grant, heldOf, letGo, place, remember, renew, settle, type Settlement } from '../store/operations.ts'
import { recordFiles } from '../store/backups.ts'
import { instancesByIds, nodesOf } from '../store/instances.ts'
import { leavingNodes } from './shrink.ts'
import { fenced } from '../core/fence.ts'
import { reporter } from './outages.ts'
import { isUnavailable } from '../core/unavailable.ts'
import { isAway } from '../core/away.ts'
import { TerminalError, type Operation, type StepContext } from '../core/operation.ts'
import type { Vault } from '../core/backups.ts'
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
  readonly vault: Vault
  /** Names this process among all that ever shared the database. */
  readonly owner: string
  /** The host whose nodes it may touch. */
  readonly host: string
  readonly log: Logger
  /** Told of every operation that was ended here. */
  readonly ended?: (engine: EngineName, operation: Operation, outcome: Settlement['outcome']) => void
}

export interface Progress { readonly text: string; /** What single nodes are at, by node id. */ readonly nodes: Readonly<Record<string, string>> }

interface Run {
  readonly abort: AbortController; progress: string | null; readonly nodes: Record<string, string>; cancelled: boolean; ended: Promise<void>
  /** Until when nobody else takes it, by a clock that goes on while this process is frozen; 0: it is not ours any more. */
  validUntil: number
  /** It has ended without us, and others wait for this to be over. */
  replaced: boolean
}

/** Other control planes take over after this long without a renewal. */
const leaseMs = 8000
const renewEveryMs = 2500
/** Before its lease ends a worker stops changing anything: what it has just begun then ends in time. */
const marginMs = 300
/** For operations whose time comes later (a recovery's backoff), for those of a control plane that died, and for what others say of ours. */
const tickMs = 250
/** Restarts mostly wait for a server to come up; two cores are busy with about this many. */
const concurrency = 16
/** What ends within this is settled together: nothing beside a restart, and a fraction of the commits for fifty. */
const togetherMs = 5
/** A cluster that does not answer is asked again after this, for as long as the deadline allows. */
const awayMs = 1000
/** After a step threw: soon again, then ever later. */
const retryMs = [50, 200, 1000, 3000]

export function startWorker({ db, engines, runtimes, vault, owner, host, log, ended }: WorkerParts): Worker {
  const running = new Map<string, Run>()
  /** The latest run of each instance: two never work on the same nodes at once. */
  const serial = new Map<string, Run>()
  let stopping = false
  let claiming: Promise<void> | null = null
  let again = false
  const away = reporter(log, 'operations could not be taken, or leases not renewed')

  async function take(): Promise<void> {
    const free = concurrency - running.size
    if (free <= 0 || stopping) return
    const validUntil = performance.now() + leaseMs - marginMs
    const operations = await claim(db, { owner, host, now: Date.now(), leaseMs, limit: free })
    if (operations.length === 0) return
    const ids = operations.map((operation) => operation.instanceId)
    const [instances, nodes] = [await instancesByIds(db, ids), await nodesOf(db, ids)]
    for (const operation of operations) {
      const run: Run = { abort: new AbortController(), progress: null, nodes: {}, cancelled: operation.cancelAt !== null, ended: Promise.resolve(), validUntil, replaced: false }
      running.set(operation.id, run)
      // A recovery that was replaced may still be in the middle of a step on the same nodes; or this very operation, when its lease ran out.
      const predecessor = serial.get(operation.instanceId)
      predecessor?.abort.abort()
      serial.set(operation.instanceId, run)
      run.ended = (async () => {
        await predecessor?.ended
        await fenced(() => { if (performance.now() > run.validUntil) throw new Error(`operation ${operation.id} is no longer ours`) }, () => perform(operation, instances.get(operation.instanceId)!, nodes.get(operation.instanceId) ?? [], run))
        // What a step that did not come back still does is nobody's business any more.
        run.validUntil = 0
        if (run.replaced) await letGo(db, owner, operation.id)
      })().catch((error) => { if (isUnavailable(error)) away(error); else log.error({ error, operation: operation.id }, 'an operation could not be worked on, and is taken again') }).finally(() => {
        run.validUntil = 0
        if (running.get(operation.id) === run) running.delete(operation.id)
        if (serial.get(operation.instanceId) === run) serial.delete(operation.instanceId)
        // The others of its group end in the same turn, and one claim fills all of their places.
        setImmediate(nudge)
      })
    }
  }

  async function perform(operation: Operation, instance: Instance, recorded: readonly NodeRecord[], run: Run): Promise<void> {
    const row = actions[operation.action]
    const runtime = runtimes[instance.runtime]
    const step = row.step({ engine: engines[instance.engine], runtime, vault, scratch: new Map() })
    // Not the wall clock: a machine that sets it must not fail what is under way.
    const deadline = deadlineOf(row, performance.now())
    let current = operation
    let [granted, nodes] = [instance, recorded]
    let lastError: string | null = null
    const context = (): StepContext => ({
      // As of now: a step that grants something and goes on must not grant from what it saw at its beginning.
      get instance() { return granted }, get nodes() { return nodes }, operation: current, signal: run.abort.signal, cancelled: run.cancelled,
      progress(text, nodeId) {
        deadline.hears(`${nodeId ?? ''} ${text}`, performance.now())
        if (nodeId === undefined) run.progress = text
        else run.nodes[nodeId] = text
      },
      async remember(memo) { await remember(db, owner, operation.id, memo); current = { ...current, memo } },
      async grant(grants) { await grant(db, owner, operation, grants); granted = { ...granted, grants } },
      async copied(files) { return recordFiles(db, owner, operation, files) },
      async place(found) { await place(db, owner, operation, found); granted = { ...granted, endpoints: found.endpoints }; nodes = found.nodes },
    })
    for (let failures = 0; !run.abort.signal.aborted && !stopping;) {
      let waitMs: number
      try {
        const result = await within(step(context()), () => deadline.leftMs(performance.now()), () => lastError ?? run.progress ?? 'no progress')
        if (result === 'done') return settled(instance, { operation, outcome: 'done', cause: null, gone: leavingNodes(operation.memo) })
        // Whatever the nodes run now is allowed from here on: nobody asked for more.
        const cancelled = async (): Promise<Settlement> => ({ operation, outcome: 'cancelled', cause: null, floor: Math.min(...(await runtime.inspect(instance.id, nodes.map((node) => node.id))).map((state) => state.observedGeneration)) })
        if (result === 'cancelled') return settled(instance, await cancelled())
        if ('abandoned' in result) return settled(instance, { ...await cancelled(), cause: result.abandoned, well: false })
        if ('failed' in result) return settled(instance, { operation, outcome: 'failed', cause: result.failed, well: true })
        waitMs = result.waitMs
        failures = 0
      } catch (error) {
        // Neither a lease that is lost nor a database that is away says anything about the operation: somebody goes on with it.
        if (isUnavailable(error) || performance.now() > run.validUntil) return
        lastError = (error as Error).message
        if (error instanceof TerminalError) return fail(operation, instance, nodes, runtime, lastError)
        waitMs = isAway(error) ? awayMs : retryMs[Math.min(failures, retryMs.length - 1)]!
        if (!isAway(error)) failures += 1
        run.progress = lastError
        log.warn({ operation: operation.id, action: operation.action, instance: instance.id, failures, reason: lastError }, 'a step failed and is tried again')
        if (failures >= row.failures) return fail(operation, instance, nodes, runtime, lastError)
      }
      if (deadline.leftMs(performance.now()) < 0) return fail(operation, instance, nodes, runtime, `gave up after ${deadline.spent(performance.now())}: ${lastError ?? run.progress ?? 'no progress'}`)
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
    claiming = take().catch(away).finally(() => {
      claiming = null
      if (again) { again = false; nudge() }
    })
  }

  async function keepLeases(): Promise<void> {
    const before = [...running]
    if (before.length === 0) return
    const validUntil = performance.now() + leaseMs - marginMs
    await renew(db, owner, before.map(([id]) => id), Date.now() + leaseMs)
    for (const [, run] of await look(before)) run.validUntil = Math.max(run.validUntil, validUntil)
  }

  /** Hears what was decided elsewhere: that somebody took an operation, ended it, or asked for its end. Answers those that are still ours. */
  async function look(before: readonly (readonly [string, Run])[]): Promise<(readonly [string, Run])[]> {
    if (before.length === 0) return []
    const held = await heldOf(db, owner, before.map(([id]) => id))
    return before.filter(([id, run]) => {
      if (held.get(id)?.cancelled) run.cancelled = true
      if (held.has(id) || run.validUntil === 0) return held.has(id)
      run.replaced = true
      run.validUntil = 0
      run.abort.abort()
      return false
    })
  }

  /** A lease that cannot be renewed ends by itself, and what is done under it ends before that. */
  function abandon(): void {
    for (const run of running.values()) if (performance.now() > run.validUntil) run.abort.abort()
  }

  const ticking = setInterval(() => { nudge(); abandon(); void look([...running]).catch(away) }, tickMs)
  const renewing = setInterval(() => void keepLeases().catch(away), renewEveryMs)
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
      // Whoever comes next need not wait for the leases to end.
      await giveUp(db, owner).catch(away)
    },
  }
}

/** Ends early when the signal comes, and never fails. */
function pause(ms: number, signal: AbortSignal): Promise<void> { return sleep(ms, undefined, { signal }).catch(() => {}) }
