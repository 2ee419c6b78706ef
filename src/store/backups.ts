/** Records of backups and restores. How they ended is written by the settlement of their operations. */
import { transact, type Database, type Tx } from './database.ts'
import { lockInstances } from './instances.ts'
import type { BackupRow, RestoreRow } from './tables.ts'
import type { Backup, BackupFile, Page, Restore } from '../core/backups.ts'
import type { Operation, Outcome } from '../core/operation.ts'

/** As many as the clouds keep; the next one takes the place of the oldest. */
export const backupsKept = 24

/** `due`: of a schedule; false when that time was taken already, then nothing is written. */
export async function insertBackup(tx: Tx, backup: Backup, projectId: string, due: number | null): Promise<boolean> {
  const { id, instanceId, name, kind, format, remark, operationId, host, createdAt } = backup
  await dropOld(tx, 'backups', instanceId)
  const row = { id, instance_id: instanceId, project_id: projectId, name, kind, format, remark, operation_id: operationId, host, created_at: createdAt, due_at: due, attempts: 1 }
  if (due === null) { await tx.insertInto('backups').values(row).execute(); return true }
  const done = await tx.insertInto('backups').values(row).onConflict((conflict) => conflict.columns(['instance_id', 'due_at']).where('due_at', 'is not', null).doNothing()).executeTakeFirst()
  return Number(done.numInsertedOrUpdatedRows) === 1
}

/** Of what came to nothing, and of restores, as many records as of backups are kept. */
async function dropOld(tx: Tx, table: 'backups' | 'restores', instanceId: string): Promise<void> {
  const over = await tx.selectFrom(table).select('id').where('instance_id', '=', instanceId).where('outcome', 'is not', null).$if(table === 'backups', (query) => query.where('outcome', '!=', 'done'))
    .orderBy('created_at', 'desc').orderBy('id').offset(backupsKept).limit(backupsKept).execute()
  if (over.length > 0) await tx.deleteFrom(table).where('id', 'in', over.map(({ id }) => id)).execute()
}

/** Another try of a scheduled one that failed, under the same record. */
export async function retryBackup(tx: Tx, id: string, operationId: string, attempts: number): Promise<void> {
  await tx.updateTable('backups').set({ operation_id: operationId, outcome: null, cause: null, finished_at: null, attempts }).where('id', '=', id).execute()
}

/** The record of a scheduled one, and how often it was tried. */
export async function scheduledBackup(db: Database | Tx, instanceId: string, due: number): Promise<{ readonly backup: Backup; readonly attempts: number } | null> {
  const row = await db.selectFrom('backups').selectAll().where('instance_id', '=', instanceId).where('due_at', '=', due).executeTakeFirst()
  return row ? { backup: backupOf(row), attempts: row.attempts } : null
}

