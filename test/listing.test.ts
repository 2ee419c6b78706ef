/** Pages that the database finds are those that one would find by looking at every instance. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import * as fc from 'fast-check'
import { transact, type Database } from '../src/store/database.ts'
import { insertInstances } from '../src/store/instances.ts'
import { instanceFinder } from '../src/store/listing.ts'
import { openOperations } from '../src/store/operations.ts'
import { statusOf, type Status } from '../src/core/status.ts'
import { databases, type TestDatabase } from './support/matrix.ts'
import type { Action } from '../src/core/operation.ts'
import type { Instance, NodeRecord } from '../src/core/instance.ts'
import type { ListFilter } from '../src/core/control-plane.ts'

interface Made { readonly instance: Instance; readonly node: NodeRecord; readonly action: Action | null }

const actions: readonly (Action | null)[] = [null, null, null, null, 'create', 'restart', 'soft_restart', 'flush', 'delete', 'recover', 'swap', 'extend', 'shrink', 'configure', 'password', 'rescale', 'check', 'port', 'whitelist', 'rename']
const names = ['cache', 'Cache', 'cache_2', 'ca%che', 'ä"b\\c', 'queue']
const tags = [{ key: 'a', value: '1' }, { key: 'a', value: '2' }, { key: 'b', value: 'x"y\\' }, { key: 'ä', value: '' }]
const statuses: readonly Status[] = ['creating', 'createfailed', 'running', 'error', 'restarting', 'flushing', 'deleting', 'extending', 'unknown']

function made(n: number, pick: <T>(from: readonly T[]) => T): Made {
  const id = randomUUID()
  const instance: Instance = {
    id, projectId: pick(['p', 'p', 'p', 'q']), name: pick(names), engine: pick(['redis', 'redis', 'kafka']), version: '7.0', runtime: 'process', host: pick(['h', 'h', 'silent']),
    spec: { flavor: 'f', memoryBytes: 1, topology: 'single', shards: 1, replicas: 1, nodeCount: 1, port: null, parameters: {}, renamedCommands: {}, sealedPassword: null },
    attributes: { capacity: pick([0.125, 1, 12]), description: pick([null, '"capacity":1,', 'text']) }, tags: tags.filter(() => pick([true, false])),
    endpoints: pick([{}, { service: { address: `127.8.${n >> 8}.${n & 255}`, port: 1 } }]), grants: {}, generation: 1, floor: 1, health: pick(['unknown', 'healthy', 'unhealthy']), cause: null,
    readyAt: pick([null, 1, 1]), crashes: 0, createdAt: pick([1, 2, 3]), updatedAt: 1,
  }
  return { instance, action: pick(actions), node: { id: `${id}-0`, instanceId: id, ordinal: 0, host: instance.host, address: `127.9.${n >> 8}.${n & 255}`, ports: { service: 6379 } } }
}

/** Slow and plain. */
function expected(all: readonly Made[], projectId: string, filter: ListFilter): string[] {
  const fit = all.filter(({ instance, node, action }) => {
    const status = statusOf(instance, action && { action }, instance.host === 'silent')
    if (instance.projectId !== projectId || instance.engine !== filter.engine || status === 'deleting') return false
    if (status === 'createfailed' && !filter.includeFailed && filter.status !== 'createfailed') return false
    if (filter.id !== undefined && instance.id !== filter.id) return false
    if (filter.name !== undefined && !(filter.nameExact ? instance.name === filter.name : instance.name.includes(filter.name))) return false
    if (filter.status !== undefined && status !== filter.status) return false
    if (filter.address !== undefined && ![node, ...Object.values(instance.endpoints)].some(({ address }) => address === filter.address)) return false
    if (filter.attribute && instance.attributes[filter.attribute.name] !== filter.attribute.value) return false
    return (filter.tags ?? []).every((tag) => instance.tags.some((own) => own.key === tag.key && own.value === tag.value))
  })
  return fit.map(({ instance }) => instance).toSorted((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1)).map(({ id }) => id)
}

for (const database of databases) {
  describe(`pages on ${database.name}`, { concurrency: false }, () => {
    let open: TestDatabase
    let db: Database
    const all: Made[] = []
    const findInstances = instanceFinder()
    before(async () => {
      open = await database.open()
      db = open.db
      let seed = 7
      const pick = <T>(from: readonly T[]): T => { seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31; return from[Math.floor(seed / 2 ** 31 * from.length)]! }
      for (let n = 0; n < 300; n += 1) all.push(made(n, pick))
      await transact(db, async (tx) => {
        await insertInstances(tx, all.map(({ instance }) => instance), all.map(({ node }) => node))
        await openOperations(tx, all.filter(({ action }) => action !== null).map(({ instance, action }) => ({ id: randomUUID(), instance, action: action!, generation: 1, actor: 'a', at: 1 })))
      })
    })
    after(async () => { await open.close() })

    test('whatever is asked for', async () => {
      const optional = <T>(from: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(from, { nil: undefined, freq: 1 })
      const filters = fc.record({
        engine: fc.constantFrom('redis' as const, 'kafka' as const), includeFailed: fc.boolean(), offset: fc.nat(40), limit: fc.integer({ min: 1, max: 100 }),
        id: fc.option(fc.nat(299).map((n) => all[n]!.instance.id), { nil: undefined, freq: 8 }), name: optional(fc.constantFrom(...names, 'che', '%', '_', 'C')), nameExact: fc.boolean(),
        status: optional(fc.constantFrom(...statuses)), address: fc.option(fc.nat(299).map((n) => pickAddress(all[n]!)), { nil: undefined, freq: 8 }),
        tags: fc.subarray([...tags], { maxLength: 2 }), attribute: optional(fc.constantFrom(0.125, 1, 12, 2).map((value) => ({ name: 'capacity', value }))),
      })
      await fc.assert(fc.asyncProperty(fc.constantFrom('p', 'q'), filters, async (projectId, wanted) => {
        const filter = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined)) as unknown as ListFilter
        const found = await findInstances(db, projectId, filter, ['h'])
        const ids = expected(all, projectId, filter)
        assert.equal(found.total, ids.length)
        assert.deepEqual(found.found.map(({ instance: { id } }) => id), ids.slice(filter.offset, filter.offset + filter.limit))
      }), { numRuns: 400 })
    })

    test('each status is found by its name', async () => {
      for (const status of statuses) {
        const filter: ListFilter = { engine: 'redis', status, includeFailed: false, offset: 0, limit: 1000 }
        const { found } = await findInstances(db, 'p', filter, ['h'])
        assert.deepEqual(found.map(({ instance: { id } }) => id), expected(all, 'p', filter))
        assert.ok(found.length > 0 || status === 'deleting', status)
      }
    })

    test('what is written meanwhile counts at once', async () => {
      const filter: ListFilter = { engine: 'redis', includeFailed: true, offset: 0, limit: 1000 }
      const total = async (): Promise<number> => (await findInstances(db, 'p', filter, ['h'])).total
      const before = await total()
      assert.equal(await total(), before)
      const { instance } = all.find((one) => one.instance.projectId === 'p' && one.instance.engine === 'redis' && one.action === null)!
      await transact(db, (tx) => openOperations(tx, [{ id: randomUUID(), instance, action: 'delete', generation: 1, actor: 'a', at: 1 }]))
      assert.equal(await total(), before - 1)
    })
  })
}

function pickAddress({ node, instance }: Made): string { return instance.endpoints['service']?.address ?? node.address }
