/** Accepting a wish for up to fifty instances: checks, operations, generations and audit rows are one. */
import { actions } from '../operations/actions.ts'
import { planFor } from '../operations/plan.ts'
import { appendAudit } from '../store/audit.ts'
import { acceptAsSeen, look, type Seen } from '../store/accept.ts'
import { bumpGenerations, openOperations, openOperationsOf, replaceOperations } from '../store/operations.ts'
import { isShared, transact, type Database, type Tx } from '../store/database.ts'
import { lockedInstances, nodesOf } from '../store/instances.ts'
import { refusalOf, type Refusal } from '../core/refusal.ts'
import { statusOf } from '../core/status.ts'
import type { Answer, Caller, ControlPlane } from '../core/control-plane.ts'
import type { Engine } from '../core/engine.ts'
import type { EngineName, Instance } from '../core/instance.ts'
import type { Operation } from '../core/operation.ts'

type Submitted = Parameters<ControlPlane['submit']>[0]

export interface SubmitParts {
  readonly db: Database
  readonly engines: Readonly<Record<EngineName, Engine>>
  readonly newId: () => string
}

/** One answer an id, in the caller's order; the accepted ones are committed when this returns. */
export async function submit(parts: SubmitParts, wish: Submitted): Promise<Answer[]> {
  const now = Date.now()
  const answers = isShared(parts.db) && !wish.dryRun ? await submitAsSeen(parts, wish, now) : new Map<string, Answer>()
  const rest = wish.ids.filter((id) => !answers.has(id))
  if (rest.length > 0) for (const answer of await transact(parts.db, (tx) => submitLocked(parts, tx, { ...wish, ids: rest }, now))) answers.set(answer.id, answer)
  return Promise.all(wish.ids.map((id) => withWhatServersSay(parts.engines[wish.engine], wish, answers.get(id)!)))
}

/** Outside of every transaction: servers may take their time. */
async function withWhatServersSay(engine: Engine, { action }: Submitted, answer: Answer): Promise<Answer> {
  return 'plan' in answer && engine.asked ? { ...answer, plan: await engine.asked(answer.plan, action) } : answer
}

/**
 * Where others share the database: looks without holding anything, and accepts in one statement what is still as it was
 * seen. That costs two turns of the network in place of seven, and the audit's chain is held for no turn at all. Ids that
 * have no answer were changed meanwhile, or have an operation that this wish takes the place of.
 */
async function submitAsSeen(parts: SubmitParts, wish: Submitted, now: number): Promise<Map<string, Answer>> {
  const { caller, engine, action, ids, memo } = wish
  const seen = await look(parts.db, caller.projectId, engine, ids)
  const answers = new Map<string, Answer>()
  const wishes: { id: string; seen: Seen }[] = []
  for (const id of ids) {
    const one = seen.get(id)
    const refusal = one ? refusalFor(parts, wish, one, one.open) : { kind: 'unknown' as const }
    if (refusal) answers.set(id, { id, refusal })
    else if (one!.open === null) wishes.push({ id: parts.newId(), seen: one! })
  }
  const { bumps } = actions[action]
  const accepted = await acceptAsSeen(parts.db, { projectId: caller.projectId, engine, action, actor: caller.userName, at: now, bumps, memo: memo ?? {}, wishes })
  for (const { id, seen: { id: instanceId, generation } } of wishes) {
    if (accepted.has(instanceId)) answers.set(instanceId, { id: instanceId, operation: acceptedOperation({ id, instanceId, generation: generation + (bumps ? 1 : 0) }, caller, action, now) })
  }
  return answers
}

/** Holds the instances, looks, and writes. */
async function submitLocked(parts: SubmitParts, tx: Tx, wish: Submitted, now: number): Promise<Answer[]> {
  const { caller, engine, action, ids, memo, dryRun } = wish
  const found = new Map((await lockedInstances(tx, caller.projectId, engine, ids)).map((instance) => [instance.id, instance]))
  const open = await openOperationsOf(tx, [...found.keys()])
  const refusals = new Map<string, Answer>()
  const wanted: { id: string; instance: Instance; generation: number }[] = []
  for (const id of ids) {
    const instance = found.get(id)
    const refusal = instance ? refusalFor(parts, wish, instance, open.get(id) ?? null) : { kind: 'unknown' as const }
    if (refusal) refusals.set(id, { id, refusal })
    else wanted.push({ id: parts.newId(), instance: instance!, generation: instance!.generation + (actions[action].bumps ? 1 : 0) })
  }
  if (dryRun) {
    const nodes = await nodesOf(tx, wanted.map((w) => w.instance.id))
    const plans = new Map(wanted.map(({ instance }) => [instance.id, planFor(parts.engines[engine], instance, nodes.get(instance.id) ?? [], { action, joining: [], leaving: [] })]))
    return ids.map((id): Answer => refusals.get(id) ?? { id, plan: plans.get(id)! })
  }
  await replaceOperations(tx, wanted.flatMap((w) => open.has(w.instance.id) ? [w.instance.id] : []), now)
  const accepted = await openOperations(tx, wanted.map((w) => ({ id: w.id, instance: w.instance, action, generation: w.generation, actor: caller.userName, at: now, ...(memo ? { memo } : {}) })))
  const won = wanted.filter((w) => accepted.has(w.instance.id))
  if (actions[action].bumps) await bumpGenerations(tx, won.map((w) => w.instance.id), now)
  await appendAudit(tx, won.map((w) => ({ at: now, actor: caller.userName, projectId: caller.projectId, action: `${action}.accepted`, instanceId: w.instance.id, operationId: w.id, detail: '' })))
  const byInstance = new Map(won.map((w) => [w.instance.id, w]))
  // Where another caller's operation came between our look and our insert, it is looked at again.
  const rivals = await openOperationsOf(tx, wanted.filter((w) => !accepted.has(w.instance.id)).map((w) => w.instance.id))
  return ids.map((id): Answer => {
    const w = byInstance.get(id)
    if (w) return { id, operation: acceptedOperation({ id: w.id, instanceId: id, generation: w.generation }, caller, action, now) }
    return refusals.get(id) ?? { id, refusal: { kind: 'busy', status: statusOf(found.get(id)!, rivals.get(id) ?? null), action: rivals.get(id)?.action ?? null } }
  })
}

function refusalFor({ engines }: SubmitParts, { engine, action, memo }: Submitted, instance: Omit<Seen, 'open'>, open: Pick<Operation, 'action'> | null): Refusal | null {
  return refusalOf(action, instance, open, { flush: engines[engine].flushable?.(instance) ?? false, swap: engines[engine].swappable?.(instance, memo?.['to'] !== undefined) ?? false })
}

/** An operation as it was just accepted. */
export function acceptedOperation({ id, instanceId, generation }: { id: string; instanceId: string; generation: number }, caller: Caller, action: Operation['action'], now: number): Operation {
  return {
    id, instanceId, projectId: caller.projectId, action, generation, actor: caller.userName,
    createdAt: now, startedAt: null, nextAt: now, finishedAt: null, outcome: null, cause: null, memo: {}, cancelAt: null, holder: null,
  }
}
