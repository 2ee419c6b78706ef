/** Operations: accepted, leased, remembered, settled. Every write of a worker is fenced by its lease. */
import { deleteInstances, deleteNodes, lockInstances } from './instances.ts'
import { releaseLeft } from './places.ts'
import { takeBack } from './taken-back.ts'
import { deleteCopies, endCopies } from './backups.ts'
import { deleteSurveys } from './surveys.ts'
import { appendAudit } from './audit.ts'
import { asked, insertMany, skipLocked, transact, type Database, type Tx } from './database.ts'
import { clusterHost } from '../core/instance.ts'
import type { OperationRow } from './tables.ts'
import type { Action, Memo, Operation, Outcome } from '../core/operation.ts'
import type { EngineName, Grants, Instance } from '../core/instance.ts'
import type { Provision } from '../core/runtime.ts'

export interface NewOperation {
  readonly id: string; readonly instance: Pick<Instance, 'id' | 'projectId' | 'engine'>; readonly action: Action
  readonly generation: number; readonly actor: string; readonly at: number; readonly nextAt?: number; readonly cause?: string; readonly memo?: Memo
}

/**
 * Opens operations; returns the ids of the instances that got theirs. One that has an unfinished operation already is
 * left out: the database decides, not what was read before. Rows go in sorted by instance so that callers with the
 * same batch in other orders cannot deadlock.
 */
export async function openOperations(tx: Tx, operations: readonly NewOperation[]): Promise<Set<string>> {
  if (operations.length === 0) return new Set()
  const sorted = operations.toSorted((a, b) => (a.instance.id < b.instance.id ? -1 : 1))
  const inserted = await insertMany(tx, 'operations', sorted.map((o) => ({
    id: o.id, instance_id: o.instance.id, project_id: o.instance.projectId, engine: o.instance.engine, action: o.action, generation: o.generation,
    actor: o.actor, created_at: o.at, next_at: o.nextAt ?? o.at, cause: o.cause ?? null, memo: JSON.stringify(o.memo ?? {}),
  }))).onConflict((conflict) => conflict.column('instance_id').where('finished_at', 'is', null).doNothing()).returning('instance_id').execute()
  return new Set(inserted.map((row) => row.instance_id))
}

/** Ends recoveries and backups that a person's wish takes the place of. Their leases stay until their workers have let go of the nodes. */
export async function replaceOperations(tx: Tx, instanceIds: readonly string[], now: number): Promise<void> {
  if (instanceIds.length === 0) return
  const ended = await tx.updateTable('operations').set({ finished_at: now, outcome: 'replaced' })
    .where('instance_id', 'in', instanceIds).where('action', 'in', ['recover', 'backup']).where('finished_at', 'is', null).returning('id').execute()
  await endCopies(tx, ended.map(({ id }) => ({ operationId: id, outcome: 'replaced', cause: 'a restart took its place' })), now)
}

export async function openOperationsOf(db: Database | Tx, instanceIds: readonly string[]): Promise<Map<string, Operation>> {
  if (instanceIds.length === 0) return new Map()
  const rows = await db.selectFrom('operations').selectAll().where('instance_id', 'in', instanceIds).where('finished_at', 'is', null).execute()
  return new Map(rows.map((row) => [row.instance_id, operationOf(row)]))
}

