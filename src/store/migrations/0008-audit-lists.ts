/** PostgreSQL appends audit rows of one kind from two lists, and needs to read no JSON for that; the function of 0004 stays for the release before this. Only adds. */
import { PostgresAdapter, sql, type Kysely } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  if (!(db.getExecutor().adapter instanceof PostgresAdapter)) return
  // Same lock and same hashes as there: `head` and `tail` are the row as JSON, before and after its two ids.
  await sql`
    create function sluice_append_audit(at bigint, actor text, project text, action text, detail text, instances text[], operations text[], head text, tail text) returns void language plpgsql as $$
    declare
      last_sequence bigint;
      last_hash text;
      hashes text[];
    begin
      perform pg_advisory_xact_lock(7480001);
      select a.sequence, a.hash into last_sequence, last_hash from audit a order by a.sequence desc limit 1;
      last_sequence := coalesce(last_sequence, 0);
      last_hash := coalesce(last_hash, '');
      for n in 1 .. cardinality(instances) loop
        last_hash := encode(sha256(convert_to('["' || last_hash || '",' || last_sequence + n || ',' || head || to_json(instances[n]) || ',' || to_json(operations[n]) || tail, 'UTF8')), 'hex');
        hashes[n] := last_hash;
      end loop;
      insert into audit (sequence, at, actor, project_id, action, instance_id, operation_id, detail, hash)
      select last_sequence + row.n, at, actor, project, action, row.instance, row.operation, detail, row.hash from unnest(instances, operations, hashes) with ordinality as row (instance, operation, hash, n);
    end $$`.execute(db)
}
