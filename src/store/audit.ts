/** Who wished what, when, and what came of it: append-only, chained by hashes, committed with what it tells of. */
import { createHash } from 'node:crypto'
import type { AuditRow } from './tables.ts'
import { inTurn, insertMany, plainText, type Tx } from './database.ts'

export interface AuditEntry {
  readonly at: number; readonly actor: string; readonly projectId: string; readonly action: string
  readonly instanceId: string; readonly operationId: string; /** Never a secret. */ readonly detail: string
}

/** The last thing that a transaction does: whoever appends has the chain to itself until the commit. */
export async function appendAudit(tx: Tx, entries: readonly AuditEntry[]): Promise<void> {
  if (entries.length === 0) return
  await inTurn(tx, 'audit')
  const last = await tx.selectFrom('audit').select(['sequence', 'hash']).orderBy('sequence', 'desc').limit(1).executeTakeFirst()
  let sequence = last?.sequence ?? 0
  let hash = last?.hash ?? ''
  const rows: AuditRow[] = entries.map((given) => {
    sequence += 1
    // The chain is over what is stored.
    const entry = { ...given, detail: plainText(given.detail) }
    hash = createHash('sha256').update(JSON.stringify([hash, sequence, entry.at, entry.actor, entry.projectId, entry.action, entry.instanceId, entry.operationId, entry.detail])).digest('hex')
    return { sequence, at: entry.at, actor: entry.actor, project_id: entry.projectId, action: entry.action, instance_id: entry.instanceId, operation_id: entry.operationId, detail: entry.detail, hash }
  })
  await insertMany(tx, 'audit', rows).execute()
}
