/**
 * What the control planes of one PostgreSQL must have in common, on whatever host they run: the master key, which is never
 * in the database, and the credentials, which are, sealed with it. See docs/decisions/0015.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { keepCredentials, keptCredentials, settleCredentials, type Credentials, type KeptCredentials } from './home.ts'
import { readSecrets, type Secrets } from './secrets.ts'
import { transact, inTurn, type Database } from './store/database.ts'
import { offerSetting, readSetting, writeSetting } from './store/settings.ts'
import type { Config } from './config.ts'

const otherKey = 'the database of SLUICE_DATABASE_URL belongs to another master key: give this control plane the SLUICE_MASTER_KEY of the others, or put a copy of their master.key into its home'

/** The secrets of this database. Throws a sentence when this home has other ones. */
export async function sharedSecrets(db: Database, { home, masterKey }: Pick<Config, 'home' | 'masterKey'>): Promise<Secrets> {
  // A key of our own, made now, would only be in the way of the right one later.
  // Asked in this order: whoever of this home wrote the check had made the file before.
  if (masterKey === null && await readSetting(db, 'key check', null) !== null && !existsSync(join(home, 'master.key'))) throw new Error(otherKey)
  const secrets = readSecrets(home, masterKey)
  // Says whether a key is the right one, and nothing else about it.
  const check = secrets.derive('key check').toString('base64url')
  if (await offerSetting(db, 'key check', check) !== check) throw new Error(otherKey)
  return secrets
}

/** The credentials of this database; a copy of what is kept of them goes into the home, where the CLI looks for it. */
export async function sharedCredentials(db: Database, secrets: Secrets, config: Config): Promise<Credentials> {
  const { credentials, kept } = await transact(db, async (tx) => {
    await inTurn(tx, 'credentials')
    const sealed = await readSetting<string | null>(tx, 'credentials', null)
    const before: KeptCredentials = sealed === null ? keptCredentials(config.home) : JSON.parse(secrets.open(sealed))
    const missing = sealed === null ? [] : (['password', 'accessKey', 'secretKey'] as const).filter((name) => before[name] === undefined && config.identity[name] === null)
    if (missing.length > 0) throw new Error(`${missing.map((name) => variables[name]).join(', ')} came from the environment of the control planes that share this database: give this one the same`)
    const settled = settleCredentials(config, before)
    if (sealed === null || JSON.stringify(settled.kept) !== JSON.stringify(before)) await writeSetting(tx, 'credentials', secrets.seal(JSON.stringify(settled.kept)))
    return settled
  })
  keepCredentials(config.home, kept)
  return credentials
}

const variables = { password: 'SLUICE_PASSWORD', accessKey: 'SLUICE_ACCESS_KEY', secretKey: 'SLUICE_SECRET_KEY' } as const
