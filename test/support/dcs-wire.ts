/** Requests to DCS over the wire, and what a refusal looks like there. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { projectId } from './api-double.ts'
import { v2, wireTo } from './wire.ts'

export { v2 }
export const { onGround: dcsGround, send } = wireTo('dcs')
export const change = (action: string, instances: unknown, version = 'v2') => send('PUT', `/${version}/${projectId}/instances/status`, { action, instances })
export const refusedAs = (r: { status: number; json: any }, status: number, code: string) => {
  assert.equal(r.json?.error_code, code, JSON.stringify(r.json))
  assert.equal(r.status, status)
  assert.deepEqual(Object.keys(r.json), ['error_msg', 'error_code', 'error_ext_msg'])
  assert.equal(r.json.error_ext_msg, null)
}
export const wish = (more: object = {}) => ({ name: 'cache-a', engine: 'Redis', engine_version: '6.0', capacity: 0.125, spec_code: 'redis.single.xu1.tiny.128', az_codes: ['eu-de-01'], vpc_id: randomUUID(), subnet_id: randomUUID(), password: 'Abcd1234!', ...more })

