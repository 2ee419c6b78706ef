/** Copies of a replicated Redis and the way back, while four clients write and something dies in the middle. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { atMostOne, haGround, intact, lost, oneWriter, sameData, whole, type HaGround } from './ha-ground.ts'
import { client, until, type Server } from '../support/server.ts'
import type { Ground, Scenario } from './scenarios.ts'

const as = (ground: Ground): HaGround => ground as HaGround
/** More than one, so that a mixture of old and new would be seen. */
const marks = Array.from({ length: 50 }, (_, n) => `since:${n}`)

async function records(server: Server, id: string, what: 'backups' | 'restores'): Promise<any[]> {
  const { json } = await server.dcs('GET', `/instances/${id}/${what}?limit=100`)
  return json[what === 'backups' ? 'backup_record_response' : 'restore_record_response']
}

async function backUp(server: Server, id: string): Promise<string> {
  const { json, text } = await server.dcs('POST', `/instances/${id}/backups`, {})
  await until(`the backup to succeed (${text})`, async () => (await records(server, id, 'backups')).some((one) => one.backup_id === json.backup_id && one.status === 'succeed'))
  return json.backup_id
}

/** What is recorded is there, and nothing else. */
async function filesAsRecorded(server: Server, id: string): Promise<void> {
  const done = (await records(server, id, 'backups')).filter((one) => one.status === 'succeed')
  const folder = join(server.home, 'backups', id)
  assert.deepEqual(readdirSync(folder).toSorted(), done.map((one) => one.backup_id).toSorted())
  for (const one of done) assert.equal(readFileSync(join(folder, one.backup_id, 'shard-0.rdb')).length, one.size)
}

export const backupScenarios: readonly Scenario[] = [
  {
    name: 'redis ha r2 backup', service: 'dcs', prepare: (server) => haGround(server, 2),
    act: (server, { id }) => server.dcs('POST', `/instances/${id}/backups`, { remark: 'swept' }),
    between: (_server, ground) => atMostOne(as(ground)),
    async verify(server, ground, accepted, struck) {
      const gone = await intact(server, as(ground))
      if (!struck?.includes('master')) assert.equal(gone, 0, `${gone} acknowledged writes are lost`)
      const [last] = await records(server, ground.id, 'backups')
      if (accepted && !struck) assert.deepEqual([last?.status, last?.remark], ['succeed', 'swept'])
      if (last) await filesAsRecorded(server, ground.id)
    },
  },
  {
    name: 'redis ha r2 restore', service: 'dcs',
    async prepare(server) {
      const ground = await haGround(server, 2)
      const redis = client(ground.instance)
      ground.note = await backUp(server, ground.id)
      for (const key of marks) await redis.set(key, 'yes')
      await redis.set('before', 'no')
      redis.disconnect()
      return ground
    },
    act: (server, { id, note }) => server.dcs('POST', `/instances/${id}/restores`, { backup_id: note }),
    between: (_server, ground) => atMostOne(as(ground)),
    async verify(server, ground, accepted, struck) {
      await whole(server, as(ground))
      await as(ground).watch.stop()
      await sameData(server, as(ground))
      await oneWriter(as(ground))
      assert.deepEqual(as(ground).watch.rivals(), [])
      const redis = client(ground.instance)
      const [since, before] = [(await redis.mget(marks)).filter((value) => value !== null).length, await redis.get('before')]
      redis.disconnect()
      const [last] = await records(server, ground.id, 'restores')
      const isOurs = last?.backup_id === ground.note
      if (accepted) assert.ok(isOurs)
      const restored = isOurs && last.status === 'succeed'
      if (isOurs && !struck) assert.ok(restored, `it was given back: ${last.error_msg}`)
      assert.deepEqual([since, before], restored ? [0, 'yes'] : [marks.length, 'no'], 'all of the old data, or all of the new')
      if (!restored && !struck?.includes('master')) assert.deepEqual(await lost(as(ground)), [])
      // Of the other data nothing is left.
      for (const nodeId of as(ground).ids) assert.ok(readdirSync(join(server.home, 'nodes', nodeId)).filter((name) => name.startsWith('data-')).length <= 1)
      await filesAsRecorded(server, ground.id)
      return restored ? 'restored' : 'as it was'
    },
  },
]
