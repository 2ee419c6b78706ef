/** A PostgreSQL that goes away and comes back, twice: hung up on everybody, and crashed. `SLUICE_TEST_OUTAGE_MS`: for how long. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { freshDatabase, startPostgres, type Postgres } from './support/postgres.ts'
import { client, makeServer, nodePid, redisBody, sibling, sleep, starts, until, type Server } from './support/server.ts'

/** Longer than a lease, so that every one of them has run out. */
const awayMs = Number(process.env['SLUICE_TEST_OUTAGE_MS'] ?? 10_000)

describe('a database that goes away', { concurrency: false }, () => {
  let postgres: Postgres
  let a: Server
  let b: Server
  before(async () => {
    postgres = await startPostgres()
    const { url } = await freshDatabase(postgres)
    a = await makeServer({ SLUICE_DATABASE_URL: url })
    await a.start()
    b = await sibling(a)
    await b.start()
  })
  after(async () => { await b?.destroy(); await a?.destroy(); await postgres?.destroy() })

  for (const how of ['fast', 'immediate'] as const) {
    test(`${how}: requests answer 503 with a code, nothing accepted is lost, and work resumes by itself`, async () => {
      const ids = await Promise.all(Array.from({ length: 4 }, (_, n) => a.createRedis(`${how}-${n}`)))
      const shown = await Promise.all(ids.map((id) => b.running('dcs', id)))
      const redis = shown.map((one) => client(one))
      await Promise.all(redis.map((one) => one.set('kept', 'yes')))
      const bystander = client(await a.running('dcs', await a.createRedis(`${how}-bystander`)))
      await bystander.set('kept', 'yes')
      const before = ids.map((id) => starts(a.home, id))
      const accepted = await a.dcs('PUT', '/instances/status', { action: 'restart', instances: ids.slice(0, 3) })
      assert.ok(accepted.json.results.every((one: { result: string }) => one.result === 'success'), accepted.text)
      await postgres.stop(how)
      const stoppedAt = Date.now()
      // Killed while nobody can write down that it was.
      const killed = nodePid(a.home, ids[3]!)
      process.kill(killed, 'SIGKILL')
      for (const plane of [a, b]) {
        for (const answer of [await plane.dcs('GET', '/instances'), await plane.dcs('PUT', '/instances/status', { action: 'restart', instances: ids }), await plane.dcs('POST', '/instances', redisBody('never')), await plane.dms('GET', '/instances'), await plane.call('console', 'GET', '/v1/operations')]) {
          assert.equal(answer.status, 503, answer.text)
          assert.equal(answer.json.error_code, 'APIGW.0203')
          assert.match(answer.json.error_msg, /database/)
          assert.equal(answer.headers.get('retry-after'), '5')
        }
        await until('/healthz to say so', async () => (await plane.call('console', 'GET', '/healthz')).status === 503, 5000)
      }
      assert.equal(await bystander.get('kept'), 'yes')
      await sleep(awayMs - (Date.now() - stoppedAt))
      await postgres.start()
      const backAt = Date.now()
      await Promise.all([a, b].map((plane) => until('/healthz', async () => (await plane.call('console', 'GET', '/healthz')).status === 200, 10_000)))
      await until('all work to be done', async () => {
        const { json } = await b.call('console', 'GET', '/v1/operations?open=true')
        return json?.operations?.length === 0 && nodePid(a.home, ids[3]!) !== killed
      }, 30_000)
      console.log(`${how}: all work done ${Date.now() - backAt} ms after the database was back, which was away for ${backAt - stoppedAt} ms`)
      for (const [n, id] of ids.entries()) {
        await a.running('dcs', id)
        assert.equal(starts(a.home, id) - before[n]!, 1, 'started once, whoever did it')
        assert.equal(await redis[n]!.get('kept'), 'yes')
        redis[n]!.disconnect()
        const { json } = await b.call('console', 'GET', `/v1/operations?instance=${id}`)
        assert.ok(json.operations.every((one: { outcome: string }) => one.outcome === 'done'), JSON.stringify(json.operations))
      }
      bystander.disconnect()
      assert.ok(![a, b].some((plane) => plane.log().includes('never-in-a-log')), 'the password is in no log')
    })
  }
})
