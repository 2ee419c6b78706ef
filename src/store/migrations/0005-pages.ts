/** A page of a project's instances, newest first, without reading the others. Only adds. */
import { sql, type Kysely } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create index instances_page on instances (project_id, engine, created_at desc, id, ready_at)`.execute(db)
}
