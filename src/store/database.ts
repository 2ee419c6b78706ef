/** The one place where truth is kept: SQLite in the home, or PostgreSQL. Every query is written once for both. */
import { PostgresAdapter, sql, type Compilable, type CompiledQuery, type Expression, type Insertable, type InsertQueryBuilder, type InsertResult, type Kysely, type QueryResult, type RawBuilder, type SelectQueryBuilder, type SqlBool, type Transaction } from 'kysely'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkpoint } from '../core/checkpoint.ts'
import { openSqlite, sqliteChanges } from './database-sqlite.ts'
import type { Tables } from './tables.ts'

export type Database = Kysely<Tables>
export type Tx = Transaction<Tables>

export interface Where {
  readonly home: string
  /** Of a PostgreSQL; null: SQLite in the home. */
  readonly databaseUrl: string | null
}

/** Opens the database and brings its schema up to date. Throws one sentence when that cannot be. */
export async function openDatabase({ home, databaseUrl }: Where): Promise<Database> {
  if (databaseUrl === null) return openSqlite(home)
  // Its driver is for those who have one.
  const { openPostgres } = await import('./database-postgres.ts')
  return openPostgres(databaseUrl)
}

/** Whether several control planes may have it open at once. */
export function isShared(db: Pick<Database, 'getExecutor'>): boolean { return db.getExecutor().adapter instanceof PostgresAdapter }

/** Transactions that wait for each other in a circle are ended by the database, one of them; it had no part in the circle's cause. */
const attempts = 6
const retried: readonly (string | undefined)[] = ['40001', '40P01']

/** Commits everything or nothing. Nothing but the database is awaited inside; the work may be done more than once. */
export function transact<T>(db: Database, work: (tx: Tx) => Promise<T>): Promise<T> {
  return committed(() => db.transaction().execute(work))
}

/** The same for a single statement: the database commits it before it answers, without being asked to begin and to end. */
export function commit<T>(db: Database, statement: RawBuilder<T>): Promise<QueryResult<T>> {
  return committed(() => statement.execute(db))
}

async function committed<T>(attempt: () => Promise<T>): Promise<T> {
  for (let n = 1; ; n += 1) {
    try {
      const result = await attempt()
      checkpoint('store.committed')
      return result
    } catch (error) {
      if (n === attempts || !retried.includes((error as { code?: string }).code)) throw error
      await sleep(Math.random() * 10 * n)
    }
  }
}

/** Reads that all see the same instant: an instance read before its operation ended, and the operation after, would be neither. */
export async function snapshot<T>(db: Database, read: (tx: Tx) => Promise<T>): Promise<T> {
  const begun = db.transaction()
  return (isShared(db) ? begun.setIsolationLevel('repeatable read').setAccessMode('read only') : begun).execute(read)
}

/**
 * Begins an insert of many rows that all have the same columns. For PostgreSQL they are one parameter: as one each, reading
 * them takes longer than writing them, on both sides.
 */
export function insertMany<T extends keyof Tables>(tx: Tx, table: T, rows: readonly Insertable<Tables[T]>[]): InsertQueryBuilder<Tables, T, InsertResult> {
  const insert = tx.insertInto(table)
  if (!isShared(tx)) return insert.values(rows)
  const columns = Object.keys(rows[0]!) as (keyof Tables[T] & string)[]
  return insert.columns(columns).expression(sql`select ${sql.join(columns.map((column) => sql.ref(column)))} from json_populate_recordset(null::${sql.table(table)}, ${JSON.stringify(rows, storable)})`)
}

/** PostgreSQL's texts have neither NUL nor half a character; the last words of a server that crashed may. */
function storable(_name: string, value: unknown): unknown { return typeof value === 'string' ? plainText(value) : value }

/** The text as every database stores it. */
export function plainText(text: string): string { return text.toWellFormed().replaceAll('\0', '\uFFFD') }

/** A value that is not known yet. */
class Later { readonly name: string; constructor(name: string) { this.name = name } }

/**
 * A question that is asked all the time: put into words once for each kind of database, which takes longer than answering it.
 * `word` must pass the values on as they are.
 */
export function asked<Values extends Readonly<Record<string, unknown>>, Row>(word: (db: Database | Tx, values: Values) => Compilable<Row>): (db: Database | Tx, values: Values) => Promise<Row[]> {
  const words = new Map<boolean, CompiledQuery<Row>>()
  return async (db, values) => {
    const text = words.get(isShared(db)) ?? word(db, Object.fromEntries(Object.keys(values).map((name) => [name, new Later(name)])) as Values).compile()
    words.set(isShared(db), text)
    return (await db.executeQuery<Row>({ ...text, parameters: text.parameters.map((value) => value instanceof Later ? values[value.name] : value) })).rows
  }
}

/** Grows with every row that is written; null where others write as well. */
export function changesOf(db: Pick<Database, 'getExecutor'>): number | null { return isShared(db) ? null : sqliteChanges(db) }

/** Leaves out rows of `table` that another transaction holds, and holds the others. SQLite has one transaction at a time. */
export function skipLocked<DB, TB extends keyof DB, O>(db: Database | Tx, query: SelectQueryBuilder<DB, TB, O>, table: TB & string): SelectQueryBuilder<DB, TB, O> {
  return isShared(db) ? query.forUpdate(table).skipLocked() : query
}

/** Holds these rows until the transaction ends; with an order, so that two never wait for each other. */
export function locked<DB, TB extends keyof DB, O>(db: Database | Tx, query: SelectQueryBuilder<DB, TB, O>): SelectQueryBuilder<DB, TB, O> {
  return isShared(db) ? query.forUpdate() : query
}

/** One parameter, however many: PostgreSQL keeps one plan for all lengths. */
export function among(column: Expression<string>, values: readonly string[]): RawBuilder<SqlBool> { return sql<SqlBool>`${column} = any(${values})` }

/** 7480001 is the audit's, see migrations/0004. */
const turns = { credentials: 7_480_002, blocks: 7_480_003, people: 7_480_004, network: 7_480_005, retention: 7_480_006 } as const

/** From here to the end of the transaction nobody else gets past the same point. SQLite has one transaction at a time. */
export async function inTurn(tx: Tx, what: keyof typeof turns): Promise<void> {
  if (isShared(tx)) await sql`select pg_advisory_xact_lock(${sql.lit(turns[what])})`.execute(tx)
}

/** Whether somebody else took a key first. */
export function isTaken(error: unknown): boolean {
  return ['23505', 'SQLITE_CONSTRAINT_PRIMARYKEY', 'SQLITE_CONSTRAINT_UNIQUE'].includes(String((error as { code?: unknown }).code))
}
