/** The one place where truth is kept. SQLite today; the queries are portable. */
import Sqlite from 'better-sqlite3'
import { Kysely, SqliteDialect, type SqliteDatabase, type SqliteStatement, type Transaction } from 'kysely'
import { Migrator } from 'kysely/migration'
import { join } from 'node:path'
import { checkpoint } from '../core/checkpoint.ts'
import * as first from './migrations/0001-first.ts'
import * as topologies from './migrations/0002-topologies.ts'
import * as places from './migrations/0004-places.ts'
import type { Tables } from './tables.ts'

export type Database = Kysely<Tables>
export type Tx = Transaction<Tables>

/**
 * Opens the home's database and brings its schema up to date. The exclusive lock lives as long as this process, so a
 * second server on the same home finds it taken. Throws a sentence then.
 */
export async function openDatabase(home: string): Promise<Database> {
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
  const migrations = { '0001-first': first, '0002-topologies': topologies, '0004-places': places }
  const { error } = await new Migrator({ db, provider: { getMigrations: async () => migrations } }).migrateToLatest()
  if (error) throw new Error(`the database ${path} has a schema that this release cannot serve: ${(error as Error).message}`)
  return db
}

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

/** Commits everything or nothing. Nothing but the database is awaited inside. */
export async function transact<T>(db: Database, work: (tx: Tx) => Promise<T>): Promise<T> {
  const result = await db.transaction().execute(work)
  checkpoint('store.committed')
  return result
}
