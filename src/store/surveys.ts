/** Surveys: accepted, leased, ended. Every write of a surveyor is fenced by its lease. */
import { asked, skipLocked, transact, type Database, type Tx } from './database.ts'
import { clusterHost } from '../core/instance.ts'
import type { SurveyRow } from './tables.ts'
import type { Survey, SurveyKind, SurveyResult } from '../core/desk.ts'
import type { SurveyPage } from '../core/surveys.ts'

/** As many of each kind as are kept of an instance; the next one takes the place of the oldest. */
const kept = 50

/** False when one of its kind is open, or that due time was taken. */
export async function insertSurvey(tx: Tx, survey: Survey, projectId: string, due: number | null): Promise<boolean> {
  const { id, instanceId, kind, how, scan, status, createdAt } = survey
  const done = await tx.insertInto('surveys').values({ id, instance_id: instanceId, project_id: projectId, kind, how: JSON.stringify(how), scan, due_at: due, status, attempts: 0, progress: 0, created_at: createdAt })
    .onConflict((conflict) => conflict.doNothing()).executeTakeFirst()
  if (Number(done.numInsertedOrUpdatedRows) !== 1) return false
  const old = await tx.selectFrom('surveys').select('id').where('instance_id', '=', instanceId).where('kind', '=', kind).orderBy('created_at', 'desc').orderBy('id').offset(kept).limit(kept).execute()
  if (old.length > 0) await tx.deleteFrom('surveys').where('id', 'in', old.map((row) => row.id)).execute()
  return true
}

/** Newest first, without what they found. */
export async function surveysOf(db: Database, instanceId: string, kind: SurveyKind, { offset, limit, status }: SurveyPage): Promise<{ total: number; surveys: Survey[] }> {
  let query = db.selectFrom('surveys').where('instance_id', '=', instanceId).where('kind', '=', kind)
  if (status !== undefined) query = query.where('status', '=', status)
  const { total } = await query.select((q) => q.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
  const rows = await query.selectAll().orderBy('created_at', 'desc').orderBy('id').offset(offset).limit(limit).execute()
  return { total: Number(total), surveys: rows.map(surveyOf) }
}

export async function surveyById(db: Database | Tx, projectId: string, kind: SurveyKind, id: string): Promise<Survey | null> {
  const row = await db.selectFrom('surveys').selectAll().where('id', '=', id).where('project_id', '=', projectId).where('kind', '=', kind).executeTakeFirst()
  return row ? surveyOf(row) : null
}

export async function deleteSurvey(tx: Tx, id: string): Promise<void> { await tx.deleteFrom('surveys').where('id', '=', id).execute() }

/** Whether one was made, or begun, for a due time. */
export async function isSurveyed(db: Database, instanceId: string, kind: SurveyKind, due: number): Promise<boolean> {
  return await db.selectFrom('surveys').select('id').where('instance_id', '=', instanceId).where('kind', '=', kind).where('due_at', '=', due).executeTakeFirst() !== undefined
}

export interface SurveyClaim { readonly owner: string; readonly host: string; readonly now: number; readonly leaseMs: number; readonly limit: number }

const dueSurveys = (db: Database | Tx, { host, now, limit }: Pick<SurveyClaim, 'host' | 'now' | 'limit'>) => db.selectFrom('surveys as s').innerJoin('instances as i', 'i.id', 's.instance_id').select('s.id')
  .where('i.host', 'in', [host, clusterHost]).where('s.finished_at', 'is', null)
  .where((q) => q.or([q('s.lease_until', 'is', null), q('s.lease_until', '<', now)])).orderBy('s.created_at').limit(limit)
const anyDue = asked(dueSurveys)

/** Takes what nobody works on, of instances whose servers can be asked from here. */
export async function claimSurveys(db: Database, { owner, host, now, leaseMs, limit }: SurveyClaim): Promise<(Survey & { readonly attempts: number })[]> {
  if ((await anyDue(db, { host, now, limit })).length === 0) return []
  const due = dueSurveys(db, { host, now, limit })
  return transact(db, async (tx) => {
    const rows = await tx.updateTable('surveys').set((q) => ({ lease_owner: owner, lease_until: now + leaseMs, status: 'running', attempts: q('attempts', '+', 1), started_at: q.fn.coalesce('started_at', q.val(now)) }))
      .where('id', 'in', skipLocked(tx, due, 's')).where('finished_at', 'is', null).where((q) => q.or([q('lease_until', 'is', null), q('lease_until', '<', now)])).returningAll().execute()
    return rows.map((row) => ({ ...surveyOf(row), attempts: row.attempts }))
  })
}

/** Prolongs a lease and says how far it is, 0 to 1; false when it is not this owner's any more, or was dropped. */
export async function renewSurvey(db: Database, owner: string, id: string, progress: number, until: number): Promise<boolean> {
  const done = await db.updateTable('surveys').set({ lease_until: until, progress: Math.floor(progress * 100) }).where('id', '=', id).where('lease_owner', '=', owner).where('finished_at', 'is', null).executeTakeFirst()
  return Number(done.numUpdatedRows) === 1
}

/** Ends it, if it is this owner's still. */
export async function endSurvey(db: Database, owner: string, id: string, outcome: { readonly result: SurveyResult } | { readonly cause: string }, now: number): Promise<void> {
  await transact(db, (tx) => tx.updateTable('surveys').set({
    finished_at: now, lease_owner: null, lease_until: null,
    ...'result' in outcome ? { status: 'success', progress: 100, result: JSON.stringify(outcome.result) } : { status: 'failed', cause: outcome.cause },
  }).where('id', '=', id).where('lease_owner', '=', owner).where('finished_at', 'is', null).execute())
}

/** Gives up the leases of an owner that works on nothing any more; of all, in a database that only one server opens. */
export async function leaveSurveys(db: Database, owner: string | null): Promise<void> {
  let query = db.updateTable('surveys').set({ lease_owner: null, lease_until: null }).where('lease_owner', 'is not', null)
  if (owner !== null) query = query.where('lease_owner', '=', owner)
  await query.execute()
}

/** Of instances that are gone. */
export async function deleteSurveys(tx: Tx, instanceIds: readonly string[]): Promise<void> { await tx.deleteFrom('surveys').where('instance_id', 'in', instanceIds).execute() }

function surveyOf(row: SurveyRow): Survey {
  return {
    id: row.id, instanceId: row.instance_id, kind: row.kind, how: JSON.parse(row.how) as Survey['how'], scan: row.scan, status: row.status, progress: row.progress, cause: row.cause,
    result: row.result === null ? null : JSON.parse(row.result) as SurveyResult, createdAt: row.created_at, startedAt: row.started_at, finishedAt: row.finished_at,
  }
}
