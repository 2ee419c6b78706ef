/** The audit trail: read, proven, dropped when its time is over; and how many requests one token may send. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import { rate } from '../src/api/rate.ts'
import { drop } from '../src/retention.ts'
import { appendAudit, listAudit, verifyAudit } from '../src/store/audit.ts'
import { transact } from '../src/store/database.ts'
import { databases } from './support/matrix.ts'
import { makeServer, root, until } from './support/server.ts'

const dayMs = 24 * 3600_000
const never = { auditDays: 0, taskDays: 0 }

for (const database of databases) test(`rows are found, proven, and dropped so that the rest can still be proven, on ${database.name}`, async () => {
  const { db, close } = await database.open()
  try {
    const now = Date.now()
    const [one, two] = [randomUUID(), randomUUID()]
    const entry = (at: number, actor: string, instanceId: string, action = 'restart.accepted') => ({ at, actor, projectId: actor === 'ann' ? 'p' : 'q', action, instanceId, operationId: '', detail: 'Ä "quoted" \u{1f600}' })
    assert.deepEqual(await verifyAudit(db), { rows: 0, anchor: null, last: null, broken: null })
    await transact(db, (tx) => appendAudit(tx, Array.from({ length: 1200 }, (_, n) => entry(now - (n < 1100 ? 100 : 1) * dayMs, n % 2 ? 'ann' : 'bob', n % 3 ? one : two))))
    await transact(db, (tx) => appendAudit(tx, [entry(now, 'ann', one, 'restart_x'), entry(now, 'bob', two, 'flush.accepted')]))
    const found = (filter: object) => listAudit(db, { limit: 5000, ...filter })
    assert.deepEqual((await found({ limit: 2 })).map((row) => row.sequence), [1202, 1201])
    assert.equal((await found({ actor: 'ann' })).length, 601)
    assert.ok((await found({ instanceId: two, projectId: 'q' })).every((row) => row.instanceId === two && row.actor === 'bob'))
    assert.equal((await found({ action: 'restart.' })).length, 1200)
    assert.equal((await found({ from: now - 2 * dayMs, to: now - 1 })).length, 100)
    assert.deepEqual((await found({ before: 3 })).map((row) => row.sequence), [2, 1])
    const whole = await verifyAudit(db)
    assert.deepEqual([whole.rows, whole.broken, whole.last!.sequence], [1202, null, 1202])

    assert.deepEqual(await drop(db, never, now), { audit: 0, operations: 0 })
    assert.equal((await drop(db, { auditDays: 50, taskDays: 0 }, now)).audit, 1100)
    const rest = await verifyAudit(db)
    assert.deepEqual([rest.broken, rest.anchor!.sequence, rest.rows], [null, 1100, 104], 'two rows tell of what was dropped')
    assert.match((await found({ action: 'audit.dropped' }))[0]!.detail, new RegExp(`^rows 1001 to 1100, whose hash is ${rest.anchor!.hash}$`))
    assert.equal((await drop(db, { auditDays: 50, taskDays: 0 }, now)).audit, 0)

    // Whoever changes a row, drops one, or drops the beginning without a word is found out.
    const broken = async (): Promise<number | undefined> => (await verifyAudit(db)).broken?.sequence
    const { actor } = await db.selectFrom('audit').select('actor').where('sequence', '=', 1150).executeTakeFirstOrThrow()
    for (const [said, found] of [['eve', 1150], [actor, undefined]] as const) {
      await db.updateTable('audit').set({ actor: said }).where('sequence', '=', 1150).execute()
      assert.equal(await broken(), found)
    }
    await db.deleteFrom('audit').where('sequence', '=', 1170).execute()
    assert.equal(await broken(), 1170)
    await db.deleteFrom('audit').where('sequence', '<=', 1170).execute()
    assert.equal(await broken(), 1101)
  } finally { await close() }
})

for (const database of databases) test(`records of ended operations are dropped, open ones and those that somebody holds are not, on ${database.name}`, async () => {
  const { db, close } = await database.open()
  try {
    const now = Date.now()
    const operation = (id: string, more: object) => ({ id, instance_id: randomUUID(), project_id: 'p', engine: 'redis' as const, action: 'restart' as const, generation: 1, actor: 'a', created_at: now - 100 * dayMs, next_at: 0, memo: '{}', ...more })
    await db.insertInto('operations').values([operation('old', { finished_at: now - 91 * dayMs }), operation('young', { finished_at: now - 89 * dayMs })]).execute()
    await db.insertInto('operations').values(operation('open', {})).execute()
    await db.insertInto('operations').values(operation('held', { finished_at: now - 91 * dayMs, lease_owner: 'x', lease_until: now })).execute()
    assert.deepEqual(await drop(db, { auditDays: 0, taskDays: 90 }, now), { audit: 0, operations: 1 })
    assert.deepEqual((await db.selectFrom('operations').select('id').orderBy('id').execute()).map((row) => row.id), ['held', 'open', 'young'])
  } finally { await close() }
})

test('a token has ten seconds worth at once, then so many a second; others are not affected', () => {
  let now = 0
  const limit = rate(5, () => now)
  for (let n = 0; n < 50; n += 1) assert.equal(limit.take('a'), 0)
  assert.equal(limit.take('a'), 1)
  assert.equal(limit.take('b'), 0)
  now += 199
  assert.equal(limit.take('a'), 1)
  now += 1
  assert.equal(limit.take('a'), 0)
  assert.equal(limit.take('a'), 1)
  now += 1_000_000
  for (let n = 0; n < 50; n += 1) assert.equal(limit.take('a'), 0)
  assert.equal(limit.take('a'), 1)
  const none = rate(0, () => now)
  for (let n = 0; n < 1000; n += 1) assert.equal(none.take('a'), 0)
})

test('through the API and the command line; each project sees its own; 429 with Retry-After, and the same request id in the log', async () => {
  const server = await makeServer()
  const sluice = (...args: string[]): Promise<{ code: number | null; out: string }> => new Promise((done) => {
    const child = spawn(process.execPath, [join(root, 'bin/sluice.js'), ...args], { env: server.env })
    let out = ''
    child.stdout.on('data', (data) => { out += data })
    child.on('exit', (code) => done({ code, out }))
  })
  try {
    await server.start()
    const id = await server.createRedis('audited')
    await server.running('dcs', id)
    await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })
    await until('the restart to end', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0)
    const get = async (query: string, headers = {}) => (await server.call('console', 'GET', `/v1/audit${query}`, undefined, headers)).json
    assert.deepEqual((await get(`?instance=${id}`)).rows.map((row: any) => [row.actor, row.action]), [['sluice', 'restart.done'], ['admin', 'restart.accepted'], ['sluice', 'create.done'], ['admin', 'create.accepted']])
    const first = await get(`?instance=${id}&limit=3`)
    assert.deepEqual((await get(`?instance=${id}&before=${first.next}`)).rows.map((row: any) => row.action), ['create.accepted'])
    for (const query of ['?limit=0', '?from=yesterday', '?instance=x', '?before=-1']) assert.equal((await get(query)).error_code, 'APIGW.0201', query)
    const project = (await server.call('iam', 'POST', '/v3/projects', { project: { name: 'second' } })).json.project.id
    await server.call('console', 'POST', '/v1/users', { name: 'reader', password: 'Readers-Passw0rd', roles: [{ role: 'readonly', project_id: project }] })
    const token = (await server.call('iam', 'POST', '/v3/auth/tokens', { auth: { identity: { methods: ['password'], password: { user: { name: 'reader', password: 'Readers-Passw0rd', domain: { name: 'sluice' } } } }, scope: { project: { id: project } } } })).headers.get('x-subject-token')!
    const reader = { 'x-auth-token': token }
    assert.deepEqual((await get('', reader)).rows.map((row: any) => row.action), ['project.created'])
    assert.equal((await server.call('console', 'GET', `/v1/audit?project=${server.project}`, undefined, reader)).status, 401)
    assert.equal((await server.call('console', 'GET', '/v1/audit/proof', undefined, reader)).status, 403)
    assert.equal((await server.call('console', 'GET', '/v1/audit/proof')).json.holds, true)
    const proven = await sluice('audit', '--verify')
    assert.deepEqual([proven.code, /^\d+ rows hold; the last is \d+ [0-9a-f]{64}$/m.test(proven.out)], [0, true], proven.out)
    assert.match((await sluice('audit', '--instance', id)).out, /admin +create\.accepted[^]*sluice +restart\.done/)
    assert.match((await sluice('audit', '--project', 'second')).out, /project\.created/)
    assert.equal((await sluice('audit', '--project', 'third')).code, 1)

    await server.end('SIGTERM')
    await server.start({ SLUICE_RATE_LIMIT: '1', SLUICE_LOG_LEVEL: 'debug' })
    const answers = []
    for (let n = 0; n < 40 && answers.at(-1)?.status !== 429; n += 1) answers.push(await server.dcs('GET', `/instances/${id}`))
    const last = answers.at(-1)!
    assert.deepEqual([last.status, last.json.error_code, last.headers.get('retry-after')], [429, 'APIGW.0308', '1'])
    assert.equal((await server.call('console', 'GET', '/healthz')).status, 200)
    assert.equal((await server.call('console', 'GET', '/metrics')).status, 200)
    const requestId = last.headers.get('x-request-id')!
    assert.match(requestId, /^[0-9a-f]{32}$/)
    await until('the log to tell of it', () => server.log().split('\n').some((line) => line.includes(requestId) && line.includes('429')))
  } finally { await server.destroy() }
})
