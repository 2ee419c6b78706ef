/** Instances of several nodes: addresses that move, what was granted, and rolling changes that were cancelled. Only adds. */
import type { Kysely } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('instances').addColumn('endpoints', 'text', (c) => c.notNull().defaultTo('{}')).execute()
  await db.schema.alterTable('instances').addColumn('grants', 'text', (c) => c.notNull().defaultTo('{}')).execute()
  // Null: the newest generation.
  await db.schema.alterTable('instances').addColumn('floor', 'integer').execute()
  await db.schema.alterTable('operations').addColumn('cancel_at', 'bigint').execute()
}
