/** More users of an instance: who may read, and who may write. */
import { bodyOf, failureOf, idOf, instanceOf, unknown, type Row } from './call.ts'
import { mostTries } from '../../core/tries.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { refusalCode } from './batch.ts'
import { stableId } from './nodes.ts'
import { isAbsent, isText, uuid, type Body } from '../json.ts'
import { noContent, ok, type Call, type Caller, type Reply } from '../http.ts'
import type { Account, AccountRefusal, AccountWish } from '../../core/accounts.ts'
import type { ControlPlane, View } from '../../core/control-plane.ts'
import type { Operation } from '../../core/operation.ts'

const path = '/v2/:project_id/instances/:instance_id/accounts'

export const accountRows: readonly Row[] = [
  ['POST', path, 'dcs:aclaccount:create', create],
  ['GET', path, 'dcs:aclaccount:list', list],
  ['DELETE', `${path}/:account_id`, 'dcs:aclaccount:delete', (plane, call, caller) => wished(plane, call, caller, async (accountId) => ({ what: 'delete', accountId }), () => noContent)],
  ['PUT', `${path}/:account_id`, 'dcs:aclaccount:modify', (plane, call, caller) => wished(plane, call, caller, describe, () => noContent)],
  ['PUT', `${path}/:account_id/role`, 'dcs:aclaccount:modify', (plane, call, caller) => wished(plane, call, caller, changeRole, ({ id, instanceId }) => ok({ instance_id: instanceId, job_id: id }))],
  ['PUT', `${path}/:account_id/password/modify`, 'dcs:aclaccount:modify', (plane, call, caller) => wished(plane, call, caller, changePassword, () => ok(told('success', 'Modify password success.')))],
  ['PUT', `${path}/:account_id/password/reset`, 'dcs:aclaccount:modify', (plane, call, caller) => wished(plane, call, caller, resetPassword, () => ok({ code: '1', message: 'success', lock_time: '0', lock_time_left: '0', retry_times_left: String(mostTries) }))],
]

/** Ours, and what a container's readiness is asked with. */
const reserved: readonly string[] = ['default', 'sluice', 'probe']

function told(result: string, message: string, left = mostTries, lockedForMs = 0): object {
  const lock = left < mostTries ? '5' : '0'
  return { result, message, retry_times_left: String(left), lock_time: lock, lock_time_left: lockedForMs > 0 ? String(Math.ceil(lockedForMs / 60_000)) : lock }
}

function readRole(value: unknown): Account['role'] | Refused { return value === 'read' || value === 'write' ? value : refused('DCS.4062', 'account_role') }

function readDescription(value: unknown): string | Refused {
  if (isAbsent(value)) return ''
  return isText(value, 1024) ? value : refused('DCS.4011')
}

/** 8 to 64 characters of three classes out of four, without blanks, colons or anything that is not printed. */
function readPassword(value: unknown): string | Refused {
  if (isAbsent(value) || typeof value !== 'string') return refused('DCS.4845')
  const classes = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^A-Za-z0-9]/].filter((kind) => kind.test(value)).length
  return /^[!-9;-~]{8,64}$/.test(value) && classes >= 3 ? value : refused('DCS.4019')
}

async function create(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const body = bodyOf(call) as Body | Refused
  if (isRefused(body)) return body
  const { account_name: name } = body
  if (typeof name !== 'string' || !/^[A-Za-z][A-Za-z0-9_-]{0,63}$/.test(name) || reserved.includes(name.toLowerCase())) return refused('DCS.4062', 'account_name')
  const [role, password, description] = [readRole(body['account_role']), readPassword(body['account_password']), readDescription(body['description'])]
  for (const part of [role, password, description]) if (isRefused(part)) return part
  return submit(plane, call, caller, { what: 'create', name, role: role as Account['role'], password: password as string, description: description as string }, () => noContent)
}

type Read = (accountId: string, body: () => Body | Refused) => Promise<AccountWish | Refused>

