/** SQLite, one file in the home. */
import Sqlite from 'better-sqlite3'
import { Kysely, SqliteDialect, type DialectAdapter, type SqliteDatabase, type SqliteStatement } from 'kysely'
import { join } from 'node:path'
import { migrate } from './migrate.ts'
import type { Tables } from './tables.ts'

/**
 * Opens the home's database and brings its schema up to date. The exclusive lock lives as long as this process, so a
 * second server on the same home finds it taken. Throws a sentence then.
 */
export async function openSqlite(home: string): Promise<Kysely<Tables>> {
  const path = join(home, 'sluice.db')
  const file = new Sqlite(path, { timeout: 0 })
  try {
    file.pragma('locking_mode = exclusive')
    file.pragma('journal_mode = wal')
    // FULL: a commit is on the disk before the 200 leaves, and stays there through a power cut.
    file.pragma('synchronous = full')
    file.exec('begin exclusive; commit')
  } catch (error) {
    file.close()
    if ((error as { code?: string }).code?.startsWith('SQLITE_BUSY')) throw new Error(`another Sluice server is using ${home}: stop it, or give this one a home of its own with SLUICE_HOME`)
    throw new Error(`the database ${path} cannot be opened: ${(error as Error).message}`)
  }
  const db = new Kysely<Tables>({ dialect: new SqliteDialect({ database: preparedOnce(file) }) })
  await migrate(db, `the database ${path}`)
  const total = file.prepare('select total_changes()').pluck()
  counters.set(db.getExecutor().adapter, () => total.get() as number)
  return db
}

/** By what a database and its transactions have in common. */
const counters = new WeakMap<DialectAdapter, () => number>()

/** How many rows this process wrote since it opened the database; nobody else can, for the lock is exclusive. */
export function sqliteChanges(db: Pick<Kysely<Tables>, 'getExecutor'>): number { return counters.get(db.getExecutor().adapter)!() }

/** More texts than there are queries, each with a few lengths of its lists. */
const statementsKept = 300

/** SQLite reads the same texts again and again; reading one costs more than running it. The one least recently used goes first. */
function preparedOnce(file: Sqlite.Database): SqliteDatabase {
  const statements = new Map<string, Sqlite.Statement>()
  return {
    close() { file.close() },
    prepare(text) {
      const statement = statements.get(text) ?? file.prepare(text)
      statements.delete(text)
      statements.set(text, statement)
      if (statements.size > statementsKept) statements.delete(statements.keys().next().value!)
      return statement as unknown as SqliteStatement
    },
  }
}
