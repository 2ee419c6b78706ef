/** The official Node SDK's core, unmodified: npm has no DCS package, so its signed calls are made by their paths, on a real Redis. */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { client, makeServer, password, until, type Server } from './support/server.ts'

/** It writes an id of its own there. */
const home = mkdtempSync(join(tmpdir(), 'sluice-sdk-'))
let server: Server
let hc: { sendRequest(request: object): Promise<any> }

before(async () => {
  server = await makeServer()
  await server.start()
  process.env['HOME'] = home
  const require = createRequire(import.meta.url)
  const core = require('@huaweicloud/huaweicloud-sdk-core')
  const { ClientBuilder } = require('@huaweicloud/huaweicloud-sdk-core/ClientBuilder')
  const key = new core.BasicCredentials().withAk(server.env['SLUICE_ACCESS_KEY']).withSk(server.env['SLUICE_SECRET_KEY']).withProjectId(server.project)
  hc = new ClientBuilder((one: unknown) => one).withCredential(key).withEndpoint(`http://127.0.0.1:${server.base + 1}`).build()
})
after(async () => {
  await server.destroy()
  rmSync(home, { recursive: true, force: true })
})

const call = (method: string, path: string, more: { data?: object; queryParams?: object } = {}): Promise<any> =>
  hc.sendRequest({ method, url: `/v2/{project_id}${path}`, contentType: 'application/json', queryParams: {}, pathParams: {}, headers: {}, ...more })
const running = (id: string): Promise<any> => until('RUNNING', async () => { const one = await call('GET', `/instances/${id}`); return one.status === 'RUNNING' && one })

test('one life, with the data looked at from outside', async () => {
  const { instances: [made] } = await call('POST', '/instances', { data: { name: 'node-life', engine: 'Redis', engine_version: '6.0', capacity: 0.125, spec_code: 'redis.single.xu1.tiny.128', az_codes: ['eu-de-01'], vpc_id: randomUUID(), subnet_id: randomUUID(), password, description: 'Grüße * ~' } })
  const id = made.instance_id
  const instance = await running(id)
  assert.equal(instance.description, 'Grüße * ~')
  const { instance_num: count, instances } = await call('GET', '/instances', { queryParams: { name: 'node-life', name_equal: 'true', ip: instance.ip, tags: '' } })
  assert.deepEqual([count, instances[0].instance_id], [1, id])
  const redis = client(instance)
  await redis.set('kept', 'yes')
  for (const action of ['restart', 'soft_restart']) {
    const { results } = await call('PUT', '/instances/status', { data: { action, instances: [id] } })
    assert.equal(results[0].result, 'success')
    await running(id)
    assert.equal(await until('the data', () => redis.get('kept').catch(() => null)), 'yes')
  }
  await call('PUT', '/instances/status', { data: { action: 'flush', instances: [id] } })
  await running(id)
  assert.equal(await redis.dbsize(), 0)
  redis.disconnect()
  await assert.rejects(call('PUT', '/instances/status', { data: { action: 'stop', instances: [id] } }), (error: any) => error.httpStatusCode === 400 && (error.errorCode ?? error.error_code) === 'DCS.4064')
  await call('DELETE', `/instances/${id}`)
  await assert.rejects(call('GET', `/instances/${id}`), (error: any) => error.httpStatusCode === 404)
})
