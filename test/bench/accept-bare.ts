/**
 * The least that could keep the same promise: one Fastify route that commits the same rows into the same tables, as
 * durably, and answers in the same form. It asks nobody's name, checks nothing, reads nothing and chains no hashes.
 * Arguments: home, port, project, number of instances.
 */
import Sqlite from 'better-sqlite3'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { fastify } from 'fastify'
import { fill, finishAll } from './accept-rows.ts'

const [home, port, projectId, count] = process.argv.slice(2) as [string, string, string, string]
const { db, ids } = await fill(home, projectId, Number(count))
await db.destroy()
const file = new Sqlite(join(home, 'sluice.db'))
file.pragma('locking_mode = exclusive')
file.pragma('journal_mode = wal')
file.pragma('synchronous = full')

const operation = file.prepare(`insert into operations (id, instance_id, project_id, engine, action, generation, actor, created_at, next_at, memo) values (?, ?, ?, 'redis', ?, ?, 'admin', ?, ?, '{}')`)
const generation = file.prepare('update instances set generation = generation + 1, updated_at = ? where id = ?')
const audit = file.prepare(`insert into audit (sequence, at, actor, project_id, action, instance_id, operation_id, detail, hash) values (?, ?, 'admin', ?, ?, ?, ?, '', ?)`)
const hash = '0'.repeat(64)
let sequence = 0
const commit = file.transaction((project: string, action: string, instances: readonly string[]) => {
  const now = Date.now()
  return instances.map((instance) => {
    const id = randomUUID().replaceAll('-', '')
    operation.run(id, instance, project, action, 2, now, now)
    generation.run(now, instance)
    sequence += 1
    audit.run(sequence, now, project, `${action}.accepted`, instance, id, hash)
    return { instance, result: 'success', task_id: id }
  })
})

const app = fastify()
app.put<{ Params: { project_id: string }; Body: { action: string; instances: string[] } }>('/v2/:project_id/instances/status', (request, reply) =>
  reply.send({ results: commit.immediate(request.params.project_id, request.body.action, request.body.instances) }))
/** As large as an instance. */
const shown = { instance_id: '', fields: Array.from({ length: 40 }, (_, n) => ({ name: `field_${n}`, value: null })) }
app.get<{ Params: { id: string } }>('/v2/:project_id/instances/:id', (call, reply) => reply.send({ ...shown, instance_id: call.params.id }))
app.get('/healthz', () => ({ status: 'ready' }))
await app.listen({ host: '127.0.0.1', port: Number(port) })
const finish = file.prepare(finishAll)
process.on('message', () => { finish.run(); process.send!('finished') })
process.on('disconnect', () => process.exit())
process.send?.({ ids })
