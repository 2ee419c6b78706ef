/** Requests to DMS over the wire, and what a refusal looks like there. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { v2, wireTo } from './wire.ts'

export { v2 }
export const { onGround: dmsGround, send } = wireTo('dms')
export const refusedAs = (r: { status: number; json: any }, status: number, code: string) => {
  assert.equal(r.json?.error_code, code, JSON.stringify(r.json))
  assert.equal(r.status, status)
  assert.deepEqual(Object.keys(r.json), ['error_code', 'error_msg'])
}
export const wish = (more: object = {}) => ({
  name: 'kafka-a', engine: 'kafka', engine_version: '2.7', broker_num: 1, storage_space: 100, vpc_id: randomUUID(), subnet_id: randomUUID(), security_group_id: randomUUID(),
  available_zones: ['eu-de-01'], product_id: 'c6.2u4g.single', storage_spec_code: 'dms.physical.storage.ultra.v2', ...more,
})
