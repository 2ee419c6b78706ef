/**
 * `sluice backup` and `sluice restore`: Sluice's own state with its keys in one file. What instances hold is not in it. A
 * restore puts the state of then beside the nodes of now, and sees to it that neither takes the other for older than it is.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkOf, dump, endOfState, headingOf, load, parsed, tables, type Counts, type Heading, type Moved } from './dump.ts'
import { endGuard } from '../guard.ts'
import { followData } from './followed.ts'
import { finishRestore, hostId, keptCredentials, prepareHome, restoredName, type KeptCredentials } from '../home.ts'
import { linesOf, readSealed, writeSealed } from './sealed-file.ts'
import { masterBytes, readSecrets } from '../secrets.ts'
import { appendAudit } from '../store/audit.ts'
import { heardHosts } from '../store/control-planes.ts'
import { isShared, openDatabase, transact, type Database, type Tx } from '../store/database.ts'
import { endUnrepeatable, raiseGenerations } from '../store/restored.ts'
import type { Config } from '../config.ts'

/** Stands before the lines of a dump. */
interface Keys { readonly backup: 'sluice'; readonly at: number; readonly masterKey: string; readonly hostId: string; readonly credentials: KeptCredentials }

/** So often a state would have to be restored to reach the limit of the column; so many restarts may lie between a backup and now. */
const generationsAhead = 10_000

/**
 * Writes the state into a new file. `live`: what the server of this home gives of it, null where none runs; a PostgreSQL
 * is read directly, whoever works on it. Throws a sentence when it cannot be.
 */
export async function backUp(file: string, config: Config, passphrase: string | null, live: () => Promise<AsyncIterable<Uint8Array> | null>): Promise<void> {
  if (existsSync(file)) throw new Error(`${file} is there already: name another file`)
  if (config.masterKey === null && !existsSync(join(config.home, 'master.key'))) throw new Error(`there is no master key: ${config.home} has no master.key, and SLUICE_MASTER_KEY is not set`)
  const secrets = readSecrets(config.home, config.masterKey)
  const keys: Keys = { backup: 'sluice', at: Date.now(), masterKey: masterBytes(config.home, config.masterKey).toString('base64url'), hostId: hostId(config.home), credentials: keptCredentials(config.home) }
  const given = config.databaseUrl === null ? await live() : null
  const db = given ? null : await openedSoon(config)
  try {
    await writeSealed(file, passphrase, (async function* () {
      yield `${JSON.stringify(keys)}\n`
      let [heading, ended]: [Heading | null, boolean] = [null, db !== null]
      for await (const line of given ? linesOf(given) : dump(db!, config.home, secrets)) {
        if (line === endOfState) { ended = true; continue }
        if (heading === null) {
          heading = headingOf('what the server gave', line)
          if (heading.keyCheck !== checkOf(secrets) || heading.host !== keys.hostId) throw new Error('the server has another home or master key than this command: set SLUICE_HOME, SLUICE_MASTER_KEY and SLUICE_DATABASE_URL as it has them')
        }
        yield `${line}\n`
      }
      if (!ended) throw new Error('the server broke off in the middle of its state: try again')
    })())
  } finally { await db?.destroy() }
}

