/** The codes in the source against the rows of the documents' appendices, which are kept beside them. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { dcsError, dcsRow, refused, v1Row } from '../src/api/dcs/errors.ts'
import { dmsRow } from '../src/api/dms/errors.ts'

const api = join(import.meta.dirname, '..', 'src', 'api')
const codesIn = (folder: string, form: RegExp): string[] => [...new Set(globSync('*.ts', { cwd: join(api, folder) }).flatMap((file) => readFileSync(join(api, folder, file), 'utf8').match(form) ?? []))]

test('every DCS code in the source is a documented row, and so is its v1.0 twin', () => {
  const codes = codesIn('dcs', /DCS\.\d{4}/g)
  assert.ok(codes.length > 30)
  for (const code of codes) {
    assert.equal(dcsRow(code).code, code)
    assert.match(v1Row(code).code, /^111[45]0\d{4}$/)
    assert.equal(v1Row(code).status, dcsRow(code).status, code)
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
