/** Everybody who may sign in, in memory: read at the start, and again when a version in the database says that somebody changed. */
import { builtInRoles, type Role, type Rule } from '../core/policy.ts'
import { isShared, type Database } from '../store/database.ts'
import { readPeople, readVersion, revokedSince, type People, type Version } from '../store/people.ts'
import type { AccessKeyRow, UserRow } from '../store/tables.ts'

export interface Member {
  readonly row: UserRow
  /** By project; what counts in all of them is at ''. */
  readonly roles: ReadonlyMap<string, readonly Role[]>
  readonly keys: readonly AccessKeyRow[]
}

export interface Known {
  readonly version: Version
  readonly members: ReadonlyMap<string, Member>
  readonly byName: ReadonlyMap<string, Member>
  readonly keys: ReadonlyMap<string, AccessKeyRow>
  /** Those of the database; the others are always there. */
  readonly roles: ReadonlyMap<string, Role>
}

export interface Memory {
  now(): Known
  isRevoked(id: string): boolean
  /** Resolves when everything that was committed before this call is known. */
  refresh(): Promise<void>
  /** The same, after a change of our own. */
  reload(): Promise<void>
}

/** `changed` is called with each new state. */
export async function peopleMemory(db: Database, domain: string, changed: () => void): Promise<Memory> {
  let known = knownOf(await readPeople(db, domain))
  const revoked = new Map<string, number>()
  await learnRevoked(0)
  const shared = isShared(db)
  let looking: Promise<void> | null = null
  let following: Promise<void> | null = null

  async function learnRevoked(after: number): Promise<void> {
    const now = Date.now()
    for (const [id, expiresAt] of revoked) if (expiresAt <= now) revoked.delete(id)
    for (const row of await revokedSince(db, after, now)) revoked.set(row.id, row.expires_at)
  }

  async function look(): Promise<void> {
    const [people, newest] = await readVersion(db)
    const [knownPeople, knownNewest] = known.version
    if (newest !== knownNewest) await learnRevoked(knownNewest)
    const before = known
    known = people === knownPeople ? { ...known, version: [people, newest] } : knownOf(await readPeople(db, domain), newest)
    if (before.version[0] !== known.version[0]) changed()
  }

  /** A look that began before somebody asked may have missed what that one must know; so they share the next. */
  async function refresh(): Promise<void> {
    if (!looking) return looking = look().finally(() => { looking = null })
    return following ??= looking.catch(() => {}).then(() => { following = null; return refresh() })
  }

  return {
    now: () => known,
    isRevoked: (id) => revoked.has(id),
    // A database of our own is changed by nobody else.
    refresh: () => shared ? refresh() : nothing,
    reload: refresh,
  }
}

const nothing = Promise.resolve()

/** `revoked`: the number up to which revoked tokens were read, when that was not at the same instant. */
function knownOf(people: People, revoked = people.version[1]): Known {
  const roles = new Map(people.roles.map((row): [string, Role] => [row.name, { name: row.name, description: row.description, rules: JSON.parse(row.rules) as Rule[] }]))
  const all = new Map([...roles, ...builtInRoles.map((role): [string, Role] => [role.name, role])])
  const rolesOf = Map.groupBy(people.userRoles, (row) => row.user_id)
  const keysOf = Map.groupBy(people.keys, (row) => row.user_id)
  const members = new Map(people.users.map((row): [string, Member] => [row.id, {
    row, keys: keysOf.get(row.id) ?? [],
    roles: new Map([...Map.groupBy(rolesOf.get(row.id) ?? [], (one) => one.project_id)].map(([project, rows]) => [project, rows.flatMap((one) => all.get(one.role) ?? [])])),
  }]))
  return {
    version: [people.version[0], revoked], members, roles,
    byName: new Map([...members.values()].map((member) => [member.row.name, member])),
    keys: new Map(people.keys.filter((key) => members.has(key.user_id)).map((key) => [key.id, key])),
  }
}
