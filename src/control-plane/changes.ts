/** Small wishes that are done when they are answered: whose turn it is to be master, the end of an operation, a record dropped. */
import { actions } from '../operations/actions.ts'
import { appendAudit } from '../store/audit.ts'
import { lockedInstances, nodesOf, setGrants } from '../store/instances.ts'
import { forgetOperation, openOperationsOf, operationById, requestCancel } from '../store/operations.ts'
import { transact, type Database } from '../store/database.ts'
import { refusalOf } from '../core/refusal.ts'
import type { ControlPlane } from '../core/control-plane.ts'
import type { Engine } from '../core/engine.ts'
import type { EngineName } from '../core/instance.ts'
import type { Worker } from '../operations/worker.ts'

export interface ChangeParts {
  readonly db: Database
  readonly engines: Readonly<Record<EngineName, Engine>>
  readonly worker: Pick<Worker, 'cancel'>
}

export function changes({ db, engines, worker }: ChangeParts): Pick<ControlPlane, 'cancel' | 'prefer' | 'forget'> {
  return {
    async cancel({ projectId, userName }, operationId) {
      const now = Date.now()
      const answer = await transact(db, async (tx) => {
        const row = await operationById(tx, projectId, operationId)
        if (!row) return 'unknown'
        if (row.finishedAt !== null) return 'ended'
        if (!actions[row.action].cancellable) return 'impossible'
        if (!await requestCancel(tx, operationId, now)) return 'ended'
        await appendAudit(tx, [{ at: now, actor: userName, projectId, action: `${row.action}.cancelled`, instanceId: row.instanceId, operationId, detail: '' }])
        return 'requested'
      })
      if (answer === 'requested') worker.cancel(operationId)
      return answer
    },
    async prefer({ caller, engine, id, nodeId, priority }) {
      return transact(db, async (tx) => {
        const [instance] = await lockedInstances(tx, caller.projectId, engine, [id])
        if (!instance) return { kind: 'unknown' }
        // An open operation keeps the grants in memory and would write its own over these.
        const refusal = refusalOf('swap', instance, (await openOperationsOf(tx, [id])).get(id) ?? null, { flush: false, swap: engines[engine].prefer !== undefined })
        if (refusal) return refusal
        const nodes = (await nodesOf(tx, [id])).get(id) ?? []
        if (!nodes.some((node) => node.id === nodeId)) return { kind: 'unknown' }
        const grants = engines[engine].prefer?.(instance, nodes, nodeId, priority) ?? null
        if (!grants) return 'fewer than two nodes would be left that may be master'
        await setGrants(tx, id, grants)
        await appendAudit(tx, [{ at: Date.now(), actor: caller.userName, projectId: caller.projectId, action: 'priority.changed', instanceId: id, operationId: '', detail: `${nodeId} ${priority}` }])
        return null
      })
    },
    async forget({ caller, engine, id, operationId }) {
      return transact(db, async (tx) => {
        const [instance] = await lockedInstances(tx, caller.projectId, engine, [id])
        const row = instance && await operationById(tx, caller.projectId, operationId)
        if (!row || row.instanceId !== id) return 'unknown'
        if (!await forgetOperation(tx, id, operationId)) return 'open'
        await appendAudit(tx, [{ at: Date.now(), actor: caller.userName, projectId: caller.projectId, action: 'record.dropped', instanceId: id, operationId, detail: row.action }])
        return 'forgotten'
      })
    },
  }
}
