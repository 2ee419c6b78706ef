/** `sluice backup` and `restore`: while the server runs, on both databases; the same nodes, tokens and passwords afterwards, and nothing from a damaged file. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readSealed } from '../src/state/sealed-file.ts'
import { transact } from '../src/store/database.ts'
import { insertInstances } from '../src/store/instances.ts'
import { openOperations, openOperationsOf } from '../src/store/operations.ts'
import { endUnrepeatable, raiseGenerations } from '../src/store/restored.ts'
import { databases } from './support/matrix.ts'
import { freshDatabase } from './support/postgres.ts'
import { client, makeServer, nodePid, root, starts, until } from './support/server.ts'

for (const name of ['SQLite', 'PostgreSQL']) {
  test(`a backup of a running server brings its state back, on ${name}`, async () => {
    const database = name === 'SQLite' ? null : await freshDatabase()
    const server = await makeServer({ SLUICE_DATABASE_URL: database?.url ?? '', SLUICE_ACCESS_KEY: '', SLUICE_SECRET_KEY: '' })
    const folder = mkdtempSync(join(tmpdir(), 'sluice-backup-'))
    const [file, passphrase] = [join(folder, 'state'), join(folder, 'passphrase')]
    writeFileSync(passphrase, 'correct horse\n')
    const sluice = (args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<{ code: number | null; out: string; err: string }> => new Promise((done) => {
      const child = spawn(process.execPath, [join(root, 'bin/sluice.js'), ...args], { env: { ...server.env, SLUICE_BACKUP_PASSPHRASE_FILE: passphrase, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
      let [out, err] = ['', '']
      child.stdout.on('data', (data) => { out += data })
      child.stderr.on('data', (data) => { err += data })
      child.on('close', (code) => done({ code, out, err }))
    })
    const says = async (args: readonly string[], sentence: RegExp, env: NodeJS.ProcessEnv = {}): Promise<void> => {
      const { code, err } = await sluice(args, env)
      assert.match(err, sentence)
      assert.equal(code, 1)
      assert.equal(err.trim().split('\n').length, 1, err)
    }
    const state = (): string[] => readdirSync(server.home).filter((one) => statSync(join(server.home, one)).isFile() && !one.startsWith('sluice.db-')).map((one) => `${one} ${createHash('sha256').update(readFileSync(join(server.home, one))).digest('hex')}`)
    try {
      await server.start()
      const [id, other] = [await server.createRedis('first'), await server.createRedis('second')]
      const redis = client(await server.running('dcs', id))
      await redis.set('kept', 'yes')
      await server.running('dcs', other)
      const token = (await server.call('iam', 'POST', '/v3/auth/tokens', { auth: { identity: { methods: ['password'], password: { user: { name: 'admin', password: 'Test-Passw0rd', domain: { name: 'sluice' } } } }, scope: { project: { id: server.project } } } })).headers.get('x-subject-token')!

      const done = await sluice(['backup', file])
      assert.equal(done.code, 0, done.err)
      assert.match(done.out, /^backed up to .*, encrypted\nnot in it, for the environment gives it: SLUICE_PASSWORD\n$/)
      assert.equal(statSync(file).mode & 0o777, 0o600)
      assert.equal((await sluice(['backup', `${file}.plain`], { SLUICE_BACKUP_PASSPHRASE_FILE: '' })).out.split('\n')[0], `backed up to ${file}.plain, which is not encrypted: whoever reads it has every key`)
      await says(['backup', file], /is there already/)
      await says(['restore', file, '--force'], name === 'SQLite' ? /another Sluice server is using/ : /control planes work on the database/)

      // What comes after the backup is forgotten; the nodes know of it.
      const later = await server.createRedis('later')
      await server.running('dcs', later)
      assert.equal((await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })).status, 200)
      await server.running('dcs', id)
      await server.end('SIGTERM')
      const [pid, otherPid] = [nodePid(server.home, id), nodePid(server.home, other)]
      const before = state()
      await says(['restore', file], /is not empty: with --force its state is replaced/)
      const bytes = readFileSync(file)
      const damage = (suffix: string, change: (copy: Buffer) => Buffer, from = bytes): string => { writeFileSync(`${file}.${suffix}`, change(Buffer.from(from))); return `${file}.${suffix}` }
      const flip = (at: number) => (copy: Buffer): Buffer => { copy[at]! ^= 1; return copy }
      const plain = readFileSync(`${file}.plain`)
      for (const bad of [
        damage('cut', (copy) => copy.subarray(0, -1)), damage('body', flip(bytes.length >> 1)), damage('tag', flip(bytes.length - 1)), damage('cost', (copy) => Buffer.from(copy.toString('latin1').replace('65536', '32768'), 'latin1')),
        damage('plain-cut', (copy) => copy.subarray(0, -1), plain), damage('plain-body', flip(plain.length >> 1), plain),
      ]) await assert.rejects(readSealed(bad, 'correct horse'), /was cut short or altered$/)
      await says(['restore', damage('half', (copy) => copy.subarray(0, copy.length >> 1)), '--force'], /was cut short or altered$/m)
      writeFileSync(`${file}.words`, 'something else\n')
      await assert.rejects(readSealed(`${file}.words`, null), /is not a backup of Sluice/)
      await assert.rejects(readSealed(file, 'wrong horse'), /the passphrase is another one, or the file was cut short or altered/)
      await assert.rejects(readSealed(file, null), /is encrypted: name the file with its passphrase/)
      await says(['restore', file, '--force'], /SLUICE_MASTER_KEY is not the key/, { SLUICE_MASTER_KEY: 'another' })
      assert.deepEqual(state(), before, 'nothing was changed')

      for (const lost of ['sluice.db', 'sluice.db-wal', 'sluice.db-shm', 'master.key', 'credentials.json', 'host-id']) rmSync(join(server.home, lost), { force: true })
      const back = await sluice(['restore', file, '--force'])
      assert.equal(back.code, 0, back.err)
      assert.match(back.out, /restored 2 instances, 2 operations and \d+ audit rows as of /)
      assert.ok(back.out.includes(`${later}-0`), back.out)
      for (const kept of ['master.key', 'credentials.json', 'host-id']) assert.equal(statSync(join(server.home, kept)).mode & 0o777, 0o600)
      // As if the restore had been killed before it had put everything in its place.
      mkdirSync(join(server.home, 'restored'))
      for (const one of database ? ['master.key'] : ['master.key', 'sluice.db']) renameSync(join(server.home, one), join(server.home, 'restored', one))
      await server.start()
      assert.ok(!existsSync(join(server.home, 'restored')))
      await server.running('dcs', id)
      assert.equal((await server.call('dcs', 'GET', `/v2/${server.project}/instances/${id}`, undefined, { 'x-auth-token': token })).status, 200, 'the old token is good')
      assert.equal(await server.status('dcs', later), undefined)
      assert.deepEqual([nodePid(server.home, id), nodePid(server.home, other)], [pid, otherPid])
      assert.equal(await redis.get('kept'), 'yes')
      // Its password opens, and a restart is newer than what the node has seen since the backup.
      assert.equal((await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })).json.results[0].result, 'success')
      await until('the restart', () => starts(server.home, id) === 3)
      await server.running('dcs', id)
      await until('the data', async () => await redis.get('kept') === 'yes')
      assert.equal(nodePid(server.home, other), otherPid)
      redis.disconnect()
    } finally {
      await server.destroy()
      await database?.drop()
      rmSync(folder, { recursive: true })
    }
  })
}

for (const database of databases) {
  test(`of what was open at the time of a backup, what must not be done twice is ended, on ${database.name}`, async () => {
    const { db, close } = await database.open()
    try {
      const ids = ['flush', 'restart', 'restore'].map((action) => ({ action: action as 'flush', id: randomUUID() }))
      await transact(db, async (tx) => {
        await insertInstances(tx, ids.map(({ id }) => ({
          id, projectId: 'p', name: 'n', engine: 'redis', version: '7.0', runtime: 'kubernetes', host: 'kubernetes', spec: { flavor: 'f', memoryBytes: 1, topology: 'single', shards: 1, replicas: 1, nodeCount: 1, port: null, parameters: {}, renamedCommands: {}, sealedPassword: null },
          attributes: {}, tags: [], endpoints: {}, grants: {}, generation: 3, floor: 3, health: 'healthy', cause: null, readyAt: 1, crashes: 0, createdAt: 1, updatedAt: 1,
        })), ids.map(({ id }) => ({ id: `${id}-0`, instanceId: id, ordinal: 0, host: 'kubernetes', address: '', ports: { service: 6379 } })))
        await openOperations(tx, ids.map(({ id, action }) => ({ id: randomUUID(), instance: { id, projectId: 'p', engine: 'redis' }, action, generation: 3, actor: 'a', at: 1 })))
        await raiseGenerations(tx, 10)
        await endUnrepeatable(tx, 5)
      })
      assert.deepEqual([...(await openOperationsOf(db, ids.map(({ id }) => id))).values()].map(({ action }) => action), ['restart'])
      assert.deepEqual((await db.selectFrom('audit').select('action').orderBy('action').execute()).map((row) => row.action), ['flush.cancelled', 'restore.cancelled'])
      assert.deepEqual(await db.selectFrom('instances').select(['generation', 'floor']).distinct().execute(), [{ generation: 13, floor: 3 }])
    } finally { await close() }
  })
}
