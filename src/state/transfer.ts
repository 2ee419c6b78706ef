/**
 * `sluice export` and `sluice import`: everything that a database has, as lines of JSON. Nodes are not touched: they run
 * on, and the server that starts on the other database finds them by their folders in the home.
 */
import { createReadStream, createWriteStream, existsSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { checkOf, dump, headingOf, lastAudit, load, noRows, type Counts, type Heading, type Moved } from './dump.ts'
import { endGuard } from '../guard.ts'
import { hostId, keepCredentials, movedName } from '../home.ts'
import { readSecrets, type Secrets } from '../secrets.ts'
import { isShared, openDatabase, transact, type Database, type Tx } from '../store/database.ts'
import type { Config } from '../config.ts'

/** Writes all rows, passwords sealed as they are stored, into a new file of the owner's only. The server on SQLite must be stopped. */
export async function exportTo(file: string, config: Config): Promise<Counts> {
  if (existsSync(file)) throw new Error(`${file} is there already: name another file`)
  const { db, secrets } = await opened(config)
  try {
    const counts = noRows()
    await pipeline(Readable.from((async function* () {
      for await (const line of dump(db, config.home, secrets, counts)) yield `${line}\n`
    })()), createWriteStream(file, { mode: 0o600, flags: 'wx' }))
    return counts
  } catch (error) {
    rmSync(file, { force: true })
    throw error
  } finally { await db.destroy() }
}

/** Reads such a file into an empty database, all of it or nothing. */
export async function importFrom(file: string, config: Config): Promise<Counts> {
  if (!existsSync(file)) throw new Error(`there is no file ${file}`)
  const lines = createInterface({ input: createReadStream(file), crlfDelay: Infinity })[Symbol.asyncIterator]()
  const heading = headingOf(file, (await lines.next()).value)
  await endGuard(config.home)
  await assertUnchanged(heading, config)
  const { db, secrets } = await opened(config)
  try {
    if (heading.keyCheck !== checkOf(secrets)) throw new Error('the export was sealed with another master key: set SLUICE_MASTER_KEY to that one, or put a copy of its master.key into this home')
    const counts = await transact(db, async (tx) => {
      await assertEmpty(tx)
      return load(tx, lines, (table, row) => adapted(table, row, heading, db, config, secrets))
    })
    if (isShared(db)) setAside(config.home)
    return counts
  } finally { await db.destroy() }
}

async function opened(config: Config): Promise<{ db: Database; secrets: Secrets }> {
  await endGuard(config.home)
  if (config.masterKey === null && !existsSync(join(config.home, 'master.key'))) throw new Error(`there is no master key: ${config.home} has no master.key, and SLUICE_MASTER_KEY is not set`)
  return { db: await openDatabase(config), secrets: readSecrets(config.home, config.masterKey) }
}

/** A row as the database that it comes into has it; null: not at all. */
function adapted(table: Moved, row: Record<string, unknown>, heading: Heading, db: Database, config: Config, secrets: Secrets): object | null {
  // Whoever held it works on the other database.
  if (table === 'operations' || table === 'surveys') return { ...row, lease_owner: null, lease_until: null }
  if (table !== 'settings' || isShared(db)) return row
  // SQLite's are in the home.
  if (row['name'] === 'credentials' && heading.host !== hostId(config.home)) keepCredentials(config.home, JSON.parse(secrets.open(JSON.parse(String(row['value'])))))
  return row['name'] === 'credentials' || row['name'] === 'key check' ? null : row
}

/** What was exported must be all there is: opened, so that no server works on it meanwhile. */
async function assertUnchanged(heading: Heading, config: Config): Promise<void> {
  if (config.databaseUrl === null || !existsSync(join(config.home, 'sluice.db'))) return
  if (heading.host !== hostId(config.home) || heading.from !== 'SQLite') throw new Error(`${config.home} has a database of its own, sluice.db, and this is not an export of it: export that one, or give SLUICE_HOME another folder`)
  const own = await openDatabase({ home: config.home, databaseUrl: null })
  try {
    if (await lastAudit(own) !== heading.lastAudit) throw new Error(`${join(config.home, 'sluice.db')} has changed since this export: export it again`)
  } finally { await own.destroy() }
}

async function assertEmpty(tx: Tx): Promise<void> {
  for (const table of ['projects', 'instances', 'operations', 'audit', 'users', 'roles', 'user_roles', 'access_keys', 'revoked_tokens', 'network_records', 'templates'] as const) {
    if (await tx.selectFrom(table).select(({ lit }) => lit(1).as('one')).limit(1).executeTakeFirst()) throw new Error(`the database is not empty, it has ${table}: an import needs an empty one, in which no server was started yet`)
  }
  await tx.deleteFrom('settings').execute()
}

/** So that nobody starts a server on it by mistake, which would look after the same nodes. */
function setAside(home: string): void {
  for (const name of ['sluice.db', 'sluice.db-wal']) if (existsSync(join(home, name))) renameSync(join(home, name), join(home, name.replace('sluice.db', movedName)))
}