async function wished(plane: ControlPlane, call: Call, caller: Caller, read: Read, accepted: (operation: Operation) => Reply): Promise<Reply | Refused> {
  const accountId = uuid(call.params['account_id'])
  if (accountId === null) return refused('DCS.4062', 'account_id')
  const wish = await read(accountId, () => bodyOf(call) as Body | Refused)
  return isRefused(wish) ? wish : submit(plane, call, caller, wish, accepted)
}

async function describe(accountId: string, read: () => Body | Refused): Promise<AccountWish | Refused> {
  const body = read()
  if (isRefused(body)) return body
  const description = readDescription(body['description'])
  return isRefused(description) ? description : { what: 'describe', accountId, description }
}

async function changeRole(accountId: string, read: () => Body | Refused): Promise<AccountWish | Refused> {
  const body = read()
  if (isRefused(body)) return body
  const role = readRole(body['account_role'])
  return isRefused(role) ? role : { what: 'role', accountId, role }
}

async function changePassword(accountId: string, read: () => Body | Refused): Promise<AccountWish | Refused> {
  const body = read()
  if (isRefused(body)) return body
  const { old_password: old } = body
  if (typeof old !== 'string' || old === '' || old.length > 256) return refused('DCS.4845', undefined, 'old_password')
  const password = readPassword(body['new_password'])
  return isRefused(password) ? password : { what: 'modify', accountId, password, old }
}

async function resetPassword(accountId: string, read: () => Body | Refused): Promise<AccountWish | Refused> {
  const body = read()
  if (isRefused(body)) return body
  const password = readPassword(body['new_password'])
  return isRefused(password) ? password : { what: 'reset', accountId, password }
}

async function submit(plane: ControlPlane, call: Call, caller: Caller, wish: AccountWish, accepted: (operation: Operation) => Reply): Promise<Reply | Refused> {
  const id = idOf(call)
  if (isRefused(id)) return id
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const answer = await plane.accounts.change(caller, id, wish)
  if ('kind' in answer) return notChanged(answer)
  if ('refusal' in answer) return answer.refusal.kind === 'unknown' ? unknown : refused(refusalCode('configure', answer.refusal), undefined, answer.refusal.kind === 'unsupported' ? answer.refusal.reason : undefined)
  if ('plan' in answer) return noContent
  // Who has an answer may log in.
  const failure = await failureOf(plane, caller, answer.operation.id)
  return failure === null ? accepted(answer.operation) : refused('DCS.4842', undefined, failure)
}

function notChanged(refusal: AccountRefusal): Reply | Refused {
  switch (refusal.kind) {
    case 'unknown account': return refused('DCS.4062', 'account_id', 'this instance has no such account')
    case 'taken': return refused('DCS.4062', 'account_name', 'there is one of this name')
    case 'full': return refused('DCS.4026', undefined, 'an instance has 18 accounts at most, beside its own')
    case 'same': return refused('DCS.4019', undefined, 'the new password must be another one')
    case 'wrong': return ok(told('passwordFailed', 'verify password failed.', refusal.left))
    case 'locked': return ok(told('locked', 'the account is locked', 0, refusal.forMs))
  }
}

async function list(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const { id } = view.instance
  const own = { account_id: stableId(`account default ${id}`), account_name: 'default', account_type: 'default', instance_id: id, status: 'AVAILABLE', account_role: 'write', description: '', error_code: null }
  return ok({ accounts: [own, ...(view.instance.spec.accounts ?? []).map((one) => item(one, view))] })
}

function item({ id, name, role, description }: Account, { instance, open }: View): object {
  const mine = open?.action === 'accounts' && open.memo['account'] === id
  const status = mine ? open.memo['what'] === 'create' ? 'CREATING' : 'UPDATING' : 'AVAILABLE'
  return { account_id: id, account_name: name, account_type: 'normal', instance_id: instance.id, status, account_role: role, description, error_code: null }
}