/** Makes the state of a backup the one of this home, and of SLUICE_DATABASE_URL; all of it, or nothing is changed. `unknown`: folders of nodes that the backup does not know. */
export async function restore(file: string, config: Config, passphrase: string | null, force: boolean): Promise<{ readonly counts: Counts; readonly at: number; readonly unknown: readonly string[] }> {
  const lines = (await readSealed(file, passphrase))[Symbol.asyncIterator]()
  const keys = parsed((await lines.next()).value) as Keys
  if (keys.backup !== 'sluice') throw new Error(`${file} is not a backup of Sluice`)
  const heading = headingOf(file, (await lines.next()).value)
  prepareHome(config.home)
  const master = Buffer.from(keys.masterKey, 'base64url')
  if (config.masterKey !== null && !masterBytes(config.home, config.masterKey).equals(master)) throw new Error('SLUICE_MASTER_KEY is not the key that this backup was made with: set it to that one, or leave it unset, and the home gets the key')
  const there = readdirSync(config.home)
  if (there.length > 0 && !force) throw new Error(`${config.home} is not empty: with --force its state is replaced, and the folders of nodes stay`)
  if (config.databaseUrl !== null && there.includes('sluice.db')) throw new Error(`${config.home} has a database of its own, sluice.db: unset SLUICE_DATABASE_URL, or give SLUICE_HOME another folder`)
  await endGuard(config.home)
  // Held until all is ready, so that no server starts on it meanwhile.
  const before = there.includes('sluice.db') ? await openDatabase({ home: config.home, databaseUrl: null }).catch(rethrowIfUsed) : null
  const staging = join(config.home, 'restoring')
  rmSync(staging, { recursive: true, force: true })
  mkdirSync(staging, { mode: 0o700 })
  try {
    const write = (name: string, text: string): void => writeFileSync(join(staging, name), text, { mode: 0o600 })
    if (config.masterKey === null) write('master.key', `${keys.masterKey}\n`)
    write('host-id', `${keys.hostId}\n`)
    write('credentials.json', `${JSON.stringify(keys.credentials, null, 2)}\n`)
    const db = await openDatabase({ home: staging, databaseUrl: config.databaseUrl })
    let counts: Counts
    try { counts = await replaced(db, lines, keys, heading, force, config.home) } finally { await db.destroy() }
    await before?.destroy()
    renameSync(staging, join(config.home, restoredName))
    finishRestore(config.home)
    return { counts, at: keys.at, unknown: await unknownNodes(config) }
  } finally {
    rmSync(staging, { recursive: true, force: true })
    await before?.destroy()
  }
}

function replaced(db: Database, lines: AsyncIterator<string>, keys: Keys, heading: Heading, force: boolean, home: string): Promise<Counts> {
  return transact(db, async (tx) => {
    const now = Date.now()
    if (isShared(db) && (await heardHosts(tx, now)).size > 0) throw new Error('control planes work on the database of SLUICE_DATABASE_URL: stop all of them, and wait ten seconds')
    if (!force && await isFilled(tx)) throw new Error('the database of SLUICE_DATABASE_URL is not empty: with --force its rows are replaced')
    for (const table of tables) await tx.deleteFrom(table).execute()
    const counts = await load(tx, lines, (table, row) => adapted(db, table, row))
    await raiseGenerations(tx, generationsAhead)
    await endUnrepeatable(tx, now)
    await followData(tx, home)
    await appendAudit(tx, [{ at: now, actor: 'sluice', projectId: '', action: 'state.restored', instanceId: '', operationId: '', detail: `as of ${new Date(keys.at).toISOString()}, from ${heading.from}` }])
    return counts
  })
}

/** Whoever held an operation holds it no more; a home's own credentials are files of it. */
function adapted(db: Database, table: Moved, row: Record<string, unknown>): object | null {
  if (table === 'operations') return { ...row, lease_owner: null, lease_until: null }
  return table === 'settings' && !isShared(db) && ['credentials', 'key check'].includes(String(row['name'])) ? null : row
}

async function isFilled(tx: Tx): Promise<boolean> {
  for (const table of ['projects', 'instances', 'operations', 'audit'] as const) if (await tx.selectFrom(table).select(({ lit }) => lit(1).as('one')).limit(1).executeTakeFirst()) return true
  return false
}

async function unknownNodes(config: Config): Promise<string[]> {
  const folder = join(config.home, 'nodes')
  if (!existsSync(folder)) return []
  const db = await openDatabase(config)
  try {
    const known = new Set((await db.selectFrom('nodes').select('id').execute()).map(({ id }) => id))
    return readdirSync(folder).filter((id) => !known.has(id) && existsSync(join(folder, id, 'generation')) && !readFileSync(join(folder, id, 'generation'), 'utf8').startsWith('removed'))
  } finally { await db.destroy() }
}

/** A guard that is at work has the database for a moment. */
async function openedSoon(config: Config): Promise<Database> {
  for (let tries = 0; ; tries += 1) {
    try { return await openDatabase(config) } catch (error) {
      if (tries === 20 || config.databaseUrl !== null) throw error
      await sleep(100)
    }
  }
}

/** What cannot be opened at all is replaced all the same; what somebody uses is not. */
function rethrowIfUsed(error: Error): null {
  if (error.message.startsWith('another Sluice server')) throw error
  return null
}
