/** Small facts of a home or a database, by name. */
import type { Database } from './database.ts'

export async function readSetting<T>(db: Database, name: string, absent: T): Promise<T> {
  const row = await db.selectFrom('settings').select('value').where('name', '=', name).executeTakeFirst()
  return row ? JSON.parse(row.value) as T : absent
}

export async function writeSetting(db: Database, name: string, value: unknown): Promise<void> {
  const text = JSON.stringify(value)
  await db.insertInto('settings').values({ name, value: text }).onConflict((conflict) => conflict.column('name').doUpdateSet({ value: text })).execute()
}
