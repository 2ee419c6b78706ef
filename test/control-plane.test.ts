/** What the control plane accepts and refuses, on a real database; nothing is started here. */
import { homeVault } from '../src/vault.ts'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { controlPlane, type PlaneParts } from '../src/control-plane/control-plane.ts'
import { kafkaEngine } from '../src/engines/kafka/index.ts'
import { ensureProject } from '../src/store/projects.ts'
import { redisEngine } from '../src/engines/redis/index.ts'
import { databases } from './support/matrix.ts'
import type { Addresses } from '../src/core/addresses.ts'
import type { CreateWish, View } from '../src/core/control-plane.ts'

const caller = { projectId: 'p', userId: 'u', userName: 'admin' }
const wish = (more: Partial<CreateWish> = {}): CreateWish => ({
  caller, engine: 'kafka', names: ['one'], version: '2.7', attributes: {}, tags: [],
  spec: { flavor: 'c6.2u4g.single', memoryBytes: 4 << 30, topology: 'single', shards: 1, replicas: 1, nodeCount: 1, port: null, parameters: {}, renamedCommands: {}, password: null }, ...more,
})

for (const database of databases) {
  test(`what does not fit is refused with the memory that is missing, and nothing is written, on ${database.name}`, async () => {
    const { db, close } = await database.open()
    let available = 100 * 1024 * 1024
    let next = 1
    const addresses: Addresses = { async place(ports) { next += 1; return { address: `127.8.8.${next}`, ports } }, async admits() { return null }, close() {} }
    const plane = controlPlane({
      db, vault: homeVault('/nowhere'), host: 'h', available: () => available, seal: (text) => text, open: (sealed) => sealed, worker: { nudge() {}, progress: () => null, cancel() {} },
      engines: { redis: redisEngine({ account: () => 'a', customer: () => null, open: (text: string) => text }, async () => '7.0.15'), kafka: kafkaEngine(() => '3.9.1') },
      runtimes: {} as PlaneParts['runtimes'],
      runtime: 'process', addresses: { process: addresses, kubernetes: addresses },
    })
    await ensureProject(db, { id: 'p', name: 'p', domain: 'd' })
    try {
      assert.deepEqual(await plane.create(wish()), { kind: 'no room', reason: '300 MiB of memory are needed to start and 100 MiB are available: 200 MiB are missing' })
      assert.equal((await plane.list('p', { engine: 'kafka', includeFailed: true, offset: 0, limit: 10 })).total, 0)
      assert.deepEqual(await plane.create(wish({ engine: 'redis', version: '8.0' })), { kind: 'no version', reason: 'the installed redis cannot stand in for version 8.0' })
      // A flavor is a ceiling: 64 GB of Redis fit where one empty Redis does.
      const views = await plane.create(wish({ engine: 'redis', version: '7.0', names: ['a', 'b'], spec: { ...wish().spec, memoryBytes: 64 * 2 ** 30 } })) as View[]
      assert.deepEqual(views.map((view) => view.status), ['creating', 'creating'])
      available = 400 * 1024 * 1024
      assert.equal((await plane.create(wish()) as View[]).length, 1)
    } finally { await close() }
  })
}
