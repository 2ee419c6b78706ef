/** Who shares the database, and which hosts are heard of. */
import type { Database, Tx } from './database.ts'

/** A control plane says this often that it lives. */
export const sayEveryMs = 2500
/** A host from which nobody was heard for this long is silent: three times in a row nothing was said. */
const silentAfterMs = 8000
/** What is older says nothing to anybody. */
const forgetAfterMs = 24 * 3600_000

/** Says that this control plane lives. */
export async function sayAlive(db: Database, plane: { readonly id: string; readonly host: string }, now: number): Promise<void> {
  await db.insertInto('control_planes').values({ ...plane, seen_at: now }).onConflict((conflict) => conflict.column('id').doUpdateSet({ seen_at: now })).execute()
}

/** Says that this control plane ends, and forgets those that nobody has heard of for a day. */
export async function sayGone(db: Database, id: string, now: number): Promise<void> {
  await db.deleteFrom('control_planes').where((q) => q.or([q('id', '=', id), q('seen_at', '<', now - forgetAfterMs)])).execute()
}

/** Hosts on which a control plane lives; whose nodes are looked after. */
export async function heardHosts(db: Database | Tx, now: number): Promise<Set<string>> {
  const rows = await db.selectFrom('control_planes').select('host').distinct().where('seen_at', '>=', now - silentAfterMs).execute()
  return new Set(rows.map((row) => row.host))
}

/** When each host was last heard of, epoch ms. */
export async function hostsSeen(db: Database | Tx): Promise<Map<string, number>> {
  const rows = await db.selectFrom('control_planes').select((q) => ['host', q.fn.max('seen_at').as('seen_at')]).groupBy('host').execute()
  return new Map(rows.map((row) => [row.host, Number(row.seen_at)]))
}

/** Whether somebody lives on a host that was last heard of then. */
export function isHeard(seenAt: number | undefined, now: number): boolean { return seenAt !== undefined && seenAt >= now - silentAfterMs }

/** How many others live on this host. */
export async function othersOn(db: Database, { id, host }: { readonly id: string; readonly host: string }, now: number): Promise<number> {
  const { count } = await db.selectFrom('control_planes').select((q) => q.fn.countAll<number>().as('count'))
    .where('host', '=', host).where('id', '!=', id).where('seen_at', '>=', now - silentAfterMs).executeTakeFirstOrThrow()
  return Number(count)
}
