/** Everything that a database has, as lines of JSON: a heading, then a row each. */
import { hostId, keptCredentials } from '../home.ts'
import { formerName, nameOf } from '../store/blocks.ts'
import { isShared, snapshot, type Database, type Tx } from '../store/database.ts'
import { newest } from '../store/migrate.ts'
import type { Secrets } from '../secrets.ts'
import type { Tables } from '../store/tables.ts'

/** In the order of the lines. Control planes are not state. */
export const tables = ['settings', 'projects', 'instances', 'nodes', 'addresses', 'operations', 'backups', 'restores', 'surveys', 'audit', 'users', 'roles', 'user_roles', 'access_keys', 'revoked_tokens', 'network_records', 'templates'] as const satisfies readonly (keyof Tables)[]
export type Moved = [Exclude<keyof Tables, typeof tables[number] | 'control_planes'>] extends [never] ? typeof tables[number] : 'a table that no backup has'
/** Rows of one statement: SQLite and PostgreSQL both take some 30,000 values. */
const together = 500

export interface Heading { readonly export: 'sluice'; readonly schema: string; readonly host: string; readonly from: 'SQLite' | 'PostgreSQL'; readonly keyCheck: string; readonly lastAudit: string }
export type Counts = Record<Moved, number>

/** Ends the lines that a server gives while it runs, so that none are missing without a word. */
export const endOfState = JSON.stringify({ end: 'sluice' })

export function noRows(): Counts { return Object.fromEntries(tables.map((table) => [table, 0])) as Counts }

/** All rows as of one instant, passwords sealed as they are stored; `counts` is filled on the way. */
export async function* dump(db: Database, home: string, secrets: Secrets, counts: Counts = noRows()): AsyncGenerator<string> {
  const { lines, sequence } = await snapshot(db, async (tx) => {
    const last = await tx.selectFrom('audit').select(['sequence', 'hash']).orderBy('sequence', 'desc').limit(1).executeTakeFirst()
    const heading: Heading = { export: 'sluice', schema: newest, host: hostId(home), from: isShared(db) ? 'PostgreSQL' : 'SQLite', keyCheck: checkOf(secrets), lastAudit: last?.hash ?? '' }
    const lines = [JSON.stringify(heading)]
    for (const table of tables.filter((name) => name !== 'audit')) {
      const rows = await rowsOf(tx, table, home, secrets)
      counts[table] = rows.length
      for (const row of rows) lines.push(JSON.stringify({ [table]: row }))
    }
    return { lines, sequence: last?.sequence ?? 0 }
  })
  yield* lines
  // Nobody changes what the audit has, and it is what grows: read in pieces, while others write.
  for (let from = 0; from < sequence; from += together) {
    const rows = await db.selectFrom('audit').selectAll().where('sequence', '>', from).where('sequence', '<=', Math.min(from + together, sequence)).orderBy('sequence').execute()
    counts.audit += rows.length
    for (const row of rows) yield JSON.stringify({ audit: row })
  }
}

/** The heading of such lines. Throws a sentence when they are not ours, or a newer release's. */
export function headingOf(file: string, line: string | undefined): Heading {
  const heading = parsed(line) as Partial<Heading>
  if (heading.export !== 'sluice' || !heading.schema) throw new Error(`${file} is not an export of Sluice`)
  if (heading.schema > newest) throw new Error(`${file} is from a newer release, whose schema ends with ${heading.schema}: import it with that one`)
  return heading as Heading
}

const begun = new WeakSet<AsyncIterator<string>>()

/** Inserts what follows the heading; `adapt` answers a row as this database has it, null: not at all. */
export async function load(tx: Tx, lines: AsyncIterator<string>, adapt: (table: Moved, row: Record<string, unknown>) => object | null): Promise<Counts> {
  // A transaction that is tried again would find no lines left, and be content.
  if (begun.has(lines)) throw new Error('the database was busy with something else: try again')
  begun.add(lines)
  const counts = noRows()
  let [table, rows]: [Moved, object[]] = ['settings', []]
  const flush = async (): Promise<void> => {
    if (rows.length > 0) await tx.insertInto(table).values(rows as never).execute()
    counts[table] += rows.length
    rows = []
  }
  for (let next = await lines.next(); !next.done; next = await lines.next()) {
    const [[name, row]] = Object.entries(parsed(next.value)) as [[Moved, Record<string, unknown>]]
    if (!tables.includes(name)) throw new Error(`the file has rows of ${name}, which this release does not know`)
    if (name !== table || rows.length === together) await flush()
    table = name
    const wanted = adapt(name, row)
    if (wanted) rows.push(wanted)
  }
  await flush()
  return counts
}

/** A home's own settings go along as they would stand in a shared database. */
async function rowsOf(tx: Tx, table: Moved, home: string, secrets: Secrets): Promise<readonly object[]> {
  const rows: readonly object[] = await tx.selectFrom(table).selectAll().execute()
  if (table !== 'settings') return rows
  const settings = rows as readonly { name: string; value: string }[]
  const own = { 'key check': checkOf(secrets), credentials: secrets.seal(JSON.stringify(keptCredentials(home))) }
  return [
    ...settings.map((row) => row.name === formerName ? { ...row, name: nameOf(hostId(home)) } : row),
    ...Object.entries(own).filter(([name]) => !settings.some((row) => row.name === name)).map(([name, value]) => ({ name, value: JSON.stringify(value) })),
  ]
}

/** The hash of the newest audit row: two databases that have the same are the same. */
export async function lastAudit(db: Database | Tx): Promise<string> {
  return (await db.selectFrom('audit').select('hash').orderBy('sequence', 'desc').limit(1).executeTakeFirst())?.hash ?? ''
}

/** As in agreement.ts. */
export function checkOf(secrets: Secrets): string { return secrets.derive('key check').toString('base64url') }

/** A line as what it says. */
export function parsed(line: string | undefined): object {
  try { return JSON.parse(line ?? '') as object } catch { throw new Error('the file is damaged: a line of it is not JSON') }
}
