/**
 * Brings a schema up to date: each migration once, whoever comes first, under the database's own lock. Migrations add
 * (expand); one that takes away (contract) comes a release later and sets `least schema` to what a release must know
 * from then on. So during a rolling update the previous release and this one work on the same schema.
 */
import { sql, type Kysely } from 'kysely'
import { Migrator, type Migration } from 'kysely/migration'
import { isUnavailable } from '../core/unavailable.ts'
import * as first from './migrations/0001-first.ts'
import * as topologies from './migrations/0002-topologies.ts'
import * as controlPlanes from './migrations/0003-control-planes.ts'
import * as auditFunction from './migrations/0004-audit-function.ts'
import * as pages from './migrations/0005-pages.ts'
import * as places from './migrations/0006-places.ts'
import * as backups from './migrations/0007-backups.ts'
import * as auditLists from './migrations/0008-audit-lists.ts'
import * as people from './migrations/0009-people.ts'
import * as surveys from './migrations/0010-surveys.ts'
import * as networks from './migrations/0011-networks.ts'
import * as templates from './migrations/0012-templates.ts'
import type { Tables } from './tables.ts'

const migrations: Readonly<Record<string, Migration>> = {
  '0001-first': first, '0002-topologies': topologies, '0003-control-planes': controlPlanes, '0004-audit-function': auditFunction, '0005-pages': pages, '0006-places': places, '0007-backups': backups,
  '0008-audit-lists': auditLists, '0009-people': people, '0010-surveys': surveys, '0011-networks': networks,
  '0012-templates': templates,
}
/** What this release's schema ends with. */
export const newest = Object.keys(migrations).at(-1)!

/** Throws a sentence when this release cannot serve the schema that is there; `name` begins it. */
export async function migrate(db: Kysely<Tables>, name: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const all = await known(db, name)
    const { error } = await new Migrator({ db, provider: { getMigrations: async () => all } }).migrateToLatest()
    if (!error) return
    if (isUnavailable(error)) throw error
    // A newer release may have added something since we looked.
    if (attempt === 2) throw new Error(`${name} has a schema that this release cannot serve: ${(error as Error).message}`)
  }
}

/** Ours, and in the place of each that a newer release has run, nothing: it only added. */
async function known(db: Kysely<Tables>, name: string): Promise<Record<string, Migration>> {
  const run = await executed(db)
  if (run.includes('0001-first')) {
    const least = await db.selectFrom('settings').select('value').where('name', '=', 'least schema').executeTakeFirst()
    if (least && JSON.parse(least.value) > newest) throw new Error(`${name} needs a release that knows its schema ${JSON.parse(least.value)}, and this one knows ${newest} at most: start the newer release`)
  }
  return { ...migrations, ...Object.fromEntries(run.filter((one) => !(one in migrations)).map((one) => [one, { async up() {} }])) }
}

/** The migrations that were run; none where nobody has begun. */
async function executed(db: Kysely<Tables>): Promise<string[]> {
  try {
    const { rows } = await sql<{ name: string }>`select name from kysely_migration`.execute(db)
    return rows.map((row) => row.name)
  } catch (error) {
    if (isUnavailable(error)) throw error
    return []
  }
}
