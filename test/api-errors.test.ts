/** The codes in the source against the rows of the documents' appendices, which are kept beside them. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { dcsError, dcsRow, refused, v1Code } from '../src/api/dcs/errors.ts'
import { dmsRow } from '../src/api/dms/errors.ts'

const api = join(import.meta.dirname, '..', 'src', 'api')
const codesIn = (folder: string, form: RegExp): string[] => [...new Set(globSync('*.ts', { cwd: join(api, folder) }).flatMap((file) => readFileSync(join(api, folder, file), 'utf8').match(form) ?? []))]

test('every DCS code in the source is a documented row, and so is its v1.0 twin', () => {
  const codes = codesIn('dcs', /DCS\.\d{4}/g)
  assert.ok(codes.length > 30)
  // No v1.0 document has a twin for what only v2 can answer.
  const onlyV2 = ['DCS.4025', 'DCS.3053', 'DCS.4855', 'DCS.4939', 'DCS.4253', 'DCS.4930', 'DCS.4933', 'DCS.4936', 'DCS.4875', 'DCS.4200', 'DCS.4957']
  for (const code of codes) {
    assert.equal(dcsRow(code).code, code)
    if (!onlyV2.includes(code)) assert.equal(dcsRow(v1Code(code)).status, dcsRow(code).status, `${code} and ${v1Code(code)}`)
  }
})

test('every DMS code in the source is a documented row', () => {
  const codes = codesIn('dms', /DMS\.\d{8}/g)
  assert.ok(codes.length > 30)
  for (const code of codes) assert.equal(dmsRow(code).code, code)
})

test('the appendices are whole', () => {
  const rows = (file: string): number => readFileSync(join(api, file), 'utf8').trim().split('\n').length - 1
  assert.equal(rows('dcs/errors.tsv'), 287)
  assert.equal(rows('dms/errors.tsv'), 173)
  assert.equal(dcsRow('DCS.4065').message, 'The instances parameter in the request cannot be a null value or left unspecified.')
  assert.equal(dcsRow('DCS.5001').status, 405)
  assert.equal(dcsRow('DCS.4101').status, 500)
  assert.equal(dmsRow('DMS.00400064').message, 'The action parameter in the request must be delete or restart.')
})

test('a refusal has the envelope of its API version', () => {
  assert.deepEqual(dcsError(refused('DCS.4062', '$&'), '/v2/p/instances'), { status: 400, body: { error_msg: 'Invalid $& parameter in the request.', error_code: 'DCS.4062', error_ext_msg: null } })
  assert.deepEqual(dcsError(refused('DCS.3022'), '/v1.0/p/instances'), { status: 404, body: { error: { code: '111404022', message: 'This DCS instance does not exist.' } } })
})