/** Newest first. */
export async function backupsOf(db: Database | Tx, instanceId: string, { offset, limit, from, to }: Page): Promise<{ total: number; backups: Backup[] }> {
  let query = db.selectFrom('backups').where('instance_id', '=', instanceId)
  if (from !== undefined) query = query.where('created_at', '>=', from)
  if (to !== undefined) query = query.where('created_at', '<=', to)
  const { total } = await query.select((q) => q.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
  const rows = await query.selectAll().orderBy('created_at', 'desc').orderBy('id').offset(offset).limit(limit).execute()
  return { total: Number(total), backups: rows.map(backupOf) }
}

export async function backupById(db: Database | Tx, instanceId: string, id: string): Promise<Backup | null> {
  const row = await db.selectFrom('backups').selectAll().where('id', '=', id).where('instance_id', '=', instanceId).executeTakeFirst()
  return row ? backupOf(row) : null
}

/** The ids of those that have files, or will have; for whoever looks for files that nobody needs. */
export async function wantedBackups(db: Database): Promise<Set<string>> {
  return new Set((await db.selectFrom('backups').select('id').where((q) => q.or([q('outcome', 'is', null), q('outcome', '=', 'done')])).execute()).map(({ id }) => id))
}

export async function deleteBackup(tx: Tx, id: string): Promise<void> { await tx.deleteFrom('backups').where('id', '=', id).execute() }

/**
 * Records the files of a backup, fenced by the lease of its operation; answers the ids of the oldest ones, whose records
 * went with the same commit to make room.
 */
export async function recordFiles(db: Database, owner: string, operation: Pick<Operation, 'id' | 'instanceId'>, files: readonly BackupFile[]): Promise<string[]> {
  return transact(db, async (tx) => {
    await lockInstances(tx, [operation.instanceId])
    const held = tx.selectFrom('operations').select('id').where('id', '=', operation.id).where('lease_owner', '=', owner).where('finished_at', 'is', null)
    const done = await tx.updateTable('backups').set({ files: JSON.stringify(files) }).where('operation_id', 'in', held).executeTakeFirst()
    if (Number(done.numUpdatedRows) !== 1) throw new Error(`operation ${operation.id} is no longer ours`)
    const rows = await tx.selectFrom('backups').select('id').where('instance_id', '=', operation.instanceId).where('files', 'is not', null).orderBy('created_at', 'desc').orderBy('id').execute()
    const over = rows.slice(backupsKept).map(({ id }) => id)
    if (over.length > 0) await tx.deleteFrom('backups').where('id', 'in', over).execute()
    return over
  })
}

/** Drops the records of scheduled backups from before this instant, epoch ms, but never of the newest one; answers their ids. */
export async function outdatedBackups(tx: Tx, instanceId: string, before: number): Promise<string[]> {
  const rows = await tx.selectFrom('backups').select(['id', 'created_at']).where('instance_id', '=', instanceId).where('kind', '=', 'auto').where('outcome', '=', 'done').orderBy('created_at', 'desc').orderBy('id').execute()
  // However old, one stays.
  const over = rows.slice(1).filter((row) => row.created_at < before).map(({ id }) => id)
  if (over.length > 0) await tx.deleteFrom('backups').where('id', 'in', over).execute()
  return over
}

export async function insertRestore(tx: Tx, restore: Restore, projectId: string): Promise<void> {
  const { id, instanceId, name, remark, backupId, backupName, backupRemark, operationId, createdAt } = restore
  await dropOld(tx, 'restores', instanceId)
  await tx.insertInto('restores').values({ id, instance_id: instanceId, project_id: projectId, name, remark, backup_id: backupId, backup_name: backupName, backup_remark: backupRemark, operation_id: operationId, created_at: createdAt }).execute()
}

/** Newest first. */
export async function restoresOf(db: Database, instanceId: string, { offset, limit, from, to }: Page): Promise<{ total: number; restores: Restore[] }> {
  let query = db.selectFrom('restores').where('instance_id', '=', instanceId)
  if (from !== undefined) query = query.where('created_at', '>=', from)
  if (to !== undefined) query = query.where('created_at', '<=', to)
  const { total } = await query.select((q) => q.fn.countAll<number>().as('total')).executeTakeFirstOrThrow()
  const rows = await query.selectAll().orderBy('created_at', 'desc').orderBy('id').offset(offset).limit(limit).execute()
  return { total: Number(total), restores: rows.map(restoreOf) }
}

/** Writes how backups and restores ended, in the transaction that ends their operations. */
export async function endCopies(tx: Tx, ended: readonly { readonly operationId: string; readonly outcome: Outcome; readonly cause: string | null }[], now: number): Promise<void> {
  for (const { operationId, outcome, cause } of ended) {
    for (const table of ['backups', 'restores'] as const) await tx.updateTable(table).set({ outcome, cause, finished_at: now }).where('operation_id', '=', operationId).where('outcome', 'is', null).execute()
  }
}

/** Of instances that are gone. */
export async function deleteCopies(tx: Tx, instanceIds: readonly string[]): Promise<void> {
  for (const table of ['backups', 'restores'] as const) await tx.deleteFrom(table).where('instance_id', 'in', instanceIds).execute()
}

function backupOf(row: BackupRow): Backup {
  return {
    id: row.id, instanceId: row.instance_id, name: row.name, kind: row.kind, format: row.format, remark: row.remark, operationId: row.operation_id, host: row.host,
    files: row.files === null ? null : JSON.parse(row.files) as BackupFile[], outcome: row.outcome, cause: row.cause, createdAt: row.created_at, finishedAt: row.finished_at,
  }
}

function restoreOf(row: RestoreRow): Restore {
  return {
    id: row.id, instanceId: row.instance_id, name: row.name, remark: row.remark, backupId: row.backup_id, backupName: row.backup_name, backupRemark: row.backup_remark,
    operationId: row.operation_id, outcome: row.outcome, cause: row.cause, createdAt: row.created_at, finishedAt: row.finished_at,
  }
}
