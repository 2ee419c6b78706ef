/** Whitelists that really keep clients away, with nftables; as root, for nobody else may set a machine's rules. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeServer, password, root, until, type Server } from './support/server.ts'
import { letsIn as lets, nft, table, visit as visits } from './support/stranger.ts'

/** Addresses of one machine that clients can come from; who does not choose comes from 127.0.0.1. */
const [listed, alsoListed, stranger] = ['127.9.0.1', '127.9.1.77', '127.9.0.2']
const groups = [{ group_name: 'office', ip_list: [listed, '127.9.1.0/24'] }]

describe('whitelists', { concurrency: false }, () => {
  let server: Server
  before(async () => {
    nft('list', 'tables')
    server = await makeServer()
    // Nothing happens before that file is there.
    server.always({ CRASH_FILE: join(server.home, 'armed') }, ['--import', join(root, 'test/crash/hook.ts')])
    await server.start()
  })
  after(async () => { await server.destroy() })

  const whitelist = (id: string, method: string, body?: object, path = 'whitelist') => server.dcs(method, `/instance/${id}/${path}`, body)
  /** All rules of this home; empty where there is none. */
  const rules = (): string => nft('list', 'tables').includes(table(server)) ? nft('list', 'table', 'inet', table(server)) : ''
  const letsIn = (place: any, from?: string): Promise<boolean> => lets(place, from, password)
  const visit = (place: any, from?: string) => visits(place, from, password)
  const settled = () => until('everything settled', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0)

  test('only who is listed connects, whoever else was connected is cut, and what somebody takes away is put back', async () => {
    const id = await server.createRedis('alone')
    const made = await server.running('dcs', id)
    assert.deepEqual((await whitelist(id, 'GET')).json, { instance_id: id, enable_whitelist: false, whitelist: [], whitelist_ip_limit_num: '20' })
    const [keeps, speaks, listens, plain] = [await visit(made, listed), await visit(made, stranger), await visit(made, stranger), await visit(made)]
    await listens.ask('SUBSCRIBE', 'news')
    const planned = await server.dcs('PUT', `/instance/${id}/whitelist?dry_run=true`, { enable_whitelist: true, whitelist: groups })
    assert.match(planned.text, /lets in those who are listed/)
    assert.equal(rules(), '')

    const answer = await whitelist(id, 'PUT', { enable_whitelist: true, whitelist: groups })
    assert.equal(answer.status, 204, answer.text)
    // True when it is answered.
    assert.deepEqual([await letsIn(made, listed), await letsIn(made, alsoListed), await letsIn(made, stranger), await letsIn(made)], [true, true, false, false])
    assert.match(await keeps.ask('PUBLISH', 'news', 'secret'), /:0/)
    await until('those who are not listed to be cut', () => speaks.cut() && listens.cut() && plain.cut(), 2000)
    assert.ok(!listens.heard().includes('secret'))
    assert.deepEqual((await whitelist(id, 'GET')).json, { instance_id: id, enable_whitelist: true, whitelist: groups, whitelist_ip_limit_num: '20' })
    assert.equal((await whitelist(id, 'PUT', { enable_whitelist: true, whitelist: groups })).status, 204)
    assert.equal(await keeps.ask('PING'), '+PONG\r\n')

    // One who was let in while somebody had taken the rules away gets nothing any more either.
    for (const harm of [['delete', 'table', 'inet', table(server)], ['flush', 'map', 'inet', table(server), 'doors']]) {
      nft(...harm)
      const between = await visit(made, stranger).catch(() => null)
      await until('the rules to be put back', async () => await letsIn(made, listed) && !await letsIn(made, stranger), 10_000, 50)
      if (between) await assert.rejects(between.ask('PING'), /ECONNRESET|closed/)
      await settled()
    }
    assert.match((await server.call('console', 'GET', '/v1/audit?limit=50')).text, /somebody changed them/)
    await server.running('dcs', id)

    const off = await whitelist(id, 'PUT', { enable_whitelist: false, whitelist: groups }, 'whitelist-async')
    assert.equal(off.status, 200, off.text)
    await until('the job', async () => (await server.dcs('GET', `/jobs/${off.json.job_id}`)).json.status === 'SUCCESS')
    assert.deepEqual([await letsIn(made, stranger), await letsIn(made), rules()], [true, true, ''])
    assert.deepEqual((await whitelist(id, 'GET')).json.whitelist, groups)
    // Nobody on it: everybody.
    assert.equal((await whitelist(id, 'PUT', { enable_whitelist: true, whitelist: [] })).status, 204)
    assert.deepEqual([await letsIn(made), (await whitelist(id, 'GET')).json.enable_whitelist, rules()], [true, true, ''])
  })

  test('what is no whitelist is refused, and nothing comes of it', async () => {
    const id = await server.createRedis('strict')
    await server.running('dcs', id)
    const group = (...ip_list: unknown[]) => ({ enable_whitelist: true, whitelist: [{ group_name: 'x', ip_list }] })
    const many = Array.from({ length: 21 }, (_, n) => `10.0.0.${n}`)
    for (const body of [
      {}, { enable_whitelist: 'yes', whitelist: [] }, { enable_whitelist: true }, group('0.0.0.0/0'), group('0.0.0.0'), group('10.0.0.0/33'), group('10.0.0'), group('::1'), group('a'), group(7), group(...many),
      { enable_whitelist: true, whitelist: Array.from({ length: 5 }, (_, n) => ({ group_name: `g${n}`, ip_list: [] })) }, { enable_whitelist: true, whitelist: [{ group_name: '', ip_list: [] }] }, { enable_whitelist: true, whitelist: [{ group_name: 'a', ip_list: [] }, { group_name: 'a', ip_list: [] }] },
    ]) assert.equal((await whitelist(id, 'PUT', body)).json.error_code, 'DCS.4062', JSON.stringify(body))
    const old = await server.createRedis('old', { engine_version: '3.0', spec_code: 'dcs.single_node', capacity: 2 }).catch(() => null)
    if (old) assert.equal((await whitelist(old, 'PUT', group(listed))).json.error_code, 'DCS.4027')
    // Twenty addresses in four groups, some within others, with a range of which it is not the first one.
    const most = Array.from({ length: 4 }, (_, n) => ({ group_name: `g${n}`, ip_list: Array.from({ length: 5 }, (_, k) => k === 0 ? `127.9.${n}.77/${24 + n}` : `127.9.${n}.${k}`) }))
    assert.equal((await whitelist(id, 'PUT', { enable_whitelist: true, whitelist: most })).status, 204)
    assert.deepEqual((await whitelist(id, 'GET')).json.whitelist, most)
    await server.dcs('DELETE', `/instances/${id}`)
    await settled()
    assert.equal(rules(), '')
  })

  test('a control plane that dies in the middle leaves the old list or the new one, and finishes', async () => {
    const armed = join(server.home, 'armed')
    const id = await server.createRedis('cut-short')
    const made = await server.running('dcs', id)
    const wish = (enable_whitelist: boolean, ip_list: readonly string[]) => whitelist(id, 'PUT', { enable_whitelist, whitelist: [{ group_name: 'some', ip_list }] })
    assert.equal((await wish(true, [listed])).status, 204)
    for (const [at, enabled, ip, before, after] of [
      ['store.committed', true, stranger, [true, false], [false, true]], ['runtime.screened', true, listed, [true, false], [true, false]], ['runtime.unscreened', false, listed, [true, true], [true, true]],
    ] as const) {
      writeFileSync(armed, at)
      await assert.rejects(wish(enabled, [ip]))
      await server.ended()
      rmSync(armed)
      assert.deepEqual([await letsIn(made, listed), await letsIn(made, stranger)], before, at)
      await server.start()
      await settled()
      assert.deepEqual([await letsIn(made, listed), await letsIn(made, stranger)], after, at)
      assert.deepEqual((await whitelist(id, 'GET')).json.enable_whitelist, enabled)
    }
    assert.equal(rules(), '')
    await server.dcs('DELETE', `/instances/${id}`)
    await settled()
  })

  test('who may not set rules is told so, and what to do', () => {
    const script = `
      import { screen } from ${JSON.stringify(join(root, 'src/runtimes/process/screen.ts'))}
      const [here, node] = [screen(process.argv[1], 'of the test'), { address: '127.0.0.1', ports: { service: 1 } }]
      for (const address of ['127.0.0.1', '::1']) console.log(await here.unable([{ address }]))
      const one = (sources) => ({ id: 'x', endpoints: {}, grants: {}, spec: { sources } })
      if (process.argv[2]) for (const sources of [['10.0.0.1'], null]) console.log(await here.put(one(sources), [node]).then(() => 'done', (error) => error.constructor.name))`
    const run = (...words: string[]): string[] => spawnSync(words[0]!, [...words.slice(1), process.execPath, '--input-type=module', '-e', script, server.home, ...words.slice(1, 2)], { encoding: 'utf8' }).stdout.trim().split('\n')
    const [able, six] = run('env')
    assert.equal(able, 'null')
    assert.match(six!, /^a whitelist is of IPv4.*set SLUICE_NODE_HOST/)
    // Nor does it leave anything that would have to be taken away.
    const [unable, , ...tried] = run('setpriv', '--bounding-set', '-net_admin', '--inh-caps', '-net_admin')
    assert.match(unable!, /^this server may not set the machine's packet filter: run it as root or with CAP_NET_ADMIN/)
    assert.deepEqual(tried, ['TerminalError', 'done'])
  })
})
