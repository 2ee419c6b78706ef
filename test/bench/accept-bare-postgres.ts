/**
 * The same as accept-bare.ts on PostgreSQL: one transaction with the same rows, in as few statements as there are tables.
 * Arguments: home, port, project, number of instances; the database is in SLUICE_DATABASE_URL.
 */
import { randomUUID } from 'node:crypto'
import { fastify } from 'fastify'
import { Pool } from 'pg'
import { fill, finishAll } from './accept-rows.ts'

const [home, port, projectId, count] = process.argv.slice(2) as [string, string, string, string]
const url = process.env['SLUICE_DATABASE_URL']!
const { db, ids } = await fill(home, projectId, Number(count), url)
await db.destroy()
const pool = new Pool({ connectionString: url, max: 10 })
const hash = '0'.repeat(64)

async function commit(project: string, action: string, instances: readonly string[]): Promise<object[]> {
  const now = Date.now()
  // Sorted, or callers with the same instances would wait for each other in a circle.
  const wishes = instances.toSorted().map((instance) => ({ instance, id: randomUUID().replaceAll('-', '') }))
  const lists = [wishes.map((wish) => wish.id), wishes.map((wish) => wish.instance)]
  const client = await pool.connect()
  try {
    await client.query('begin')
    await client.query({ name: 'operations', text: `insert into operations (id, instance_id, project_id, engine, action, generation, actor, created_at, next_at, memo)
      select id, instance, $3, 'redis', $4, 2, 'admin', $5, $5, '{}' from unnest($1::text[], $2::text[]) as wish (id, instance)`, values: [...lists, project, action, now] })
    await client.query({ name: 'generations', text: 'update instances set generation = generation + 1, updated_at = $2 where id = any($1)', values: [lists[1], now] })
    await client.query({ name: 'audit', text: `insert into audit (sequence, at, actor, project_id, action, instance_id, operation_id, detail, hash)
      select nextval('bare_audit'), $3, 'admin', $4, $5, instance, id, '', $6 from unnest($1::text[], $2::text[]) as wish (id, instance)`, values: [...lists, now, project, `${action}.accepted`, hash] })
    await client.query('commit')
  } finally { client.release() }
  return wishes.map(({ instance, id }) => ({ instance, result: 'success', task_id: id }))
}

await pool.query('create sequence if not exists bare_audit')
const app = fastify()
app.put<{ Params: { project_id: string }; Body: { action: string; instances: string[] } }>('/v2/:project_id/instances/status', async (request) =>
  ({ results: await commit(request.params.project_id, request.body.action, request.body.instances) }))
await app.listen({ host: '127.0.0.1', port: Number(port) })
process.on('message', () => { void pool.query(finishAll).then(() => process.send!('finished')) })
process.on('disconnect', () => process.exit())
process.send?.({ ids })
