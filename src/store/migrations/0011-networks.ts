/** Networks as records: VPCs, subnets, security groups, public IPs. Only adds. */
import type { Kysely } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createTable('network_records')
    .addColumn('id', 'text', (c) => c.primaryKey()).addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull()).addColumn('parent', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull()).addColumn('fields', 'text', (c) => c.notNull())
    .addColumn('tags', 'text', (c) => c.notNull()).addColumn('created_at', 'bigint', (c) => c.notNull()).execute()
  await db.schema.createIndex('network_records_by_project').on('network_records').columns(['project_id', 'kind', 'created_at']).execute()
  await db.schema.createIndex('network_records_by_parent').on('network_records').column('parent').execute()
}
