/** Networks, which are records and nothing else. */
import type { Database, Tx } from './database.ts'
import type { NetworkRecordRow } from './tables.ts'

export async function listRecords(db: Database | Tx, projectId: string, kind: string): Promise<NetworkRecordRow[]> {
  return db.selectFrom('network_records').selectAll().where('project_id', '=', projectId).where('kind', '=', kind).orderBy('created_at').orderBy('id').execute()
}

export async function recordById(db: Database | Tx, projectId: string, kind: string, id: string): Promise<NetworkRecordRow | null> {
  return await db.selectFrom('network_records').selectAll().where('id', '=', id).where('project_id', '=', projectId).where('kind', '=', kind).executeTakeFirst() ?? null
}

export async function recordsOf(tx: Tx, parent: string, kind: string): Promise<NetworkRecordRow[]> {
  return tx.selectFrom('network_records').selectAll().where('parent', '=', parent).where('kind', '=', kind).execute()
}

/** Of all projects. */
export async function recordsOfKind(tx: Tx, kind: string): Promise<NetworkRecordRow[]> {
  return tx.selectFrom('network_records').selectAll().where('kind', '=', kind).execute()
}

/** Those whose id is there already are left out; answers how many were not. */
export async function insertRecords(tx: Tx, rows: readonly NetworkRecordRow[]): Promise<number> {
  const done = await tx.insertInto('network_records').values(rows).onConflict((conflict) => conflict.column('id').doNothing()).executeTakeFirst()
  return Number(done.numInsertedOrUpdatedRows ?? 0)
}

export async function updateRecord(tx: Tx, id: string, change: Partial<Pick<NetworkRecordRow, 'name' | 'fields' | 'tags'>>): Promise<void> {
  await tx.updateTable('network_records').set(change).where('id', '=', id).execute()
}

/** With those that have it as their parent. */
export async function deleteRecord(tx: Tx, id: string): Promise<void> {
  await tx.deleteFrom('network_records').where((q) => q.or([q('id', '=', id), q('parent', '=', id)])).execute()
}
