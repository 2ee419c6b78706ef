/** Templates of parameters. Only adds. */
import type { Kysely } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createTable('templates')
    .addColumn('id', 'text', (c) => c.primaryKey()).addColumn('project_id', 'text', (c) => c.notNull()).addColumn('engine', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull()).addColumn('description', 'text', (c) => c.notNull())
    .addColumn('version', 'text', (c) => c.notNull()).addColumn('topology', 'text', (c) => c.notNull())
    .addColumn('parameters', 'text', (c) => c.notNull()).addColumn('created_at', 'bigint', (c) => c.notNull())
    .addUniqueConstraint('templates_by_name', ['project_id', 'name']).execute()
}
