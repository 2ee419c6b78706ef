/** What a project has: how much it may have, its tags, and the records of what was done for it. */
import { appendAudit } from '../store/audit.ts'
import { lockedInstances, setTags, tagsOf } from '../store/instances.ts'
import { forgetOperation, openOperationsOf, operationsOf, projectOperations } from '../store/operations.ts'
import { readQuota, used, writeQuota } from '../store/quotas.ts'
import { transact, type Database, type Tx } from '../store/database.ts'
import type { ControlPlane, CreateRefusal, TaskView } from '../core/control-plane.ts'
import type { EngineName, Tag } from '../core/instance.ts'
import type { Operation } from '../core/operation.ts'

/** Of one instance, as the clouds have it. */
const mostTags = 20

export interface HoldingsParts {
  readonly db: Database
  readonly taskView: (operation: Operation) => TaskView
}

export function holdings({ db, taskView }: HoldingsParts): Pick<ControlPlane, 'quota' | 'setQuota' | 'tag' | 'projectTags' | 'projectTasks' | 'dropTask'> {
  return {
    async quota(projectId, engine) {
      return { limit: await readQuota(db, engine, projectId), used: await used(db, engine, projectId) }
    },
    async setQuota({ caller, engine, projectId, quota }) {
      await transact(db, async (tx) => {
        await writeQuota(tx, engine, projectId, quota)
        await appendAudit(tx, [{ at: Date.now(), actor: caller.userName, projectId, action: 'quota.changed', instanceId: '', operationId: '', detail: `${engine}: ${quota.instances ?? 'any number of'} instances, ${quota.memoryGb ?? 'any number of'} GB` }])
      })
    },
    async tag({ caller, engine, id, add, remove }) {
      return transact(db, async (tx) => {
        const [instance] = await lockedInstances(tx, caller.projectId, engine, [id])
        if (!instance || (await openOperationsOf(tx, [id])).get(id)?.action === 'delete') return 'unknown'
        const tags = changed(instance.tags, add, remove)
        if (tags.length > mostTags) return 'too many'
        await setTags(tx, id, tags, Date.now())
        await appendAudit(tx, [{ at: Date.now(), actor: caller.userName, projectId: caller.projectId, action: 'tags.changed', instanceId: id, operationId: '', detail: [...add.map((tag) => `+${tag.key}`), ...remove.map((tag) => `-${tag.key}`)].join(' ') }])
        return 'done'
      })
    },
    async projectTags(projectId, engine) { return tagsOf(db, projectId, engine) },
    async projectTasks(projectId, engine, page) {
      const { total, operations } = await operationsOf(db, { projectId, engine }, page)
      return { total, tasks: operations.map(taskView) }
    },
    async dropTask({ caller, engine, operationId }) {
      return transact(db, async (tx) => {
        const [row] = await projectOperations(tx, caller.projectId, { id: operationId, engine, openOnly: false, limit: 1 })
        if (!row) return 'unknown'
        if (!await forgetOperation(tx, row.instanceId, operationId)) return 'open'
        await appendAudit(tx, [{ at: Date.now(), actor: caller.userName, projectId: caller.projectId, action: 'record.dropped', instanceId: row.instanceId, operationId, detail: row.action }])
        return 'forgotten'
      })
    },
  }
}

/** In the order in which they first came. */
function changed(before: readonly Tag[], add: readonly Tag[], remove: readonly Tag[]): readonly Tag[] {
  const tags = new Map(before.map((tag) => [tag.key, tag]))
  for (const tag of add) tags.set(tag.key, tag)
  for (const { key } of remove) tags.delete(key)
  return [...tags.values()]
}

/** Why a project may not have this much more; to be asked inside of the transaction that takes it. */
export async function exceeds(tx: Tx, engine: EngineName, projectId: string, more: { readonly instances: number; readonly memoryGb: number }): Promise<CreateRefusal | null> {
  const limit = await readQuota(tx, engine, projectId, true)
  if (!limit) return null
  const now = await used(tx, engine, projectId)
  if (limit.instances !== null && now.instances + more.instances > limit.instances) return { kind: 'instance quota', reason: `${limit.instances} are allowed, ${now.instances} exist` }
  if (limit.memoryGb !== null && now.memoryGb + more.memoryGb > limit.memoryGb) return { kind: 'memory quota', reason: `${limit.memoryGb} GB are allowed, ${now.memoryGb} GB are taken` }
  return null
}
