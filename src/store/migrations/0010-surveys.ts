/** What was found by looking through instances. Only adds. */
import { sql, type Kysely } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createTable('surveys')
    .addColumn('id', 'text', (c) => c.primaryKey()).addColumn('instance_id', 'text', (c) => c.notNull()).addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull()).addColumn('how', 'text', (c) => c.notNull()).addColumn('scan', 'text', (c) => c.notNull()).addColumn('due_at', 'bigint')
    .addColumn('status', 'text', (c) => c.notNull()).addColumn('attempts', 'integer', (c) => c.notNull()).addColumn('progress', 'integer', (c) => c.notNull())
    .addColumn('cause', 'text').addColumn('result', 'text')
    .addColumn('created_at', 'bigint', (c) => c.notNull()).addColumn('started_at', 'bigint').addColumn('finished_at', 'bigint')
    .addColumn('lease_owner', 'text').addColumn('lease_until', 'bigint').execute()
  await sql`create index surveys_by_instance on surveys (instance_id, kind, created_at desc, id)`.execute(db)
  // One of a kind at a time, and each due time once, whoever asks.
  await sql`create unique index surveys_open on surveys (instance_id, kind) where finished_at is null`.execute(db)
  await sql`create unique index surveys_due on surveys (instance_id, kind, due_at) where due_at is not null`.execute(db)
}
