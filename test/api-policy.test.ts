/** Who may do what: rules, and what each service answers whoever may not. */
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { builtInRoles, covers, judge, type Role } from '../src/core/policy.ts'
import { ground, projectId, type Ground } from './support/api-double.ts'

let g: Ground
let headers: Record<string, string>
before(async () => { g = await ground(); headers = { 'x-auth-token': await g.token(), 'content-type': 'application/json' } })
afterEach(() => { g.may.roles = [admin] })
after(() => g.listening.close())

const [admin, readonly] = builtInRoles as [Role, Role]
const allow = (...actions: string[]): Role => ({ name: 'custom', description: '', rules: [{ effect: 'allow', actions }] })
const deny = (...actions: string[]): Role => ({ name: 'custom', description: '', rules: [{ effect: 'deny', actions }] })
const send = async (service: 'iam' | 'dcs' | 'dms' | 'console', method: string, path: string, body?: object) => g.call(service, method, path, { headers, ...body ? { body: JSON.stringify(body) } : {} })

test('a star stands for any text, and nothing else does', () => {
  for (const [pattern, action, covered] of [
    ['*', 'dcs:instance:get', true], ['dcs:*', 'dcs:instance:get', true], ['dcs:instance:*', 'dcs:instance:get', true], ['*:*:get*', 'dcs:instance:getConfiguration', true],
    ['*:*:get*', 'dcs:instance:modifyAuthInfo', false], ['dcs:instance:get', 'dcs:instance:getConfiguration', false], ['dcs:instance:*t', 'dcs:instance:get', true], ['dcs:instance:get*t', 'dcs:instance:get', false],
    ['dms:*', 'dcs:instance:get', false], ['', 'x', false], ['dcs.instance:get', 'dcs:instance:get', false], ['**', '', true], ['a*a', 'a', false],
  ] as const) assert.equal(covers(pattern, action), covered, `${pattern} ${action}`)
})

test('a rule that denies wins over all that allow; who has no role may do nothing', () => {
  assert.equal(judge([admin], 'any:thing'), 'allowed')
  assert.equal(judge([admin, deny('dcs:instance:delete')], 'dcs:instance:delete'), 'denied')
  assert.equal(judge([admin, deny('dcs:instance:delete')], 'dcs:instance:get'), 'allowed')
  assert.equal(judge([readonly], 'dcs:slowlog:list'), 'allowed')
  assert.equal(judge([readonly], 'dcs:instance:create'), 'read only')
  assert.equal(judge([readonly, allow('dcs:instance:modifyStatus')], 'dcs:instance:create'), 'denied')
  assert.equal(judge([], 'dcs:instance:get'), 'no role')
})

test('each service says no in its own documented words, and changes nothing', async () => {
  const [redis, kafka] = [g.seed('redis'), g.seed('kafka')]
  const before = g.wishes.length
  const restart = { action: 'restart', instances: [redis] }
  const cases: [Role[], ['iam' | 'dcs' | 'dms' | 'console', string, string, object?], string | number, RegExp][] = [
    [[readonly], ['dcs', 'PUT', `/v2/${projectId}/instances/status`, restart], 'DCS.3002', /read permission only/],
    [[allow('dcs:instance:get')], ['dcs', 'PUT', `/v2/${projectId}/instances/status`, restart], 'DCS.2007', /^Policy does not allow dcs:instance:modifyStatus to be performed\.$/],
    [[], ['dcs', 'PUT', `/v2/${projectId}/instances/status`, restart], 'DCS.2003', /role/],
    [[allow('dcs:instance:modifyStatus')], ['dcs', 'DELETE', `/v2/${projectId}/instances/${redis}`], 'DCS.2007', /dcs:instance:delete/],
    [[readonly], ['dcs', 'PUT', `/v1.0/${projectId}/instances/status`, restart], '111403002', /read permission only/],
    [[allow('x')], ['dcs', 'PUT', `/v1.0/${projectId}/instances/status`, restart], '111403003', /role/],
    [[readonly], ['dms', 'POST', `/v2/${projectId}/instances/action`, { action: 'restart', instances: [kafka] }], 'DMS.00403002', /read-only/],
    [[allow('dms:instance:modifyStatus')], ['dms', 'POST', `/v2/${projectId}/instances/action`, { action: 'delete', instances: [kafka] }], 'DMS.00403003', /dms:instance:delete/],
    [[allow('dms:instance:delete')], ['dms', 'POST', `/v2/${projectId}/instances/action`, { action: 'restart', instances: [kafka] }], 'DMS.00403003', /dms:instance:modifyStatus/],
    [[readonly], ['console', 'POST', '/v1/down'], 'SLUICE.0403', /sluice:server:stop/],
    [[readonly], ['iam', 'POST', '/v3/projects', { project: { name: 'new' } }], 403, /iam:projects:createProject/],
  ]
  for (const [roles, [service, method, path, body], code, message] of cases) {
    g.may.roles = roles
    const { status, json } = await send(service, method, path, body)
    assert.equal(status, 403, `${method} ${path} ${JSON.stringify(json)}`)
    assert.equal(json.error_code ?? json.error.code, code)
    assert.match(json.error_msg ?? json.error.message, message)
  }
  assert.equal(g.wishes.length, before)
})

test('what the rules allow is done', async () => {
  const [redis, kafka] = [g.seed('redis'), g.seed('kafka')]
  g.may.roles = [allow('dcs:instance:modifyStatus', 'dms:instance:delete')]
  assert.equal((await send('dcs', 'PUT', `/v2/${projectId}/instances/status`, { action: 'restart', instances: [redis] })).status, 200)
  assert.equal((await send('dms', 'POST', `/v2/${projectId}/instances/action`, { action: 'delete', instances: [kafka] })).status, 200)
  g.may.roles = [readonly]
  assert.equal((await send('dcs', 'GET', `/v2/${projectId}/instances`)).status, 200)
  assert.equal((await send('console', 'GET', '/v1/operations')).status, 200)
  assert.equal((await send('iam', 'GET', '/v3/projects')).status, 200)
})
