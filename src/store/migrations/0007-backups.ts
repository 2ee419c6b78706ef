/** Copies of data, what was loaded from them, and what was found by looking through an instance. Only adds. */
import { sql, type Kysely } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createTable('backups')
    .addColumn('id', 'text', (c) => c.primaryKey()).addColumn('instance_id', 'text', (c) => c.notNull()).addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull()).addColumn('kind', 'text', (c) => c.notNull()).addColumn('format', 'text', (c) => c.notNull())
    .addColumn('remark', 'text').addColumn('operation_id', 'text', (c) => c.notNull()).addColumn('host', 'text', (c) => c.notNull())
    .addColumn('files', 'text').addColumn('outcome', 'text').addColumn('cause', 'text')
    .addColumn('due_at', 'bigint').addColumn('attempts', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull()).addColumn('finished_at', 'bigint').execute()
  await sql`create index backups_by_instance on backups (instance_id, created_at desc, id)`.execute(db)
  // A schedule runs once for each of its times, whoever of several control planes sees first that it is due.
  await sql`create unique index backups_due on backups (instance_id, due_at) where due_at is not null`.execute(db)
  await sql`create index backups_open on backups (operation_id) where outcome is null`.execute(db)
  await db.schema.createTable('restores')
    .addColumn('id', 'text', (c) => c.primaryKey()).addColumn('instance_id', 'text', (c) => c.notNull()).addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull()).addColumn('remark', 'text').addColumn('backup_id', 'text', (c) => c.notNull())
    .addColumn('backup_name', 'text', (c) => c.notNull()).addColumn('backup_remark', 'text').addColumn('operation_id', 'text', (c) => c.notNull())
    .addColumn('outcome', 'text').addColumn('cause', 'text').addColumn('created_at', 'bigint', (c) => c.notNull()).addColumn('finished_at', 'bigint').execute()
  await sql`create index restores_by_instance on restores (instance_id, created_at desc, id)`.execute(db)
  await sql`create index restores_open on restores (operation_id) where outcome is null`.execute(db)
}
