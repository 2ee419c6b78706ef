/** Who wished what, when, and what came of it: append-only, chained by hashes, committed with what it tells of. */
import { createHash } from 'node:crypto'
import { sql, type Expression, type RawBuilder } from 'kysely'
import { inTurn, insertMany, isShared, plainText, transact, type Database, type Tx } from './database.ts'
import { readSetting, writeSetting } from './settings.ts'
import type { AuditRow } from './tables.ts'
import type { AuditFilter, AuditProof, AuditView } from '../core/audit.ts'

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
    hash = hashOf(hash, sequence, row)
    return { sequence, ...row, hash }
  })
}

/** Over one JSON list: the hash of the row before, this one's number, and all that it says. */
function hashOf(before: string, sequence: number, row: Omit<AuditRow, 'sequence' | 'hash'>): string {
  const said = JSON.stringify([row.at, row.actor, row.project_id, row.action, row.instance_id, row.operation_id, row.detail]).slice(1)
  return createHash('sha256').update(`["${before}",${sequence},${said}`).digest('hex')
}

/** Newest first. */
export async function listAudit(db: Database, { projectId, actor, instanceId, action, from, to, before, limit }: AuditFilter): Promise<AuditView[]> {
  let query = db.selectFrom('audit').selectAll()
  if (projectId !== undefined) query = query.where('project_id', '=', projectId)
  if (actor !== undefined) query = query.where('actor', '=', actor)
  if (instanceId !== undefined) query = query.where('instance_id', '=', instanceId)
  // Compared by the letters, as it stands in no index: `_` is no wildcard here.
  if (action !== undefined) query = query.where(sql<boolean>`substr(action, 1, ${action.length}) = ${action}`)
  if (from !== undefined) query = query.where('at', '>=', from)
  if (to !== undefined) query = query.where('at', '<=', to)
  if (before !== undefined) query = query.where('sequence', '<', before)
  return (await query.orderBy('sequence', 'desc').limit(limit).execute()).map((row) => ({
    sequence: row.sequence, at: row.at, actor: row.actor, projectId: row.project_id, action: row.action, instanceId: row.instance_id, operationId: row.operation_id, detail: row.detail, hash: row.hash,
  }))
}

interface Anchor { readonly sequence: number; readonly hash: string }
const anchorName = 'audit anchor'
/** Rows at a time: others are answered in between. */
const together = 1000

/** Reckons every hash anew, from the anchor on. */
export async function verifyAudit(db: Database): Promise<AuditProof> {
  const anchor = await readSetting<Anchor | null>(db, anchorName, null)
  let [sequence, hash, rows] = [anchor?.sequence ?? 0, anchor?.hash ?? '', 0]
  const proof = (broken: AuditProof['broken']): AuditProof => ({ rows, anchor, last: rows > 0 ? { sequence, hash } : null, broken })
  for (;;) {
    const page = await db.selectFrom('audit').selectAll().where('sequence', '>', sequence).orderBy('sequence').limit(together).execute()
    for (const row of page) {
      if (row.sequence !== sequence + 1) {
        // Dropped meanwhile, with a newer anchor: that is where to begin.
        const newer = await readSetting<Anchor | null>(db, anchorName, null)
        if (newer && newer.sequence !== anchor?.sequence && newer.sequence + 1 === row.sequence) return verifyAudit(db)
        return proof({ sequence: sequence + 1, why: 'the row is missing' })
      }
      if (hashOf(hash, row.sequence, row) !== row.hash) return proof({ sequence: row.sequence, why: 'the row, or the one before, is not as it was written' })
      ;[sequence, hash, rows] = [row.sequence, row.hash, rows + 1]
    }
    if (page.length < together) break
  }
  if (rows === 0 && anchor) return proof({ sequence: sequence + 1, why: 'the row is missing' })
  return proof(null)
}

/**
 * Drops the oldest rows as far as all of them were written before `before`; answers how many. The last one dropped becomes the
 * anchor, from which the rest can be proven, and a row tells of it, so that whoever drops rows in another way is found out.
 */
export async function dropAudit(db: Database, before: number, now: number): Promise<number> {
  return transact(db, async (tx) => {
    await inTurn(tx, 'retention')
    const oldest = await tx.selectFrom('audit').select(['sequence', 'at', 'hash']).orderBy('sequence').limit(together).execute()
    const kept = oldest.findIndex((row) => row.at >= before)
    const dropped = kept === -1 ? oldest : oldest.slice(0, kept)
    const last = dropped.at(-1)
    if (!last) return 0
    // First, for what is appended follows the end of the chain, and there must be one.
    await appendAudit(tx, [{ at: now, actor: 'sluice', projectId: '', action: 'audit.dropped', instanceId: '', operationId: '', detail: `rows ${dropped[0]!.sequence} to ${last.sequence}, whose hash is ${last.hash}` }])
    await tx.deleteFrom('audit').where('sequence', '<=', last.sequence).execute()
    await writeSetting(tx, anchorName, { sequence: last.sequence, hash: last.hash } satisfies Anchor)
    return dropped.length
  })
}
