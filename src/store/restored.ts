/** What a state of then needs among the nodes of now. */
import { appendAudit } from './audit.ts'
import { endCopies } from './backups.ts'
import type { Tx } from './database.ts'

/** Nodes have seen newer generations than this state knows, and never go back to an older one: from here on all are newer. What runs may go on. */
export async function raiseGenerations(tx: Tx, by: number): Promise<void> {
  await tx.updateTable('instances').set((q) => ({ floor: q.fn.coalesce('floor', 'generation'), generation: q('generation', '+', by) })).execute()
}

/** Ends what was open then and may have been done since: to flush or to load a copy once more would throw newer data away. */
export async function endUnrepeatable(tx: Tx, now: number): Promise<void> {
  const ended = await tx.updateTable('operations').set({ finished_at: now, outcome: 'cancelled', cause })
    .where('action', 'in', ['flush', 'restore']).where('finished_at', 'is', null).returning(['id', 'action', 'project_id', 'instance_id']).execute()
  await endCopies(tx, ended.map(({ id }) => ({ operationId: id, outcome: 'cancelled', cause })), now)
  await appendAudit(tx, ended.map((row) => ({ at: now, actor: 'sluice', projectId: row.project_id, action: `${row.action}.cancelled`, instanceId: row.instance_id, operationId: row.id, detail: cause })))
}

const cause = 'the state was restored from a backup: whether this was done since is not known'
