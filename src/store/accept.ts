/** Accepting on a database that several control planes share: a look that holds nothing, and one statement that writes what is still so. */
import { sql } from 'kysely'
import { among, commit, plainText, type Database } from './database.ts'
import { auditCall } from './audit.ts'
import { specOf } from './instances.ts'
import type { Action, Memo, Operation } from '../core/operation.ts'
import type { EngineName, Instance } from '../core/instance.ts'

/** What a wish is judged by. */
export interface Seen extends Pick<Instance, 'id' | 'version' | 'spec' | 'generation' | 'health' | 'readyAt' | 'updatedAt'> { readonly open: Pick<Operation, 'action'> | null }

/** Instances of one project and engine with what is open, as of one instant; another tenant's is not found. */
export async function look(db: Database, projectId: string, engine: EngineName, ids: readonly string[]): Promise<Map<string, Seen>> {
  const rows = await db.selectFrom('instances as i').select((q) => [
    'i.id', 'i.project_id', 'i.engine', 'i.version', 'i.spec', 'i.generation', 'i.health', 'i.ready_at', 'i.updated_at',
    // Not joined: a planner that believes that little is open reads all of it for each of fifty rows.
    q.selectFrom('operations as o').select('o.action').whereRef('o.instance_id', '=', 'i.id').where('o.finished_at', 'is', null).as('action'),
  ])
    .where((q) => among(q.ref('i.id'), ids)).execute()
  return new Map(rows.filter((row) => row.project_id === projectId && row.engine === engine).map((row) => [row.id, {
    id: row.id, version: row.version, generation: row.generation, health: row.health, readyAt: row.ready_at, updatedAt: row.updated_at, open: row.action && { action: row.action },
    // Few actions ask for it.
    get spec() { return specOf(row.spec) },
  }]))
}

export interface Acceptance {
  readonly projectId: string; readonly engine: EngineName; readonly action: Action; readonly actor: string; readonly at: number; readonly memo: Memo
  /** Whether it raises the generation. */
  readonly bumps: boolean
  /** The operation's id, and its instance. */
  readonly wishes: readonly { readonly id: string; readonly seen: Seen }[]
}

/**
 * Opens an operation, raises the generation and appends an audit row for each instance that is as it was seen and has no
 * operation; answers the ids of these. PostgreSQL only, where each part of the statement sees the instances as they are once
 * they are held, and the audit comes last.
 */
export async function acceptAsSeen(db: Database, { projectId, engine, action, actor, at, memo, bumps, wishes }: Acceptance): Promise<Set<string>> {
  if (wishes.length === 0) return new Set()
  const audited = { at, actor: plainText(actor), project_id: projectId, action: `${action}.accepted`, detail: '' }
  const { rows: [row] } = await commit(db, sql<{ opened: string[] | null }>`
    with wish as materialized (
      select id, instance, generation, updated from unnest(${wishes.map((wish) => wish.id)}::text[], ${wishes.map((wish) => wish.seen.id)}::text[], ${wishes.map((wish) => wish.seen.generation)}::integer[], ${wishes.map((wish) => wish.seen.updatedAt)}::bigint[]) as wish (id, instance, generation, updated)
    ), held as materialized (
      select wish.id, i.id as instance, i.generation from wish join instances as i on i.id = wish.instance and i.generation = wish.generation and i.updated_at = wish.updated order by i.id for update of i
    ), opened as (
      insert into operations (id, instance_id, project_id, engine, action, generation, actor, created_at, next_at, memo)
      select id, instance, ${projectId}, ${engine}, ${action}, generation + ${bumps ? 1 : 0}::integer, ${audited.actor}, ${at}::bigint, ${at}::bigint, ${JSON.stringify(memo)} from held
      on conflict (instance_id) where finished_at is null do nothing returning id, instance_id
    ), ${bumps ? sql`bumped as (update instances set generation = instances.generation + 1, floor = null, updated_at = ${at} from opened where instances.id = opened.instance_id returning 1), ` : sql``}listed as (
      select array_agg(instance_id) as instances, array_agg(id) as operations from opened
    )
    select instances as opened, case when ${bumps ? sql`(select count(1) from bumped) > 0` : sql`instances is not null`} then ${auditCall(audited, sql.ref('instances'), sql.ref('operations'))} end from listed`)
  return new Set(row?.opened)
}
