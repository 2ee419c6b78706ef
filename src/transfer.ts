/**
 * `sluice export` and `sluice import`: everything that a database has, as lines of JSON. Nodes are not touched: they run
 * on, and the server that starts on the other database finds them by their folders in the home.
 */
import { createReadStream, createWriteStream, existsSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { finished } from 'node:stream/promises'
import { endGuard } from './guard.ts'
import { hostId, keepCredentials, keptCredentials, movedName } from './home.ts'
import { readSecrets, type Secrets } from './secrets.ts'
import { formerName, nameOf } from './store/blocks.ts'
import { isShared, openDatabase, snapshot, transact, type Database, type Tx } from './store/database.ts'
import { newest } from './store/migrate.ts'
import type { Config } from './config.ts'
import type { Tables } from './store/tables.ts'

/** In the order of the file. Control planes are not state. */
const tables = ['settings', 'projects', 'instances', 'nodes', 'addresses', 'operations', 'backups', 'restores', 'surveys', 'audit', 'users', 'roles', 'user_roles', 'access_keys', 'revoked_tokens', 'network_records'] as const satisfies readonly (keyof Tables)[]
type Moved = typeof tables[number]
/** Rows of one statement: SQLite and PostgreSQL both take some 30,000 values. */
const together = 500

interface Heading { readonly export: 'sluice'; readonly schema: string; readonly host: string; readonly from: 'SQLite' | 'PostgreSQL'; readonly keyCheck: string; readonly lastAudit: string }
export type Counts = Readonly<Record<Moved, number>>

/** Writes all rows, passwords sealed as they are stored, into a new file of the owner's only. The server on SQLite must be stopped. */
export async function exportTo(file: string, config: Config): Promise<Counts> {
  if (existsSync(file)) throw new Error(`${file} is there already: name another file`)
  const { db, secrets } = await opened(config)
  try {
    const out = createWriteStream(file, { mode: 0o600, flags: 'wx' })
    const write = (value: object): void => { out.write(`${JSON.stringify(value)}\n`) }
    const counts = await snapshot(db, async (tx) => {
      write({ export: 'sluice', schema: newest, host: hostId(config.home), from: isShared(db) ? 'PostgreSQL' : 'SQLite', keyCheck: checkOf(secrets), lastAudit: await lastAudit(tx) } satisfies Heading)
      const counts: Record<string, number> = {}
      for (const table of tables) {
        const rows = await rowsOf(tx, table, config, secrets)
        for (const row of rows) write({ [table]: row })
        counts[table] = rows.length
      }
      return counts as Counts
    })
    out.end()
    await finished(out)
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
  const heading = parsed((await lines.next()).value) as Partial<Heading>
  if (heading.export !== 'sluice' || !heading.schema) throw new Error(`${file} is not an export of Sluice`)
  if (heading.schema > newest) throw new Error(`${file} is from a newer release, whose schema ends with ${heading.schema}: import it with that one`)
  await endGuard(config.home)
  await assertUnchanged(heading as Heading, config)
  const { db, secrets } = await opened(config)
  try {
    if (heading.keyCheck !== checkOf(secrets)) throw new Error('the export was sealed with another master key: set SLUICE_MASTER_KEY to that one, or put a copy of its master.key into this home')
    const counts = await transact(db, async (tx) => {
      await assertEmpty(tx)
      const counts = Object.fromEntries(tables.map((table) => [table, 0])) as Record<Moved, number>
      let [table, rows]: [Moved, object[]] = ['settings', []]
      const flush = async (): Promise<void> => {
        if (rows.length > 0) await tx.insertInto(table).values(rows as never).execute()
        counts[table] += rows.length
        rows = []
      }
      for (let next = await lines.next(); !next.done; next = await lines.next()) {
        const [[name, row]] = Object.entries(parsed(next.value)) as [[Moved, Record<string, unknown>]]
        if (!tables.includes(name)) throw new Error(`${file} has rows of ${name}, which this release does not know`)
        if (name !== table || rows.length === together) await flush()
        table = name
        const wanted = adapted(name, row, heading as Heading, db, config, secrets)
        if (wanted) rows.push(wanted)
      }
      await flush()
      return counts
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

/** A home's own settings go along as they would stand in a shared database. */
async function rowsOf(tx: Tx, table: Moved, config: Config, secrets: Secrets): Promise<readonly object[]> {
  const rows: readonly object[] = await tx.selectFrom(table).selectAll().execute()
  if (table !== 'settings') return rows
  const settings = rows as readonly { name: string; value: string }[]
  const own = { 'key check': checkOf(secrets), credentials: secrets.seal(JSON.stringify(keptCredentials(config.home))) }
  return [
    ...settings.map((row) => row.name === formerName ? { ...row, name: nameOf(hostId(config.home)) } : row),
    ...Object.entries(own).filter(([name]) => !settings.some((row) => row.name === name)).map(([name, value]) => ({ name, value: JSON.stringify(value) })),
  ]
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
  for (const table of ['projects', 'instances', 'operations', 'audit', 'users', 'roles', 'user_roles', 'access_keys', 'revoked_tokens', 'network_records'] as const) {
    if (await tx.selectFrom(table).select(({ lit }) => lit(1).as('one')).limit(1).executeTakeFirst()) throw new Error(`the database is not empty, it has ${table}: an import needs an empty one, in which no server was started yet`)
  }
  await tx.deleteFrom('settings').execute()
}

/** So that nobody starts a server on it by mistake, which would look after the same nodes. */
function setAside(home: string): void {
  for (const name of ['sluice.db', 'sluice.db-wal']) if (existsSync(join(home, name))) renameSync(join(home, name), join(home, name.replace('sluice.db', movedName)))
}

async function lastAudit(db: Database | Tx): Promise<string> {
  return (await db.selectFrom('audit').select('hash').orderBy('sequence', 'desc').limit(1).executeTakeFirst())?.hash ?? ''
}

/** As in agreement.ts. */
function checkOf(secrets: Secrets): string { return secrets.derive('key check').toString('base64url') }

function parsed(line: string | undefined): object {
  try { return JSON.parse(line ?? '') as object } catch { throw new Error('the file is damaged: a line of it is not JSON') }
}
