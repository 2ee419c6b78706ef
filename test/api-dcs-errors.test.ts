/** The documented errors of DCS: all of them are in the table, and each that a request can cause has a case somewhere. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { dcsRows } from '../src/api/dcs/routes.ts'
import { dcsRow } from '../src/api/dcs/errors.ts'
import { projectId, type Ground } from './support/api-double.ts'
import { change, dcsGround, refusedAs, send, v2 } from './support/dcs-wire.ts'

let g: Ground
dcsGround((ground) => { g = ground })

const root = join(import.meta.dirname, '..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const codesIn = (pattern: string): Set<string> => new Set(globSync(pattern, { cwd: root }).flatMap((file) => read(file).match(/DCS\.\d{4}/g) ?? []))
const documented = read('test/documents/dcs-errors.tsv').trim().split('\n').slice(1).map((line) => line.split('\t') as [string, string, string])

/** What no request to Sluice can cause, and why. */
const unreachable: Readonly<Record<string, string>> = {
  'there are no orders, bills or frozen accounts': '4021 4038 4045 4047 4107 4108 4119 4120 5032 5037 5044 5104',
  'products follow from the spec code, which has a code of its own': '4007 4009 4022 4037',
  'networks, zones and security groups are names, which are not looked up': '4018 4020 4042 4046 4048 4054 4067 4068 5050',
  'two instances may have one name': '4060',
  'spans of time have a code of their own, 4062 with their name': '4063 4800',
  'a diagnosis tells what there is since its instance began': '4033',
  'limits are told one by one: instances 4035, memory 4036': '4039',
  'nothing is frozen, upgraded or rolled back in a state of its own': '4116 4117',
  'a wrong password is a 200 with its result': '4080',
  'every topology with replicas has what this is about': '4086',
  'there are no names and no public addresses, and clients\' addresses pass as they are': '4300 4838 4839 4846 4847 4879 4998 4999',
  'sessions can be managed on every version': '4848',
  'flavors of one node are no flavors of this topology, and masters have a code of their own': '4931 4935 4937',
  'what fails later is told by the task or the job': '5094 5031',
  'a rival is told what is under way, 4114': '4069',
  'a file that cannot be deleted is a fault, 5000': '4101',
  'other clouds\' parts, or their names for a fault, 5000': '5006 5017 5020 5024 5039 5040 5041 5042 5043 5045 5053 5054 5070 5071 5077 5078 5079 5081 5082 5083 5085 5090 5091 5092 5095 5101',
  'a role that does not suffice is 2003 or 2007': '3003',
}

test('the table is the documented list: every code, its status and its words', () => {
  assert.equal(documented.length, 287)
  for (const [status, code, message] of documented) assert.deepEqual(dcsRow(code), { status: Number(status), code, message })
  assert.equal(read('src/api/dcs/errors.tsv').trim().split('\n').length, documented.length + 1)
})

test('every documented code is used, or it is said why it cannot be', () => {
  const used = codesIn('src/api/dcs/*.ts')
  const excused = Object.values(unreachable).flatMap((codes) => codes.split(' ')).map((digits) => `DCS.${digits}`)
  assert.equal(new Set(excused).size, excused.length)
  const open = documented.map(([, code]) => code).filter((code) => code.startsWith('DCS.') && !used.has(code) && !excused.includes(code))
  assert.deepEqual(open, [])
  for (const code of excused) assert.equal(dcsRow(code).code, code)
})

/** These need a rival at the same instant, or a server that dies in the middle of a change. */
const unlikely = ['DCS.4017', 'DCS.4842']
/** Of v1.0's twins in errors.ts alone. */
const twinsOnly = ['DCS.4023']

test('each code that is used has a case', () => {
  const cases = codesIn('test/*.test.ts')
  const declined = new Set(dcsRows.flatMap(([, , , handle]) => handle.declines ? [handle.declines.code] : []))
  assert.deepEqual([...codesIn('src/api/dcs/*.ts')].filter((code) => !cases.has(code) && !declined.has(code) && !unlikely.includes(code) && !twinsOnly.includes(code)).toSorted(), [])
})

test('every route that has nothing to do its work with says so with its own code, after what is wrong with the request', async () => {
  const id = g.seed('redis', { replicas: 2 })
  for (const [method, path, , { declines }] of dcsRows.filter(([, , , handle]) => handle.declines)) {
    const at = (instance: string): string => path.replace(':project_id', projectId).replace(':instance_id', instance).replaceAll(/:\w+/g, 'a'.repeat(32))
    const r = await send(method, at(id), method === 'GET' || method === 'DELETE' ? undefined : {})
    if (path.startsWith('/v1.0')) assert.equal(r.status, dcsRow(declines!.code).status)
    else refusedAs(r, dcsRow(declines!.code).status, declines!.code)
    if (path.includes(':instance_id')) refusedAs(await send(method, at(randomUUID()), method === 'GET' ? undefined : {}), 404, 'DCS.3022')
  }
})

test('what is under way has a code of its own, whatever is asked meanwhile', async () => {
  for (const [open, code] of [['restore', 'DCS.4097'], ['configure', 'DCS.4114'], ['password', 'DCS.4115'], ['create', 'DCS.4118'], ['restart', 'DCS.4111'], ['extend', 'DCS.4113'], ['flush', 'DCS.4026']] as const) {
    refusedAs(await change('flush', [g.seed('redis', { open })]), 400, code)
    refusedAs(await send('POST', `${v2}/${g.seed('redis', { open, replicas: 2 })}/swap`), 400, code)
  }
})

test('an analysis that is not there has a code by its kind', async () => {
  const id = g.seed('redis')
  for (const [kind, code] of [['bigkey', 'DCS.4942'], ['hotkey', 'DCS.4941']] as const) refusedAs(await send('GET', `${v2}/${id}/${kind}-task/${randomUUID()}`), 400, code)
})
