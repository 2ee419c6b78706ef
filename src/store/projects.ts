/** Projects: the tenants. */
import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { isShared, type Database, type Tx } from './database.ts'
import type { ProjectRow } from './tables.ts'

/** Makes sure that a project exists with this id and name. */
export async function ensureProject(db: Database, project: { readonly id: string; readonly name: string; readonly domain: string }): Promise<void> {
  // A name that an earlier configuration used with another id goes to the new one; the old project keeps its instances.
  await db.updateTable('projects').set({ name: sql`name || '~' || id` }).where('domain', '=', project.domain).where('name', '=', project.name).where('id', '!=', project.id).execute()
  await db.insertInto('projects').values({ ...project, created_at: Date.now() })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ name: project.name, domain: project.domain })).execute()
}

/** Null when the name is taken. */
export async function createProject(db: Database | Tx, name: string, domain: string): Promise<ProjectRow | null> {
  const row = { id: randomUUID().replaceAll('-', ''), name, domain, created_at: Date.now() }
  const made = await db.insertInto('projects').values(row).onConflict((conflict) => conflict.columns(['domain', 'name']).doNothing()).executeTakeFirst()
  return Number(made.numInsertedOrUpdatedRows) === 1 ? row : null
}

export async function listProjects(db: Database | Tx, domain: string): Promise<ProjectRow[]> {
  return db.selectFrom('projects').selectAll().where('domain', '=', domain).orderBy('created_at').orderBy('id').execute()
}

/** The project that an instance belongs to. */
export async function projectOf(db: Database | Tx, instanceId: string): Promise<Pick<ProjectRow, 'id' | 'name'> | null> {
  return await db.selectFrom('instances').innerJoin('projects', 'projects.id', 'instances.project_id').select(['projects.id', 'projects.name']).where('instances.id', '=', instanceId).executeTakeFirst() ?? null
}

/** False while it has instances. */
export async function deleteProject(tx: Tx, id: string): Promise<boolean> {
  // Held first: whoever is creating an instance in it holds it too.
  await lockProject(tx, id)
  if (await tx.selectFrom('instances').select('id').where('project_id', '=', id).limit(1).executeTakeFirst()) return false
  await tx.deleteFrom('user_roles').where('project_id', '=', id).execute()
  await tx.deleteFrom('network_records').where('project_id', '=', id).execute()
  await tx.deleteFrom('projects').where('id', '=', id).execute()
  return true
}

async function lockProject(tx: Tx, id: string): Promise<void> {
  const row = tx.selectFrom('projects').select('id').where('id', '=', id)
  await (isShared(tx) ? row.forUpdate() : row).execute()
}

/** Until the transaction ends nobody deletes it; false when somebody has. */
export async function holdProject(tx: Tx, id: string): Promise<boolean> {
  const row = tx.selectFrom('projects').select('id').where('id', '=', id)
  return await (isShared(tx) ? row.forKeyShare() : row).executeTakeFirst() !== undefined
}
