/** How much of an engine a project may have. A project without a row may have any number. */
import { sql } from 'kysely'
import { isShared, locked, type Database, type Tx } from './database.ts'
import { writeSetting } from './settings.ts'
import type { Quota } from '../core/control-plane.ts'
import type { EngineName } from '../core/instance.ts'

const nameOf = (engine: EngineName, projectId: string): string => `quota ${engine} ${projectId}`

/** Null: no limit. In a transaction of a wish, `hold`: whoever else counts for this project waits for its end. */
export async function readQuota(db: Database | Tx, engine: EngineName, projectId: string, hold = false): Promise<Quota | null> {
  const query = db.selectFrom('settings').select('value').where('name', '=', nameOf(engine, projectId))
  const row = await (hold ? locked(db as Tx, query) : query).executeTakeFirst()
  return row ? JSON.parse(row.value) as Quota : null
}

export async function writeQuota(tx: Tx, engine: EngineName, projectId: string, quota: Quota): Promise<void> {
  await writeSetting(tx, nameOf(engine, projectId), quota)
}

/** What there is, failed creations too: they go when somebody deletes them. GB as ordered. */
export async function used(db: Database | Tx, engine: EngineName, projectId: string): Promise<{ instances: number; memoryGb: number }> {
  const capacity = isShared(db) ? sql<number>`sum((attributes::json->>'capacity')::float8)` : sql<number>`sum(json_extract(attributes, '$.capacity'))`
  const row = await db.selectFrom('instances').select((q) => [q.fn.countAll<number>().as('count'), capacity.as('capacity')]).where('project_id', '=', projectId).where('engine', '=', engine).executeTakeFirstOrThrow()
  return { instances: Number(row.count), memoryGb: Number(row.capacity ?? 0) }
}
