/** A home with instances that can be restarted, made without starting any: both sides of `accept` begin with the same rows. */
import { randomUUID } from 'node:crypto'
import { prepareHome } from '../../src/home.ts'
import { openDatabase, transact, type Database } from '../../src/store/database.ts'
import { insertInstances } from '../../src/store/instances.ts'
import type { Instance, NodeRecord } from '../../src/core/instance.ts'

/** Opens the home's database, or the one of the URL, and fills it; the ids come back in no order, as callers have them. */
export async function fill(home: string, projectId: string, count: number, databaseUrl: string | null = null): Promise<{ readonly db: Database; readonly ids: string[] }> {
  prepareHome(home)
  const db = await openDatabase({ home, databaseUrl })
  const now = Date.now()
  const made = Array.from({ length: count }, (_, n): { instance: Instance; node: NodeRecord } => {
    const id = randomUUID()
    return {
      instance: {
        id, projectId, name: `bench-${n}`, engine: 'redis', version: '7.0', runtime: 'process', host: 'bench',
        spec: { flavor: 'redis.single.xu1.tiny.128', memoryBytes: 128 * 1024 ** 2, topology: 'single', shards: 1, replicas: 1, nodeCount: 1, port: null, parameters: {}, renamedCommands: {}, sealedPassword: null },
        attributes: { capacity: 0.125, description: null, vpcId: randomUUID(), subnetId: randomUUID(), azCodes: ['eu-de-01'], userId: randomUUID(), userName: 'admin' }, tags: [],
        endpoints: {}, grants: {}, generation: 1, floor: 1, health: 'healthy', cause: null, readyAt: now, crashes: 0, createdAt: now, updatedAt: now,
      },
      node: { id: `${id}-0`, instanceId: id, ordinal: 0, host: 'bench', address: `127.1.${n >> 8}.${n & 255}`, ports: { service: 6379 } },
    }
  })
  // SQLite takes some 32,000 parameters in one statement.
  for (let at = 0; at < made.length; at += 500) {
    const some = made.slice(at, at + 500)
    await transact(db, (tx) => insertInstances(tx, some.map((one) => one.instance), some.map((one) => one.node)))
  }
  return { db, ids: made.map((one) => one.instance.id) }
}

/** Ends every open operation, so that the same instances can be restarted again. Both sides run it between rounds, outside the measured time. */
export const finishAll = `update operations set finished_at = created_at, outcome = 'done' where finished_at is null`
