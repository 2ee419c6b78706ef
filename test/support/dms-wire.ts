/** Requests to DMS over the wire, and what a refusal looks like there. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before } from 'node:test'
import { ground, projectId, type Ground } from './api-double.ts'

let g: Ground
let headers: Record<string, string>

/** Brings up a ground of its own for the tests of a file, and tells when it is there. */
export function dmsGround(ready: (ground: Ground) => void): void {
  before(async () => {
    g = await ground()
    headers = { 'x-auth-token': await g.token(), 'content-type': 'application/json' }
    ready(g)
  })
  after(() => g.listening.close())
}

export const v2 = `/v2/${projectId}/instances`
export const send = (method: string, path: string, body?: unknown, more: Record<string, string> = {}) =>
  g.call('dms', method, path, { headers: { ...headers, ...more }, ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }) })
export const refusedAs = (r: { status: number; json: any }, status: number, code: string) => {
  assert.equal(r.json?.error_code, code, JSON.stringify(r.json))
  assert.equal(r.status, status)
  assert.deepEqual(Object.keys(r.json), ['error_code', 'error_msg'])
}
export const wish = (more: object = {}) => ({
  name: 'kafka-a', engine: 'kafka', engine_version: '2.7', broker_num: 1, storage_space: 100, vpc_id: randomUUID(), subnet_id: randomUUID(), security_group_id: randomUUID(),
  available_zones: ['eu-de-01'], product_id: 'c6.2u4g.single', storage_spec_code: 'dms.physical.storage.ultra.v2', ...more,
})
