/** What every dialect's batch request must do, on a real server: the order of the checks, the envelope, and that a refusal changes nothing. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { makeServer, type Answer, type Server, type Service } from '../support/server.ts'

export interface DialectUnderTest {
  readonly name: string
  readonly service: Service
  readonly method: string
  readonly path: (project: string) => string
  /** What stands for an instance here, and actions it knows. */
  readonly actions: readonly string[]
  readonly codes: Readonly<Record<'noToken' | 'badToken' | 'otherProject' | 'badProject' | 'empty' | 'notJson' | 'action' | 'instances' | 'tooMany' | 'badId' | 'unknown' | 'noRoute' | 'wrongMethod', string>>
  /** The code for the same id twice, or null when that is one result. */
  readonly repeated: string | null
  /** Reads code and message out of this version's envelope; throws when the body has another shape. */
  readonly envelope: (body: any) => { readonly code: string; readonly message: string }
}

export function dialectContract(dialect: DialectUnderTest): void {
  describe(dialect.name, { concurrency: false }, () => {
    let server: Server
    let audit: number
    before(async () => { server = await makeServer(); await server.start(); audit = await operations() })
    after(async () => { await server.destroy() })
    const operations = async (): Promise<number> => (await server.call('console', 'GET', '/v1/operations?limit=1000')).json.operations.length
    const send = (body: unknown, headers: Record<string, string> = {}, path = dialect.path(server.project)): Promise<Answer> => server.call(dialect.service, dialect.method, path, body, headers)
    const ids = (count: number): string[] => Array.from({ length: count }, () => randomUUID())
    const action = dialect.actions[0]!

    async function refused(answer: Answer, status: number, code: string): Promise<void> {
      assert.equal(answer.status, status, answer.text)
      const said = dialect.envelope(answer.json)
      assert.equal(said.code, code, answer.text)
      assert.ok(said.message.length > 0 && said.message.length <= 1024)
      assert.match(answer.headers.get('x-request-id') ?? '', /\S/)
      assert.equal(await operations(), audit, 'a refusal changed something')
    }

    test('who calls is asked before anything about the body', async () => {
      for (const body of ['', '{nope', { action, instances: ids(1) }]) {
        await refused(await send(body, { 'x-auth-token': '' }), 401, dialect.codes.noToken)
        await refused(await send(body, { 'x-auth-token': 'forged' }), 401, dialect.codes.badToken)
        await refused(await send(body, {}, dialect.path('f'.repeat(32))), 401, dialect.codes.otherProject)
        await refused(await send(body, {}, dialect.path('no-project')), 400, dialect.codes.badProject)
      }
    })

    test('then the body, the action, the instances: their number, their form', async () => {
      await refused(await send(''), 400, dialect.codes.empty)
      for (const body of ['{nope', '[]', '"text"', '7', 'null', '\u0000']) await refused(await send(body), 400, dialect.codes.notJson)
      for (const body of [{}, { action: null }, { action: 'reboot' }, { action: ['restart'] }, { action: 'RESTART' }, { action: `${action} ` }]) await refused(await send({ instances: ids(51), ...body }), 400, dialect.codes.action)
      for (const instances of [undefined, null, [], 'x', {}, 7]) await refused(await send({ action, instances }), 400, dialect.codes.instances)
      await refused(await send({ action, instances: [...ids(50), 'x'] }), 400, dialect.codes.tooMany)
      for (const id of ['x', '', '../x', `${randomUUID()}/`, 7, null, {}, '\ud800', '__proto__', randomUUID().replaceAll('-', '')]) await refused(await send({ action, instances: [randomUUID(), id] }), 400, dialect.codes.badId)
    })

    test('the same id twice is one result or refused, as this dialect has it', async () => {
      const id = randomUUID()
      const answer = await send({ action, instances: [id, id.toUpperCase()] })
      if (dialect.repeated !== null) return refused(answer, 400, dialect.repeated)
      assert.deepEqual(answer.json.results.map((one: { instance: string }) => one.instance), [id])
    })

    test('unknown ids are 200 with one failed result each, in the caller\'s order, for every action', async () => {
      for (const name of dialect.actions) {
        const wanted = ids(50)
        const answer = await send({ action: name, instances: wanted })
        assert.equal(answer.status, 200, answer.text)
        assert.deepEqual(answer.json.results.map((one: { instance: string; result: string; error_code: string }) => [one.instance, one.result, one.error_code]), wanted.map((id) => [id, 'failed', dialect.codes.unknown]))
      }
      assert.equal(await operations(), audit)
    })

    test('another path is 404, another method 405', async () => {
      await refused(await server.call(dialect.service, dialect.method, `${dialect.path(server.project)}/more`, {}), 404, dialect.codes.noRoute)
      await refused(await server.call(dialect.service, 'PATCH', dialect.path(server.project), {}), 405, dialect.codes.wrongMethod)
    })
  })
}
