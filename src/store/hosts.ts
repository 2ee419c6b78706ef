/** What belongs to a host, and its end. */
import { deleteCopies, endCopies } from './backups.ts'
import { deleteInstances, lockInstances } from './instances.ts'
import { deleteSurveys } from './surveys.ts'
import { nameOf } from './blocks.ts'
import type { Database, Tx } from './database.ts'

/** How many instances each host has, of all projects. */
export async function instancesByHost(db: Database): Promise<Map<string, number>> {
  const rows = await db.selectFrom('instances').select((q) => ['host', q.fn.countAll<number>().as('count')]).groupBy('host').execute()
  return new Map(rows.map((row) => [row.host, Number(row.count)]))
}

/** Forgets every instance of a host with all that belongs to them; ends their operations with this cause. Answers what it forgot. */
export async function forgetHost(tx: Tx, host: string, cause: string, now: number): Promise<{ readonly id: string; readonly projectId: string }[]> {
  const found = await tx.selectFrom('instances').select('id').where('host', '=', host).execute()
  await lockInstances(tx, found.map(({ id }) => id))
  const rows = await tx.selectFrom('instances').select(['id', 'project_id']).where('host', '=', host).orderBy('id').execute()
  const ids = rows.map(({ id }) => id)
  // A database takes some thousands of ids in one statement.
  for (let at = 0; at < ids.length; at += 500) {
    const some = ids.slice(at, at + 500)
    const ended = await tx.updateTable('operations').set({ finished_at: now, outcome: 'failed', cause, lease_owner: null, lease_until: null }).where('instance_id', 'in', some).where('finished_at', 'is', null).returning('id').execute()
    await endCopies(tx, ended.map(({ id }) => ({ operationId: id, outcome: 'failed', cause })), now)
    await deleteInstances(tx, some)
    await deleteCopies(tx, some)
    await deleteSurveys(tx, some)
  }
  await tx.deleteFrom('control_planes').where('host', '=', host).execute()
  await tx.deleteFrom('settings').where('name', '=', nameOf(host)).execute()
  return rows.map((row) => ({ id: row.id, projectId: row.project_id }))
}
