/** Several control planes on one database: who lives, and whose work on an instance is not over yet. Only adds. */
import { sql, type Kysely } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createTable('control_planes')
    .addColumn('id', 'text', (c) => c.primaryKey()).addColumn('host', 'text', (c) => c.notNull())
    .addColumn('seen_at', 'bigint', (c) => c.notNull()).execute()
  // A recovery that a person's wish replaced keeps its lease until its worker has let go of the nodes.
  await sql`create index operations_leaving on operations (instance_id) where finished_at is not null and lease_owner is not null`.execute(db)
}
