/** Who wished what, when, and what came of it: append-only, chained by hashes, committed with what it tells of. */
import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import { insertMany, isShared, plainText, type Tx } from './database.ts'
import type { AuditRow } from './tables.ts'

export interface AuditEntry {
  readonly at: number; readonly actor: string; readonly projectId: string; readonly action: string
  readonly instanceId: string; readonly operationId: string; /** Never a secret. */ readonly detail: string
}

/** The last thing that a transaction does: whoever appends has the chain to itself until the commit. */
export async function appendAudit(tx: Tx, entries: readonly AuditEntry[]): Promise<void> {
  if (entries.length === 0) return
  const rows = entries.map((entry) => ({ at: entry.at, actor: entry.actor, project_id: entry.projectId, action: entry.action, instance_id: entry.instanceId, operation_id: entry.operationId, detail: plainText(entry.detail) }))
  // Others wait meanwhile, so there it is one call.
  if (isShared(tx)) await sql`select sluice_append_audit(${JSON.stringify(rows.map((row) => ({ ...row, rest: hashed(row) })))})`.execute(tx)
  else await insertMany(tx, 'audit', await chained(tx, rows)).execute()
}

async function chained(tx: Tx, rows: readonly Omit<AuditRow, 'sequence' | 'hash'>[]): Promise<AuditRow[]> {
  const last = await tx.selectFrom('audit').select(['sequence', 'hash']).orderBy('sequence', 'desc').limit(1).executeTakeFirst()
  let sequence = last?.sequence ?? 0
  let hash = last?.hash ?? ''
  return rows.map((row) => {
    sequence += 1
    hash = createHash('sha256').update(`["${hash}",${sequence},${hashed(row)}`).digest('hex')
    return { sequence, ...row, hash }
  })
}

/** What a row's hash is over, after the hash of the one before and its own number: all of it is one JSON list. */
function hashed(row: Omit<AuditRow, 'sequence' | 'hash'>): string {
  return JSON.stringify([row.at, row.actor, row.project_id, row.action, row.instance_id, row.operation_id, row.detail]).slice(1)
}
