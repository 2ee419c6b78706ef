/** The folder that holds everything: database, keys, credentials, nodes. */
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { keepWhole, keptOnce } from './kept.ts'
import type { Config } from './config.ts'

/** The first user, whole: what the environment left open is generated once and kept, so that a restart changes no key. */
export interface Credentials {
  readonly user: string; readonly userId: string; readonly password: string
  readonly domain: string; readonly domainId: string
  readonly region: string; readonly project: string; readonly projectId: string
  readonly accessKey: string; readonly secretKey: string
}

/** What the SQLite database of a home is called when its state was moved to another one. */
export const movedName = 'sluice.db.moved'

/** The folder of a home's state that a restore has made ready, and that counts from then on. */
export const restoredName = 'restored'

/** Makes the folder, for its owner only, and finishes a restore that was killed. Throws a sentence when that cannot be. */
export function prepareHome(home: string): void {
  try { mkdirSync(home, { recursive: true, mode: 0o700 }) } catch (error) { throw new Error(`SLUICE_HOME ${home} cannot be made: ${(error as Error).message}`) }
  finishRestore(home)
}

/** Moves what a restore has made ready into its place; may be killed at any instant, and be called again. */
export function finishRestore(home: string): void {
  const from = join(home, restoredName)
  if (!existsSync(from)) return
  const names = readdirSync(from)
  // What the old database has not yet taken from its log is not the new one's.
  if (names.includes('sluice.db')) for (const log of ['sluice.db-wal', 'sluice.db-shm']) rmSync(join(home, log), { force: true })
  for (const name of names) renameSync(join(from, name), join(home, name))
  rmSync(from, { recursive: true, force: true })
}

/** What of the credentials is written down: given secrets stay where they were given, only generated ones are kept. */
export type KeptCredentials = Partial<Credentials>

/** Environment first, then credentials.json (mode 0600), then chance. */
export function readCredentials(config: Config): Credentials {
  const { credentials, kept } = settleCredentials(config, keptCredentials(config.home))
  keepCredentials(config.home, kept)
  return credentials
}

/** What credentials.json has. */
export function keptCredentials(home: string): KeptCredentials {
  const path = join(home, 'credentials.json')
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) as KeptCredentials : {}
}

/** For the CLI on this machine, and for the next start. */
export function keepCredentials(home: string, kept: KeptCredentials): void {
  keepWhole(join(home, 'credentials.json'), `${JSON.stringify(kept, null, 2)}\n`)
}

/** Environment first, then what was kept, then chance; and what is to be kept of it. */
export function settleCredentials(config: Config, kept: KeptCredentials): { readonly credentials: Credentials; readonly kept: KeptCredentials } {
  const wanted = config.identity
  // A project id belongs to its name: another SLUICE_PROJECT is another tenant, not a renamed one.
  const keptProjectId = kept.project === wanted.project ? kept.projectId : undefined
  const credentials: Credentials = {
    user: wanted.user, userId: kept.user === wanted.user && kept.userId ? kept.userId : hexId(),
    password: wanted.password ?? kept.password ?? randomBytes(18).toString('base64url'),
    domain: wanted.domain, domainId: kept.domain === wanted.domain && kept.domainId ? kept.domainId : hexId(),
    region: wanted.region, project: wanted.project, projectId: wanted.projectId ?? keptProjectId ?? hexId(),
    accessKey: wanted.accessKey ?? kept.accessKey ?? randomBytes(10).toString('hex').toUpperCase(),
    secretKey: wanted.secretKey ?? kept.secretKey ?? randomBytes(30).toString('base64url'),
  }
  const { password, secretKey, accessKey, ...plain } = credentials
  return {
    credentials,
    kept: {
      ...plain, ...(wanted.password === null ? { password } : {}),
      ...(wanted.accessKey === null ? { accessKey } : {}), ...(wanted.secretKey === null ? { secretKey } : {}),
    },
  }
}

/** What names this machine's nodes in the database: kept in the home, for a container's host name changes with each start. */
export function hostId(home: string): string { return keptOnce(join(home, 'host-id'), () => `${randomUUID()}\n`).trim() }

function hexId(): string { return randomUUID().replaceAll('-', '') }
