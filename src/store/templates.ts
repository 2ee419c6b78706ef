/** Templates of parameters, by project. */
import { randomUUID } from 'node:crypto'
import { appendAudit } from './audit.ts'
import { isTaken, transact, type Database, type Tx } from './database.ts'
import type { TemplateRow } from './tables.ts'
import type { Template, Templates } from '../core/templates.ts'

/** More than anybody keeps; a list of them is read whole. */
const mostTemplates = 100

export function templates(db: Database): Templates {
  const noted = (tx: Tx, { projectId, userName }: { readonly projectId: string; readonly userName: string }, action: string, detail: string): Promise<void> =>
    appendAudit(tx, [{ at: Date.now(), actor: userName, projectId, action, instanceId: '', operationId: '', detail }])
  /** A name is a project's once; whoever came second hears of it. */
  const unlessTaken = <T>(answer: Promise<T>, taken: T): Promise<T> => answer.catch((error) => { if (isTaken(error)) return taken; throw error })
  return {
    async list(projectId, engine) {
      const rows = await db.selectFrom('templates').selectAll().where('project_id', '=', projectId).where('engine', '=', engine).orderBy('created_at', 'desc').orderBy('id').execute()
      return rows.map(templateOf)
    },
    create: (wish) => unlessTaken(transact(db, async (tx) => {
      const { engine, name, description, version, topology, parameters } = wish.template
      const { count } = await tx.selectFrom('templates').select((q) => q.fn.countAll<number>().as('count')).where('project_id', '=', wish.projectId).executeTakeFirstOrThrow()
      if (Number(count) >= mostTemplates) return null
      const id = randomUUID()
      await tx.insertInto('templates').values({ id, project_id: wish.projectId, engine, name, description, version, topology, parameters: JSON.stringify(parameters), created_at: Date.now() }).execute()
      await noted(tx, wish, 'template.created', name)
      return id
    }), null),
    update: (wish) => unlessTaken(transact(db, async (tx) => {
      const { parameters, ...words } = wish.change
      const done = await tx.updateTable('templates').set({ ...words, ...parameters ? { parameters: JSON.stringify(parameters) } : {}, id: wish.id }).where('id', '=', wish.id).where('project_id', '=', wish.projectId).executeTakeFirst()
      if (Number(done.numUpdatedRows) === 0) return false
      await noted(tx, wish, 'template.changed', wish.id)
      return true
    }), false),
    remove: (wish) => transact(db, async (tx) => {
      const done = await tx.deleteFrom('templates').where('id', '=', wish.id).where('project_id', '=', wish.projectId).executeTakeFirst()
      if (Number(done.numDeletedRows) === 0) return false
      await noted(tx, wish, 'template.deleted', wish.id)
      return true
    }),
  }
}

function templateOf(row: TemplateRow): Template {
  const { id, engine, name, description, version, topology } = row
  return { id, engine, name, description, version, topology, parameters: JSON.parse(row.parameters), createdAt: row.created_at }
}
