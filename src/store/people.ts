/** Users, their roles and access keys, and the tokens that were revoked. Read whole: who asks answers from memory. */
import { inTurn, snapshot, transact, type Database, type Tx } from './database.ts'
import { readSetting, writeSetting } from './settings.ts'
import type { AccessKeyRow, RevokedTokenRow, RoleRow, UserRoleRow, UserRow } from './tables.ts'

export interface People {
  readonly version: Version
  readonly users: readonly UserRow[]
  readonly roles: readonly RoleRow[]
  readonly userRoles: readonly UserRoleRow[]
  readonly keys: readonly AccessKeyRow[]
}

/** Raised by each change, in its transaction: how often people changed, and the number of the newest revoked token. */
export type Version = readonly [people: number, revoked: number]

const versionName = 'people version'

export async function readVersion(db: Database | Tx): Promise<Version> { return readSetting<Version>(db, versionName, [0, 0]) }

/** All of one domain, as of one instant. */
export async function readPeople(db: Database, domain: string): Promise<People> {
  return snapshot(db, async (tx) => ({
    version: await readVersion(tx),
    users: await tx.selectFrom('users').selectAll().where('domain', '=', domain).orderBy('name').execute(),
    roles: await tx.selectFrom('roles').selectAll().where('domain', '=', domain).orderBy('name').execute(),
    userRoles: await tx.selectFrom('user_roles as r').innerJoin('users as u', 'u.id', 'r.user_id').selectAll('r').where('u.domain', '=', domain).orderBy('r.role').orderBy('r.project_id').execute(),
    keys: await tx.selectFrom('access_keys').selectAll().orderBy('created_at').orderBy('id').execute(),
  }))
}

/** Those with a number above `after`, in its order. */
export async function revokedSince(db: Database, after: number, now: number): Promise<RevokedTokenRow[]> {
  return db.selectFrom('revoked_tokens').selectAll().where('sequence', '>', after).where('expires_at', '>', now).orderBy('sequence').execute()
}

/** Changes people in one transaction; changes take turns, and every control plane learns of each by the version. */
export async function changePeople<T>(db: Database, change: (tx: Tx) => Promise<T>): Promise<T> {
  return transact(db, async (tx) => {
    await inTurn(tx, 'people')
    const [people, revoked] = await readVersion(tx)
    const result = await change(tx)
    await writeSetting(tx, versionName, [people + 1, revoked])
    return result
  })
}

/** No control plane takes this token from here on. It may be said twice. Those that ended by themselves are forgotten. */
export async function revokeToken(db: Database, id: string, expiresAt: number, now: number): Promise<void> {
  await transact(db, async (tx) => {
    await inTurn(tx, 'people')
    const [people, revoked] = await readVersion(tx)
    await tx.deleteFrom('revoked_tokens').where('expires_at', '<=', now).execute()
    await tx.insertInto('revoked_tokens').values({ id, sequence: revoked + 1, expires_at: expiresAt }).onConflict((conflict) => conflict.column('id').doNothing()).execute()
    await writeSetting(tx, versionName, [people, revoked + 1])
  })
}

export async function insertUser(tx: Tx, user: UserRow): Promise<void> { await tx.insertInto('users').values(user).execute() }

/** Another password; every token that was given for the one before ends. */
export async function setPassword(tx: Tx, id: string, password: string): Promise<void> {
  await tx.updateTable('users').set((q) => ({ password, epoch: q('epoch', '+', 1) })).where('id', '=', id).execute()
}

/** With roles and keys. */
export async function deleteUser(tx: Tx, id: string): Promise<void> {
  await tx.deleteFrom('user_roles').where('user_id', '=', id).execute()
  await tx.deleteFrom('access_keys').where('user_id', '=', id).execute()
  await tx.deleteFrom('users').where('id', '=', id).execute()
}

export async function addUserRole(tx: Tx, row: UserRoleRow): Promise<void> {
  await tx.insertInto('user_roles').values(row).onConflict((conflict) => conflict.columns(['user_id', 'project_id', 'role']).doNothing()).execute()
}

/** False when the user does not have it there. */
export async function removeUserRole(tx: Tx, row: UserRoleRow): Promise<boolean> {
  const done = await tx.deleteFrom('user_roles').where('user_id', '=', row.user_id).where('project_id', '=', row.project_id).where('role', '=', row.role).executeTakeFirst()
  return Number(done.numDeletedRows) === 1
}

export async function putRole(tx: Tx, row: RoleRow): Promise<void> {
  await tx.insertInto('roles').values(row).onConflict((conflict) => conflict.columns(['domain', 'name']).doUpdateSet({ description: row.description, rules: row.rules })).execute()
}

export async function deleteRole(tx: Tx, domain: string, name: string): Promise<void> {
  await tx.deleteFrom('roles').where('domain', '=', domain).where('name', '=', name).execute()
}

export async function insertKey(tx: Tx, row: AccessKeyRow): Promise<void> { await tx.insertInto('access_keys').values(row).execute() }

export async function deleteKey(tx: Tx, id: string): Promise<void> { await tx.deleteFrom('access_keys').where('id', '=', id).execute() }

export async function userName(tx: Tx, id: string): Promise<string | null> {
  return (await tx.selectFrom('users').select('name').where('id', '=', id).executeTakeFirst())?.name ?? null
}

export async function hasRole(tx: Tx, domain: string, name: string): Promise<boolean> {
  return await tx.selectFrom('roles').select('name').where('domain', '=', domain).where('name', '=', name).executeTakeFirst() !== undefined
}

/** Whether anybody has it, anywhere. */
export async function roleIsHeld(tx: Tx, name: string): Promise<boolean> {
  return await tx.selectFrom('user_roles').select('user_id').where('role', '=', name).limit(1).executeTakeFirst() !== undefined
}

export async function keyIds(tx: Tx, userId: string): Promise<string[]> {
  return (await tx.selectFrom('access_keys').select('id').where('user_id', '=', userId).execute()).map((row) => row.id)
}
