/** Nodes that listen elsewhere than where they are reached. Null: in the same place. Only adds. */
import type { Kysely } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('nodes').addColumn('listen', 'text').execute()
}
