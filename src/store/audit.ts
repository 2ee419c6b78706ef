/** Who wished what, when, and what came of it: append-only, chained by hashes, committed with what it tells of. */
import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import type { AuditRow } from './tables.ts'
import { inTurn, type Tx } from './database.ts'

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
  const rows: AuditRow[] = entries.map((entry) => {
    sequence += 1
    hash = createHash('sha256').update(JSON.stringify([hash, sequence, entry.at, entry.actor, entry.projectId, entry.action, entry.instanceId, entry.operationId, entry.detail])).digest('hex')
    return { sequence, at: entry.at, actor: entry.actor, project_id: entry.projectId, action: entry.action, instance_id: entry.instanceId, operation_id: entry.operationId, detail: entry.detail, hash }
  })
  // One JSON parameter instead of ten a row: batches of fifty are the hot path.
  await sql`insert into audit (sequence, at, actor, project_id, action, instance_id, operation_id, detail, hash) ${rowsOf(rows)}`.execute(tx)
}

function rowsOf(rows: readonly AuditRow[]) {
  return sql`values ${sql.join(rows.map((r) => sql`(${sql.join([r.sequence, r.at, r.actor, r.project_id, r.action, r.instance_id, r.operation_id, r.detail, r.hash])})`))}`
}
