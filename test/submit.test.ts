/** Accepting batches: whoever comes at once, each instance is won once, and what changed between the look and the write is looked at again. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { submit, type SubmitParts } from '../src/control-plane/submit.ts'
import { acceptAsSeen, look } from '../src/store/accept.ts'
import { transact, type Database } from '../src/store/database.ts'
import { insertInstances, instancesByIds, setHealth } from '../src/store/instances.ts'
import { bumpGenerations, openOperations, openOperationsOf } from '../src/store/operations.ts'
import { databases, type TestDatabase } from './support/matrix.ts'
import type { Answer } from '../src/core/control-plane.ts'
import type { Instance } from '../src/core/instance.ts'

const newId = (): string => randomUUID().replaceAll('-', '')
const caller = { projectId: 'p', userId: 'u', userName: 'a"b' }
const outcome = (answer: Answer): string => 'operation' in answer ? 'accepted' : 'refusal' in answer ? answer.refusal.kind : 'plan'

for (const database of databases) {
  describe(`accepting on ${database.name}`, { concurrency: false }, () => {
    let open: TestDatabase
    let db: Database
    before(async () => { open = await database.open(); db = open.db })
    after(async () => { await open.close() })

    const make = async (count: number, projectId = 'p'): Promise<string[]> => {
      const made = Array.from({ length: count }, (): Instance => ({
        id: randomUUID(), projectId, name: 'n', engine: 'redis', version: '7.0', runtime: 'kubernetes', host: 'kubernetes',
        spec: { flavor: 'f', memoryBytes: 1, topology: 'single', shards: 1, replicas: 1, nodeCount: 1, port: null, parameters: {}, renamedCommands: {}, sealedPassword: null },
        attributes: {}, tags: [], endpoints: {}, grants: {}, generation: 1, floor: 1, health: 'healthy', cause: null, readyAt: 1, crashes: 0, createdAt: 1, updatedAt: 1,
      }))
      await transact(db, (tx) => insertInstances(tx, made, made.map(({ id }) => ({ id: `${id}-0`, instanceId: id, ordinal: 0, host: 'kubernetes', address: '', ports: { service: 6379 } }))))
      return made.map(({ id }) => id)
    }
    const parts = (): SubmitParts => ({ db, newId, engines: { redis: { flushable: () => true } as unknown as SubmitParts['engines']['redis'], kafka: {} as SubmitParts['engines']['kafka'] } })
    const audited = async (ids: readonly string[]): Promise<string[]> => (await db.selectFrom('audit').select(['action', 'actor']).where('instance_id', 'in', ids).execute()).map((row) => `${row.action} ${row.actor}`)

    test('ten callers with the same fifty in other orders: each is won once, and has one generation, operation and audit row', async () => {
      const ids = await make(50)
      const answers = await Promise.all(Array.from({ length: 10 }, () => submit(parts(), { caller, engine: 'redis', action: 'restart', ids: ids.toSorted(() => Math.random() - 0.5) })))
      assert.deepEqual(Object.entries(Object.groupBy(answers.flat().map(outcome), (word) => word)).map(([word, all]) => [word, all!.length]).toSorted(), [['accepted', 50], ['busy', 450]])
      const now = await instancesByIds(db, ids)
      assert.ok(ids.every((id) => now.get(id)!.generation === 2 && now.get(id)!.updatedAt > 1))
      const operations = await openOperationsOf(db, ids)
      assert.ok(ids.every((id) => operations.get(id)!.generation === 2 && operations.get(id)!.actor === 'a"b'))
      assert.deepEqual(await audited(ids), Array.from({ length: 50 }, () => 'restart.accepted a"b'))
    })

    test('answers come in the order of the ids, whatever each one is', async () => {
      const [free, busy, failed, recovering] = await make(4) as [string, string, string, string]
      const [foreign] = await make(1, 'other') as [string]
      await db.updateTable('instances').set({ ready_at: null }).where('id', '=', failed).execute()
      await transact(db, (tx) => openOperations(tx, [[busy, 'flush'], [recovering, 'recover']].map(([id, action]) => ({ id: newId(), instance: { id: id!, projectId: 'p', engine: 'redis' as const }, action: action as 'flush', generation: 1, actor: 'x', at: 1 }))))
      const answers = await submit(parts(), { caller, engine: 'redis', action: 'flush', memo: { why: 'a' }, ids: [foreign, recovering, busy, free, failed] })
      assert.deepEqual(answers.map((answer) => [answer.id, outcome(answer)]), [[foreign, 'unknown'], [recovering, 'accepted'], [busy, 'busy'], [free, 'accepted'], [failed, 'state']])
      const open = await openOperationsOf(db, [free, recovering])
      for (const id of [free, recovering]) assert.deepEqual([open.get(id)!.action, open.get(id)!.generation, open.get(id)!.memo], ['flush', 1, { why: 'a' }])
      assert.equal((await instancesByIds(db, [free])).get(free)!.generation, 1)
      assert.deepEqual(await audited([foreign, busy, failed]), [])
    })

    if (database.name === 'PostgreSQL') test('what changed since it was seen is not accepted, and leaves nothing', async () => {
      const [bumped, judged, taken, same] = await make(4) as [string, string, string, string]
      const ids = [bumped, judged, taken, same]
      const seen = await look(db, 'p', 'redis', ids)
      await transact(db, (tx) => bumpGenerations(tx, [bumped], 1))
      await transact(db, (tx) => setHealth(tx, judged, 'unhealthy', 'silent', 2))
      await transact(db, (tx) => openOperations(tx, [{ id: newId(), instance: { id: taken, projectId: 'p', engine: 'redis' }, action: 'recover', generation: 1, actor: 'x', at: 1 }]))
      const accepted = await acceptAsSeen(db, { projectId: 'p', engine: 'redis', action: 'soft_restart', actor: 'admin', at: 7, memo: {}, bumps: true, wishes: ids.map((id) => ({ id: newId(), seen: seen.get(id)! })) })
      assert.deepEqual([...accepted], [same])
      const [now, open] = [await instancesByIds(db, ids), await openOperationsOf(db, ids)]
      assert.deepEqual(ids.map((id) => [now.get(id)!.generation, open.get(id)?.action]), [[2, undefined], [1, undefined], [1, 'recover'], [2, 'soft_restart']])
      assert.deepEqual(await audited(ids), ['soft_restart.accepted admin'])
    })
  })
}
