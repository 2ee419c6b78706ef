/** What the store promises: busy is decided by the database, leases fence every write, and the audit is a chain. */
import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { appendAudit } from '../src/store/audit.ts'
import { transact, type Database, type Tx } from '../src/store/database.ts'
import { insertInstances, instancesByIds, projectInstances } from '../src/store/instances.ts'
import { takenAddresses } from '../src/store/places.ts'
import { bumpGenerations, claim, heldOf, openOperations, openOperationsOf, releaseAll, remember, renew, replaceOperations, settle } from '../src/store/operations.ts'
import { shownById } from '../src/store/shown.ts'
import { createProject, ensureProject, listProjects } from '../src/store/projects.ts'
import { databases, type TestDatabase } from './support/matrix.ts'
import type { Action, Operation } from '../src/core/operation.ts'
import type { Instance } from '../src/core/instance.ts'

const later = Date.now() + 60_000
const hex = (): string => randomUUID().replaceAll('-', '')

for (const database of databases) {
  describe(`store on ${database.name}`, { concurrency: false }, () => {
    let open: TestDatabase
    let db: Database
    before(async () => { open = await database.open(); db = open.db })
    after(async () => { await open.close() })

    let port = 0
    const make = async (projectId = 'p'): Promise<Instance> => {
      const id = randomUUID()
      const instance: Instance = {
        id, projectId, name: 'n', engine: 'redis', version: '7.0', runtime: 'process', host: 'h',
        spec: { flavor: 'f', memoryBytes: 1, topology: 'single', shards: 1, replicas: 1, nodeCount: 1, port: null, parameters: { appendonly: 'yes' }, renamedCommands: {}, sealedPassword: null, accounts: [] },
        attributes: { vpcId: 'v' }, tags: [{ key: 'k', value: 'ä' }], endpoints: {}, grants: {}, generation: 1, floor: 1, health: 'unknown', cause: null, readyAt: null, crashes: 0, createdAt: Date.now(), updatedAt: Date.now(),
      }
      const service = port += 1
      await transact(db, (tx) => insertInstances(tx, [instance], [{ id: `${id}-0`, instanceId: id, ordinal: 0, host: 'h', address: '127.9.9.9', ports: { service } }]))
      return instance
    }
    const wish = async (instance: Instance, action: Action = 'restart'): Promise<string | null> => {
      const id = hex()
      const won = await transact(db, (tx) => openOperations(tx, [{ id, instance, action, generation: 2, actor: 'admin', at: Date.now() }]))
      return won.has(instance.id) ? id : null
    }
    const take = async (owner: string, instance: Instance, leaseMs = 60_000): Promise<Operation> => {
      const mine = (await claim(db, { owner, host: 'h', now: Date.now(), leaseMs, limit: 1000 })).find((operation) => operation.instanceId === instance.id)
      assert.ok(mine, 'claimed')
      return mine
    }

    test('an instance comes back as it was written, for its project alone', async () => {
      const instance = await make('mine')
      assert.deepEqual(await projectInstances(db, 'mine', 'redis', [instance.id]), [instance])
      assert.deepEqual(await projectInstances(db, 'other', 'redis', [instance.id]), [])
      assert.deepEqual(await projectInstances(db, 'mine', 'kafka', [instance.id]), [])
    })

    test('one instance is shown as it is, however often it is asked for while others write', async () => {
      const instance = await make()
      const shown = async (): Promise<unknown> => { const found = await shownById(db, instance.id); return found && [found.instance.name, found.open?.action ?? null] }
      const rename = (tx: Tx, name: string) => tx.updateTable('instances').set({ name }).where('id', '=', instance.id).execute()
      assert.deepEqual([await shown(), await shown()], [['n', null], ['n', null]])
      await transact(db, (tx) => rename(tx, 'committed'))
      assert.deepEqual([await shown(), await shown()], [['committed', null], ['committed', null]])
      let during: Promise<unknown> | undefined
      await assert.rejects(transact(db, async (tx) => { await rename(tx, 'taken back'); during = shown(); throw new Error('no') }), /no/)
      assert.deepEqual([await during, await shown()], [['committed', null], ['committed', null]])
      await wish(instance)
      assert.deepEqual(await shown(), ['committed', 'restart'])
      await db.deleteFrom('operations').where('instance_id', '=', instance.id).execute()
      assert.deepEqual(await shown(), ['committed', null])
      assert.deepEqual([await shownById(db, randomUUID()), await shownById(db, randomUUID())], [null, null])
    })

    test('an address is held by one node only', async () => {
      const instance = await make()
      assert.ok((await takenAddresses(db, 'h')).has(`127.9.9.9:${port}`))
      await assert.rejects(transact(db, (tx) => insertInstances(tx, [{ ...instance, id: randomUUID() }], [{ id: hex(), instanceId: 'x', ordinal: 0, host: 'h', address: '127.9.9.9', ports: { service: port } }])))
    })

    test('of any number of wishes for one instance at once, one wins', async () => {
      const instance = await make()
      const won = await Promise.all(Array.from({ length: 20 }, () => wish(instance)))
      assert.equal(won.filter((id) => id !== null).length, 1)
    })

    test('batches in different orders neither block each other nor win twice', async () => {
      const instances = await Promise.all(Array.from({ length: 50 }, () => make('crowd')))
      const wins = await Promise.all(Array.from({ length: 10 }, () => transact(db, (tx) => openOperations(tx, instances.toSorted(() => Math.random() - 0.5).map((instance) => ({ id: hex(), instance, action: 'restart' as const, generation: 2, actor: 'a', at: Date.now() }))))))
      assert.equal(wins.reduce((sum, won) => sum + won.size, 0), 50)
    })

    test('a transaction that fails leaves nothing: no operation, no generation, no audit row', async () => {
      const instance = await make()
      const rows = async (): Promise<number> => (await db.selectFrom('audit').selectAll().execute()).length
      const before = await rows()
      await assert.rejects(transact(db, async (tx) => {
        await openOperations(tx, [{ id: hex(), instance, action: 'restart', generation: 2, actor: 'a', at: 0 }])
        await bumpGenerations(tx, [instance.id], 0)
        await appendAudit(tx, [{ at: 0, actor: 'a', projectId: 'p', action: 'x', instanceId: instance.id, operationId: '', detail: '' }])
        throw new Error('the power went')
      }), /the power went/)
      assert.equal((await openOperationsOf(db, [instance.id])).size, 0)
      assert.equal((await instancesByIds(db, [instance.id])).get(instance.id)!.generation, 1)
      assert.equal(await rows(), before)
    })

    test('a lease keeps others away until it ends, and its holder cannot write after it was taken over', async () => {
      const instance = await make()
      await wish(instance)
      const mine = await take('one', instance, 2000)
      assert.ok(!(await claim(db, { owner: 'two', host: 'h', now: Date.now(), leaseMs: 60_000, limit: 1000 })).some((o) => o.id === mine.id), 'held')
      const theirs = (await claim(db, { owner: 'two', host: 'h', now: Date.now() + 5000, leaseMs: 60_000, limit: 1000 })).find((o) => o.id === mine.id)
      assert.ok(theirs, 'taken over')
      await assert.rejects(remember(db, 'one', mine.id, { flushed: true }), /no longer ours/)
      await renew(db, 'one', [mine.id], later)
      assert.ok(!(await heldOf(db, 'one', [mine.id])).has(mine.id))
      await settle(db, 'one', [{ operation: mine, outcome: 'failed', cause: 'late' }], Date.now())
      assert.equal((await openOperationsOf(db, [instance.id])).get(instance.id)?.outcome, null)
      await remember(db, 'two', mine.id, { flushed: true })
      await settle(db, 'two', [{ operation: mine, outcome: 'done', cause: null }], Date.now())
      assert.equal((await openOperationsOf(db, [instance.id])).size, 0)
    })

    test('leases of a control plane that is dead are given up at once', async () => {
      const instance = await make()
      await wish(instance)
      await take('dead', instance)
      await releaseAll(db)
      await take('next', instance)
    })

    test('a creation that is done makes the instance ready; a failed one says why; a deletion takes rows and addresses with it', async () => {
      const [done, failed, gone] = [await make(), await make(), await make()]
      for (const [instance, action] of [[done, 'create'], [failed, 'create'], [gone, 'delete']] as const) await wish(instance, action)
      const operations = await claim(db, { owner: 'w', host: 'h', now: Date.now(), leaseMs: 60_000, limit: 1000 })
      const of = (instance: Instance): Operation => operations.find((o) => o.instanceId === instance.id)!
      await settle(db, 'w', [{ operation: of(done), outcome: 'done', cause: null }, { operation: of(failed), outcome: 'failed', cause: 'no java' }, { operation: of(gone), outcome: 'done', cause: null }], 77)
      const now = await instancesByIds(db, [done.id, failed.id, gone.id])
      assert.deepEqual([now.get(done.id)!.readyAt, now.get(done.id)!.health], [77, 'healthy'])
      assert.deepEqual([now.get(failed.id)!.readyAt, now.get(failed.id)!.cause], [null, 'no java'])
      assert.equal(now.has(gone.id), false)
      assert.ok(!(await takenAddresses(db, 'h')).has(`127.9.9.9:${port}`))
    })

    test('a wish takes the place of a recovery, and of nothing else', async () => {
      const [recovering, restarting] = [await make(), await make()]
      await wish(recovering, 'recover')
      await wish(restarting, 'restart')
      await transact(db, (tx) => replaceOperations(tx, [recovering.id, restarting.id], 1))
      assert.notEqual(await wish(recovering), null)
      assert.equal(await wish(restarting), null)
    })

    test('what a server said before it ended is kept whatever is in it: quotes, NUL, half a character', async () => {
      const detail = 'a "b" \\u0000 \0 \ud800 ä 漢 \u2028 \t\n'
      await transact(db, (tx) => appendAudit(tx, [{ at: 5, actor: 'a"\\', projectId: 'p', action: 'x', instanceId: 'quoted', operationId: '', detail }]))
      const row = await db.selectFrom('audit').selectAll().where('instance_id', '=', 'quoted').executeTakeFirstOrThrow()
      assert.deepEqual([row.detail, row.actor], ['a "b" \\u0000 \ufffd \ufffd ä 漢 \u2028 \t\n', 'a"\\'])
    })

    test('every audit row carries the hash of the one before it', async () => {
      const rows = await db.selectFrom('audit').selectAll().orderBy('sequence').execute()
      assert.ok(rows.length > 2)
      let hash = ''
      for (const row of rows) {
        hash = createHash('sha256').update(JSON.stringify([hash, row.sequence, row.at, row.actor, row.project_id, row.action, row.instance_id, row.operation_id, row.detail])).digest('hex')
        assert.equal(row.hash, hash)
      }
    })

    test('a project keeps its id, and a name belongs to one project of a domain', async () => {
      await ensureProject(db, { id: 'a'.repeat(32), name: 'eu-de', domain: 'd' })
      await ensureProject(db, { id: 'a'.repeat(32), name: 'eu-de', domain: 'd' })
      assert.equal(await createProject(db, 'eu-de', 'd'), null)
      await ensureProject(db, { id: 'b'.repeat(32), name: 'eu-de', domain: 'd' })
      const projects = await listProjects(db, 'd')
      assert.deepEqual(projects.filter((project) => project.name === 'eu-de').map((project) => project.id), ['b'.repeat(32)])
      assert.equal(projects.length, 2)
    })
  })
}
