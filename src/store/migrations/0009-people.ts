/** Users, roles, access keys, and tokens that were revoked. Only adds: the first user stays where it was, in the settings of the server. */
import type { Kysely } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createTable('users')
    .addColumn('id', 'text', (c) => c.primaryKey()).addColumn('domain', 'text', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull()).addColumn('description', 'text', (c) => c.notNull())
    .addColumn('password', 'text', (c) => c.notNull()).addColumn('epoch', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addUniqueConstraint('users_by_name', ['domain', 'name']).execute()
  await db.schema.createTable('roles')
    .addColumn('domain', 'text', (c) => c.notNull()).addColumn('name', 'text', (c) => c.notNull())
    .addColumn('description', 'text', (c) => c.notNull()).addColumn('rules', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('roles_key', ['domain', 'name']).execute()
  // An empty project stands for all of them.
  await db.schema.createTable('user_roles')
    .addColumn('user_id', 'text', (c) => c.notNull()).addColumn('project_id', 'text', (c) => c.notNull())
    .addColumn('role', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('user_roles_key', ['user_id', 'project_id', 'role']).execute()
  await db.schema.createTable('access_keys')
    .addColumn('id', 'text', (c) => c.primaryKey()).addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('secret', 'text', (c) => c.notNull()).addColumn('description', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull()).execute()
  await db.schema.createTable('revoked_tokens')
    .addColumn('id', 'text', (c) => c.primaryKey()).addColumn('sequence', 'bigint', (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull()).execute()
}
