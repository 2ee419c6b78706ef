/** Small facts of a home or a database, by name. */
import type { Database, Tx } from './database.ts'

export async function readSetting<T>(db: Database | Tx, name: string, absent: T): Promise<T> {
  const row = await db.selectFrom('settings').select('value').where('name', '=', name).executeTakeFirst()
  return row ? JSON.parse(row.value) as T : absent
}

export async function writeSetting(db: Database | Tx, name: string, value: unknown): Promise<void> {
  const text = JSON.stringify(value)
  await db.insertInto('settings').values({ name, value: text }).onConflict((conflict) => conflict.column('name').doUpdateSet({ value: text })).execute()
}

/** Writes it unless somebody has; answers what stands there now. */
export async function offerSetting<T>(db: Database, name: string, value: T): Promise<T> {
  await db.insertInto('settings').values({ name, value: JSON.stringify(value) }).onConflict((conflict) => conflict.column('name').doNothing()).execute()
  return readSetting(db, name, value)
}

/** Those whose names begin so. */
export async function settingsLike<T>(db: Database | Tx, prefix: string): Promise<(readonly [name: string, value: T])[]> {
  const rows = await db.selectFrom('settings').selectAll().where('name', 'like', `${prefix}%`).execute()
  return rows.map((row) => [row.name, JSON.parse(row.value) as T] as const)
}

export async function dropSetting(db: Database | Tx, name: string): Promise<void> { await db.deleteFrom('settings').where('name', '=', name).execute() }