/** Of one instance, or of all of a project. */
export async function operationsOf(db: Database, whose: string | { readonly projectId: string; readonly engine: EngineName }, page: { offset: number; limit: number; from?: number; to?: number; id?: string; action?: Action }): Promise<{ total: number; operations: Operation[] }> {
  let query = typeof whose === 'string' ? db.selectFrom('operations').where('instance_id', '=', whose) : db.selectFrom('operations').where('project_id', '=', whose.projectId).where('engine', '=', whose.engine)
  if (page.from !== undefined) query = query.where('created_at', '>=', page.from)
  if (page.to !== undefined) query = query.where('created_at', '<=', page.to)
  if (page.id !== undefined) query = query.where('id', '=', page.id)
  if (page.action !== undefined) query = query.where('action', '=', page.action)
  const { total } = await query.select((q) => q.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
  const rows = await query.selectAll().orderBy('created_at', 'desc').orderBy('id').offset(page.offset).limit(page.limit).execute()
  return { total: Number(total), operations: rows.map(operationOf) }
}

/** Of one project; null when there is none such. */
export async function operationById(db: Database | Tx, projectId: string, id: string): Promise<Operation | null> {
  const row = await db.selectFrom('operations').selectAll().where('id', '=', id).where('project_id', '=', projectId).executeTakeFirst()
  return row ? operationOf(row) : null
}

export async function projectOperations(db: Database | Tx, projectId: string, filter: { readonly instanceId?: string; readonly id?: string; readonly engine?: EngineName; readonly openOnly: boolean; readonly limit: number }): Promise<Operation[]> {
  let query = db.selectFrom('operations').selectAll().where('project_id', '=', projectId)
  if (filter.instanceId !== undefined) query = query.where('instance_id', '=', filter.instanceId)
  if (filter.id !== undefined) query = query.where('id', '=', filter.id)
  if (filter.engine !== undefined) query = query.where('engine', '=', filter.engine)
  if (filter.openOnly) query = query.where('finished_at', 'is', null)
  return (await query.orderBy('created_at', 'desc').orderBy('id').limit(filter.limit).execute()).map(operationOf)
}

/** Drops the record of an ended operation; false when it has not ended, or is not there. */
export async function forgetOperation(tx: Tx, instanceId: string, id: string): Promise<boolean> {
  const done = await tx.deleteFrom('operations').where('id', '=', id).where('instance_id', '=', instanceId).where('finished_at', 'is not', null).executeTakeFirst()
  return Number(done.numDeletedRows) === 1
}

/** Drops records of operations that ended before `before`, some at a time; answers how many. */
export async function dropOperations(db: Database, before: number, most: number): Promise<number> {
  // One that still has a holder ended without it, and says that it has not let go of the nodes yet.
  const old = db.selectFrom('operations').select('id').where('finished_at', '<', before).where('lease_owner', 'is', null).limit(most)
  const done = await db.deleteFrom('operations').where('id', 'in', old).executeTakeFirst()
  return Number(done.numDeletedRows)
}

/** What is open, of all projects; `oldestDue`: since when the oldest one that is due waits for a worker, epoch ms. */
export async function queue(db: Database, now: number): Promise<{ engine: EngineName; action: Action; count: number; oldestDue: number | null }[]> {
  const rows = await db.selectFrom('operations').select((q) => [
    'engine', 'action', q.fn.countAll<number>().as('count'),
    q.fn.min(q.case().when(q.and([q('started_at', 'is', null), q('next_at', '<=', now)])).then(q.ref('next_at')).end()).as('oldest'),
  ]).where('finished_at', 'is', null).groupBy(['engine', 'action']).execute()
  return rows.map((row) => ({ engine: row.engine, action: row.action, count: Number(row.count), oldestDue: row.oldest === null ? null : Number(row.oldest) }))
}

export interface Claim {
  readonly owner: string
  /** Whose instances' operations it may take. */
  readonly host: string
  readonly now: number
  readonly leaseMs: number
  readonly limit: number
}

const dueOperations = (db: Database | Tx, { owner, host, now, limit }: Omit<Claim, 'leaseMs'>) => db.selectFrom('operations as o').innerJoin('instances as i', 'i.id', 'o.instance_id').select('o.id')
  .where('i.host', 'in', [host, clusterHost]).where('o.finished_at', 'is', null).where('o.next_at', '<=', now)
  .where((q) => q.or([q('o.lease_until', 'is', null), q('o.lease_until', '<', now)]))
  .where((q) => q.not(q.exists(q.selectFrom('operations as p').select('p.id').whereRef('p.instance_id', '=', 'o.instance_id')
    .where('p.finished_at', 'is not', null).where('p.lease_owner', 'is not', null).where('p.lease_owner', '!=', owner).where('p.lease_until', '>=', now))))
  .orderBy('o.created_at').limit(limit)
const anyDue = asked(dueOperations)

/** Takes up to `limit` due operations that nobody else holds, of instances whose nodes nobody else is still busy with. */
export async function claim(db: Database, { owner, host, now, leaseMs, limit }: Claim): Promise<Operation[]> {
  // Looked at first: an idle control plane must not write.
  if ((await anyDue(db, { owner, host, now, limit })).length === 0) return []
  const due = dueOperations(db, { owner, host, now, limit })
  return transact(db, async (tx) => {
    const rows = await tx.updateTable('operations').set((q) => ({ lease_owner: owner, lease_until: now + leaseMs, started_at: q.fn.coalesce('started_at', q.val(now)) }))
      .where('id', 'in', skipLocked(tx, due, 'o')).where('finished_at', 'is', null).where((q) => q.or([q('lease_until', 'is', null), q('lease_until', '<', now)]))
      .returningAll().execute()
    return rows.map(operationOf)
  })
}

/** Prolongs this owner's leases on these operations. */
export async function renew(db: Database, owner: string, ids: readonly string[], until: number): Promise<void> {
  await transact(db, (tx) => tx.updateTable('operations').set({ lease_until: until }).where('id', 'in', ids).where('lease_owner', '=', owner).where('finished_at', 'is', null).execute())
}

/** Which of these operations this owner still holds, and whether a person asked for their end. */
export async function heldOf(db: Database, owner: string, ids: readonly string[]): Promise<Map<string, { readonly cancelled: boolean }>> {
  const rows = await db.selectFrom('operations').select(['id', 'cancel_at']).where('id', 'in', ids).where('lease_owner', '=', owner).where('finished_at', 'is', null).execute()
  return new Map(rows.map((row) => [row.id, { cancelled: row.cancel_at !== null }]))
}

/** Gives up the lease on an operation that ended without its worker, which has let go of the nodes now. */
export async function letGo(db: Database, owner: string, id: string): Promise<void> {
  await db.updateTable('operations').set({ lease_owner: null, lease_until: null }).where('id', '=', id).where('lease_owner', '=', owner).where('finished_at', 'is not', null).execute()
}

/** Asks for the end of an unfinished operation; false when it has ended. */
export async function requestCancel(tx: Tx, id: string, now: number): Promise<boolean> {
  const done = await tx.updateTable('operations').set((q) => ({ cancel_at: q.fn.coalesce('cancel_at', q.val(now)) })).where('id', '=', id).where('finished_at', 'is', null).executeTakeFirst()
  return Number(done.numUpdatedRows) === 1
}

/** Records what an engine grants, unless the operation that it grants it for is no longer this owner's. */
export async function grant(db: Database, owner: string, operation: Pick<Operation, 'id' | 'instanceId'>, grants: Grants): Promise<void> {
  await transact(db, async (tx) => {
    await lockInstances(tx, [operation.instanceId])
    const held = tx.selectFrom('operations').select('instance_id').where('id', '=', operation.id).where('lease_owner', '=', owner).where('finished_at', 'is', null)
    const done = await tx.updateTable('instances').set({ grants: JSON.stringify(grants) }).where('id', 'in', held).executeTakeFirst()
    if (Number(done.numUpdatedRows) !== 1) throw new Error(`operation ${operation.id} is no longer ours`)
  })
}

/** Gives up every lease of an owner that works on nothing any more. */
export async function giveUp(db: Database, owner: string): Promise<void> {
  await transact(db, (tx) => tx.updateTable('operations').set({ lease_owner: null, lease_until: null }).where('lease_owner', '=', owner).execute())
}

/** Records the addresses that a runtime has found, fenced like a grant. */
export async function place(db: Database, owner: string, operation: Pick<Operation, 'id' | 'instanceId'>, { nodes, endpoints }: Provision): Promise<void> {
  await transact(db, async (tx) => {
    await lockInstances(tx, [operation.instanceId])
    const held = tx.selectFrom('operations').select('instance_id').where('id', '=', operation.id).where('lease_owner', '=', owner).where('finished_at', 'is', null)
    const done = await tx.updateTable('instances').set({ endpoints: JSON.stringify(endpoints) }).where('id', 'in', held).executeTakeFirst()
    if (Number(done.numUpdatedRows) !== 1) throw new Error(`operation ${operation.id} is no longer ours`)
    for (const { id, address, ports, listen } of nodes) await tx.updateTable('nodes').set({ address, ports: JSON.stringify(ports), listen: listen ? JSON.stringify(listen) : null }).where('id', '=', id).execute()
  })
}

/** Gives up leases of control planes that cannot live any more; for a database that only one server opens. */
export async function releaseAll(db: Database): Promise<void> {
  await db.updateTable('operations').set({ lease_owner: null, lease_until: null }).where('lease_owner', 'is not', null).execute()
}

export async function remember(db: Database, owner: string, id: string, memo: Memo): Promise<void> {
  await transact(db, async (tx) => {
    const done = await tx.updateTable('operations').set({ memo: JSON.stringify(memo) }).where('id', '=', id).where('lease_owner', '=', owner).where('finished_at', 'is', null).executeTakeFirst()
    if (Number(done.numUpdatedRows) !== 1) throw new Error(`operation ${id} is no longer ours`)
  })
}

export interface Settlement { readonly operation: Operation; readonly outcome: Exclude<Outcome, 'replaced'>; readonly cause: string | null; /** Failed, and the instance is well all the same; or cancelled, and it is not. */ readonly well?: boolean; /** The oldest generation that nodes were left at, when it was cancelled. */ readonly floor?: number; /** Nodes that it removed. */ readonly gone?: readonly string[] }

/** Ends operations and writes what follows for their instances, in one transaction; skips what is no longer ours, and returns the ids of the rest. */
export async function settle(db: Database, owner: string, settlements: readonly Settlement[], now: number): Promise<ReadonlySet<string>> {
  return transact(db, async (tx) => {
    await lockInstances(tx, settlements.map((settlement) => settlement.operation.instanceId))
    const ours = new Set<string>()
    // What ended alike is written at once: mostly all of it.
    for (const group of Map.groupBy(settlements, (settlement) => JSON.stringify([settlement.outcome, settlement.cause])).values()) {
      const rows = await tx.updateTable('operations')
        .set({ finished_at: now, outcome: group[0]!.outcome, cause: group[0]!.cause, lease_owner: null, lease_until: null })
        .where('id', 'in', group.map((settlement) => settlement.operation.id)).where('lease_owner', '=', owner).where('finished_at', 'is', null).returning('id').execute()
      for (const row of rows) ours.add(row.id)
    }
    const ended = settlements.filter((settlement) => ours.has(settlement.operation.id))
    const healthy = ended.filter((s) => (s.well ?? s.outcome !== 'failed') && s.operation.action !== 'delete').map((s) => s.operation)
    if (healthy.length > 0) await tx.updateTable('instances').set({ health: 'healthy', cause: null, updated_at: now }).where('id', 'in', healthy.map((o) => o.instanceId)).execute()
    const created = healthy.filter((o) => o.action === 'create').map((o) => o.instanceId)
    if (created.length > 0) await tx.updateTable('instances').set({ ready_at: now }).where('id', 'in', created).execute()
    for (const { operation, cause } of ended.filter((s) => !(s.well ?? s.outcome !== 'failed'))) {
      await tx.updateTable('instances').set({ health: 'unhealthy', cause, updated_at: now }).where('id', '=', operation.instanceId).execute()
    }
    for (const { operation, outcome, well } of ended) if (well || outcome === 'failed') await takeBack(tx, operation, well ?? false)
    // Only where nothing listens there any more.
    for (const { operation, outcome, well } of ended) if ((operation.action === 'port' || operation.action === 'recover') && (outcome === 'done' || well)) await releaseLeft(tx, operation.instanceId)
    for (const { operation, floor } of ended) if (floor !== undefined) await tx.updateTable('instances').set({ floor }).where('id', '=', operation.instanceId).execute()
    const copies = ended.filter((s) => s.operation.action === 'backup' || s.operation.action === 'restore')
    await endCopies(tx, copies.map(({ operation, outcome, cause }) => ({ operationId: operation.id, outcome, cause })), now)
    await deleteNodes(tx, ended.filter((s) => s.outcome === 'done').flatMap((s) => s.gone ?? []))
    const deleted = ended.filter((s) => s.outcome === 'done' && s.operation.action === 'delete').map((s) => s.operation.instanceId)
    if (deleted.length > 0) { await deleteInstances(tx, deleted); await deleteCopies(tx, deleted); await deleteSurveys(tx, deleted) }
    await appendAudit(tx, ended.map(({ operation, outcome, cause }) => ({
      at: now, actor: 'sluice', projectId: operation.projectId, action: `${operation.action}.${outcome}`, instanceId: operation.instanceId, operationId: operation.id, detail: cause ?? '',
    })))
    return ours
  })
}

/** Raises the generation of instances and returns nothing that could be stale: each goes up by one. */
export async function bumpGenerations(tx: Tx, instanceIds: readonly string[], now: number): Promise<void> {
  if (instanceIds.length === 0) return
  await tx.updateTable('instances').set((q) => ({ generation: q('generation', '+', 1), floor: null, updated_at: now })).where('id', 'in', instanceIds).execute()
}

export function operationOf(row: OperationRow): Operation {
  return {
    id: row.id, instanceId: row.instance_id, projectId: row.project_id, action: row.action, generation: row.generation, actor: row.actor,
    createdAt: row.created_at, startedAt: row.started_at, holder: row.lease_owner === null ? null : { owner: row.lease_owner, until: row.lease_until! }, nextAt: row.next_at, finishedAt: row.finished_at, outcome: row.outcome, cause: row.cause, memo: JSON.parse(row.memo), cancelAt: row.cancel_at,
  }
}

