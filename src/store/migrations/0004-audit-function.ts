/** PostgreSQL appends to the audit in one call: whoever appends has the chain to itself, and each turn of the network in between was everybody's wait. Only adds. */
import { PostgresAdapter, sql, type Kysely } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  if (!(db.getExecutor().adapter instanceof PostgresAdapter)) return
  // The lock is the one that releases before this take by themselves. `rest` is the row as JSON from its time on.
  await sql`
    create function sluice_append_audit(entries json) returns void language plpgsql as $$
    declare
      last_sequence bigint;
      last_hash text;
      entry record;
    begin
      perform pg_advisory_xact_lock(7480001);
      select sequence, hash into last_sequence, last_hash from audit order by sequence desc limit 1;
      last_sequence := coalesce(last_sequence, 0);
      last_hash := coalesce(last_hash, '');
      for entry in select * from json_to_recordset(entries) as e (at bigint, actor text, project_id text, action text, instance_id text, operation_id text, detail text, rest text) loop
        last_sequence := last_sequence + 1;
        last_hash := encode(sha256(convert_to('["' || last_hash || '",' || last_sequence || ',' || entry.rest, 'UTF8')), 'hex');
        insert into audit (sequence, at, actor, project_id, action, instance_id, operation_id, detail, hash)
        values (last_sequence, entry.at, entry.actor, entry.project_id, entry.action, entry.instance_id, entry.operation_id, entry.detail, last_hash);
      end loop;
    end $$`.execute(db)
}
