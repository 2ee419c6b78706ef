/** Pages of instances, found by the database. A page is read by an index; how many there are in all is counted again only after something was written. */
import { sql, type Expression, type ExpressionBuilder, type SqlBool } from 'kysely'
import { shown, type Shown } from './shown.ts'
import { actionsDuring, type Status } from '../core/status.ts'
import type { Tables } from './tables.ts'
import { changesOf, type Database, type Tx } from './database.ts'
import type { Action } from '../core/operation.ts'
import type { ListFilter } from '../core/control-plane.ts'

type Builder = ExpressionBuilder<Tables, 'instances'>

/** Newest first. `living`: the hosts that are heard of. Instances under deletion are never among them. */
export type FindInstances = (db: Database | Tx, projectId: string, filter: ListFilter, living: readonly string[]) => Promise<{ total: number; found: Shown[] }>

/** People who page through a list ask the same again; whoever asks for something else each time must not fill the memory. */
const mostTotals = 100

/** One for each database. Where others write to it as well it is counted each time: ten thousand cost some 2 ms. */
export function instanceFinder(): FindInstances {
  let [counted, totals]: [number | null, Map<string, number>] = [null, new Map()]
  return async (db, projectId, filter, living) => {
    const query = db.selectFrom('instances').where('project_id', '=', projectId).where('engine', '=', filter.engine).where((q) => q.and(conditions(q, filter, living)))
    // Read before the count: what is written in between is counted the next time.
    const changes = changesOf(db)
    if (changes === null || changes !== counted || totals.size >= mostTotals) [counted, totals] = [changes, new Map()]
    const [known, asked] = [totals, JSON.stringify([projectId, { ...filter, limit: 0, offset: 0 }, living])]
    const total = known.get(asked) ?? Number((await query.select((q) => q.fn.countAll<number>().as('n')).executeTakeFirstOrThrow()).n)
    known.set(asked, total)
    if (total <= filter.offset) return { total, found: [] }
    return { total, found: await shown(db, query.orderBy('created_at', 'desc').orderBy('id').limit(filter.limit).offset(filter.offset)) }
  }
}

function conditions(q: Builder, filter: ListFilter, living: readonly string[]): Expression<SqlBool>[] {
  const { id, name, nameExact, status, address, tags, attribute, includeFailed } = filter
  const all: Expression<SqlBool>[] = [q.not(isOpen(q, ['delete']))]
  if (!includeFailed && status !== 'createfailed') all.push(q.or([q('ready_at', 'is not', null), isOpen(q)]))
  if (id !== undefined) all.push(q('id', '=', id))
  if (name !== undefined) all.push(nameExact ? q('name', '=', name) : holds('name', name))
  if (status !== undefined) all.push(hasStatus(q, status, living))
  if (address !== undefined) {
    all.push(q.or([q('instances.id', 'in', q.selectFrom('nodes').select('nodes.instance_id').where('nodes.address', '=', address)), holds('endpoints', `"address":${JSON.stringify(address)}`)]))
  }
  // As they are written: keys in one order, no blanks, and a quote inside of a text has a backslash before it.
  for (const { key, value } of tags ?? []) all.push(holds('tags', JSON.stringify({ key, value })))
  if (attribute) all.push(q.or([',', '}'].map((end) => holds('attributes', `${JSON.stringify(attribute.name)}:${JSON.stringify(attribute.value)}${end}`))))
  return all
}

/** Whether a text column holds this text. LIKE has wildcards, and does not tell great letters from small ones in every database. */
function holds(column: 'name' | 'tags' | 'attributes' | 'endpoints', text: string): Expression<SqlBool> {
  return text === '' ? sql<SqlBool>`1 = 1` : sql<SqlBool>`replace(${sql.ref(`instances.${column}`)}, ${text}, '') <> ${sql.ref(`instances.${column}`)}`
}

/** Whether an operation of the instance is not ended, any or one of these. */
function isOpen(q: Builder, which?: readonly Action[]): Expression<SqlBool> {
  // Read once, for it is short, and not once an instance.
  let open = q.selectFrom('operations').select('operations.instance_id').where('operations.finished_at', 'is', null)
  if (which) open = open.where('operations.action', 'in', which)
  return q('instances.id', 'in', open)
}

/** The same as `statusOf`, for the database. */
function hasStatus(q: Builder, status: Status, living: readonly string[]): Expression<SqlBool> {
  const [ready, heard, ill] = [q('ready_at', 'is not', null), q('host', 'in', living), q('health', '=', 'unhealthy')]
  const resting: Partial<Record<Status, Expression<SqlBool>>> = {
    createfailed: q('ready_at', 'is', null), unknown: q.and([ready, q.not(heard)]), error: q.and([ready, heard, ill]), running: q.and([ready, heard, q.not(ill)]),
  }
  const either: Expression<SqlBool>[] = []
  const during = actionsDuring(status)
  if (during.length > 0) either.push(isOpen(q, during))
  if (resting[status]) either.push(q.and([q.not(isOpen(q)), resting[status]]))
  return q.or(either)
}
