/** Who wished what, when, and what came of it: append-only, chained by hashes, committed with what it tells of. */
import { createHash } from 'node:crypto'
import { sql, type Expression, type RawBuilder } from 'kysely'
import { insertMany, isShared, plainText, type Tx } from './database.ts'
import type { AuditRow } from './tables.ts'

export interface AuditEntry {
  readonly at: number; readonly actor: string; readonly projectId: string; readonly action: string
  readonly instanceId: string; readonly operationId: string; /** Never a secret. */ readonly detail: string
}

/** The last thing that a transaction does: whoever appends has the chain to itself until the commit. */
export async function appendAudit(tx: Tx, entries: readonly AuditEntry[]): Promise<void> {
  if (entries.length === 0) return
  const rows = entries.map((entry) => ({ at: entry.at, actor: plainText(entry.actor), project_id: entry.projectId, action: entry.action, instance_id: entry.instanceId, operation_id: entry.operationId, detail: plainText(entry.detail) }))
  if (!isShared(tx)) { await insertMany(tx, 'audit', await chained(tx, rows)).execute(); return }
  // Others wait meanwhile, so there it is one call; mostly all rows are of one kind.
  for (const group of Map.groupBy(rows, (row) => auditTexts(row).join('\n')).values()) await sql`select ${auditCall(group[0]!, sql`${group.map((row) => row.instance_id)}`, sql`${group.map((row) => row.operation_id)}`)}`.execute(tx)
}

type Kind = Omit<AuditRow, 'sequence' | 'hash' | 'instance_id' | 'operation_id'>

/** Appends a row for each of these instances and operations, lists of the same length, on PostgreSQL; migrations/0008. */
export function auditCall(kind: Kind, instances: Expression<unknown>, operations: Expression<unknown>): RawBuilder<unknown> {
  const [head, tail] = auditTexts(kind)
  return sql`sluice_append_audit(${kind.at}, ${kind.actor}, ${kind.project_id}, ${kind.action}, ${kind.detail}, ${instances}, ${operations}, ${head}, ${tail})`
}

/** What stands before and after the two ids in the text that a row's hash is over. */
function auditTexts({ at, actor, project_id, action, detail }: Kind): [string, string] {
  return [`${JSON.stringify([at, actor, project_id, action]).slice(1, -1)},`, `,${JSON.stringify(detail)}]`]
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
