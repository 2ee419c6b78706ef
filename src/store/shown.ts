/**
 * Instances with what is shown of them. Each page is one statement: an instance read before its operation ended, and the
 * operation after, would be neither.
 */
import { jsonArrayFrom as ofPostgres } from 'kysely/helpers/postgres'
import { jsonArrayFrom as ofSqlite } from 'kysely/helpers/sqlite'
import { asked, changesOf, isShared, type Database, type Tx } from './database.ts'
import { instanceOf, nodeOf } from './instances.ts'
import { operationOf } from './operations.ts'
import type { SelectQueryBuilder } from 'kysely'
import type { InstanceRow, NodeRow, OperationRow, Tables } from './tables.ts'
import type { EngineName, Instance, NodeRecord } from '../core/instance.ts'
import type { Operation } from '../core/operation.ts'

type Reader = Database | Tx
type Selection = SelectQueryBuilder<Tables, 'instances', object>

export interface Shown {
  readonly instance: Instance
  /** The one unfinished operation. */
  readonly open: Operation | null
  readonly nodes: readonly NodeRecord[]
}

/** As PostgreSQL and SQLite give it: parsed, or text. */
type Json<T> = readonly T[] | string
type Row = InstanceRow & { readonly shown_nodes: Json<NodeRow>; readonly shown_open: Json<OperationRow> }

/** What this selection finds, in its order. */
export async function shown(db: Reader, selection: Selection): Promise<Shown[]> {
  return ((await withWhole(db, selection).execute()) as Row[]).map(read)
}

/** Of one project, and of one engine or all; another tenant's id is not found, exactly like an unknown one. Newest first. */
export async function shownOfProject(db: Reader, projectId: string, engine: EngineName | null): Promise<Shown[]> {
  return shown(db, db.selectFrom('instances').where('project_id', '=', projectId).$if(engine !== null, (query) => query.where('engine', '=', engine!)).orderBy('created_at', 'desc').orderBy('id'))
}

export async function shownByIds(db: Reader, ids: readonly string[]): Promise<Shown[]> {
  return ids.length === 0 ? [] : shown(db, db.selectFrom('instances').where('id', 'in', ids))
}

const byId = asked((db, { id }: { readonly id: string }) => withWhole(db, db.selectFrom('instances').where('id', '=', id)))

/** People and programs that wait for an instance ask for the same one again and again. */
const mostKept = 1000
interface Kept { readonly changes: number; readonly shown: Map<string, Shown | null> }
const kept = new WeakMap<Database, Kept>()

/** One instance by its id, of whatever project. Read again only after something was written, where nobody else writes. */
export async function shownById(db: Database, id: string): Promise<Shown | null> {
  // Before the look: what is written in between is looked for the next time.
  const changes = changesOf(db)
  const known = kept.get(db)
  const found = known && known.changes === changes ? known.shown.get(id) : undefined
  if (found !== undefined) return found
  const [row] = await byId(db, { id })
  const shown = row ? read(row as Row) : null
  if (changes === null) return shown
  const now = known && known.changes === changes && known.shown.size < mostKept ? known : { changes, shown: new Map<string, Shown | null>() }
  kept.set(db, now)
  now.shown.set(id, shown)
  return shown
}

const nodeColumns = ['nodes.id', 'nodes.instance_id', 'nodes.ordinal', 'nodes.host', 'nodes.address', 'nodes.ports', 'nodes.listen'] as const
const operationColumns = [
  'operations.id', 'operations.instance_id', 'operations.project_id', 'operations.engine', 'operations.action', 'operations.generation', 'operations.actor', 'operations.created_at', 'operations.started_at',
  'operations.next_at', 'operations.finished_at', 'operations.outcome', 'operations.cause', 'operations.memo', 'operations.cancel_at', 'operations.lease_owner', 'operations.lease_until',
] as const

function withWhole(db: Reader, selection: Selection): Selection {
  const array = isShared(db) ? ofPostgres : ofSqlite
  return selection.selectAll('instances').select((q) => [
    array(q.selectFrom('nodes').select(nodeColumns).whereRef('nodes.instance_id', '=', 'instances.id').orderBy('nodes.ordinal')).as('shown_nodes'),
    array(q.selectFrom('operations').select(operationColumns).whereRef('operations.instance_id', '=', 'instances.id').where('operations.finished_at', 'is', null)).as('shown_open'),
  ])
}

function read(row: Row): Shown {
  const [open] = parsed(row.shown_open)
  return { instance: instanceOf(row), open: open ? operationOf(open) : null, nodes: parsed(row.shown_nodes).map(nodeOf) }
}

function parsed<T>(json: Json<T>): readonly T[] { return typeof json === 'string' ? JSON.parse(json) as readonly T[] : json }
