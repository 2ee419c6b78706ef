/** The password of an instance: changed by whoever knows the old one, or reset. */
import { failureOf, instanceOf, unknown, wishOf, type Row } from './call.ts'
import { mostTries } from '../../core/tries.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { isStrong } from './fields.ts'
import { refusalCode } from './batch.ts'
import { ok, type Call, type Caller, type Reply } from '../http.ts'
import { planBody } from '../plan.ts'
import { isAbsent, type Body } from '../json.ts'
import type { ControlPlane, PasswordAnswer } from '../../core/control-plane.ts'
import type { Refusal } from '../../core/refusal.ts'

export const passwordRows: readonly Row[] = [
  ['PUT', '/v2/:project_id/instances/:instance_id/password', 'dcs:instance:modifyAuthInfo', (plane, call, caller) => update(plane, call, caller, words)],
  ['PUT', '/v1.0/:project_id/instances/:instance_id/password', 'dcs:instance:modifyAuthInfo', (plane, call, caller) => update(plane, call, caller, oldWords)],
  ['POST', '/v2/:project_id/instances/:instance_id/password/reset', 'dcs:instance:resetAuthInfo', reset],
]

const words = { success: 'success', wrong: 'passwordFailed', locked: 'locked', failed: 'failed' } as const
const oldWords: Readonly<Record<keyof typeof words, string>> = { success: 'Success', wrong: 'passwordFailed', locked: 'Locked', failed: 'Failed' }
type Words = typeof oldWords

const lockMinutes = 5

/** All texts, as the document has them. */
function answered(result: string, message: string, left: number, lockedForMs = 0): Reply {
  const lock = left < mostTries ? lockMinutes : 0
  return ok({ lock_time: String(lock), result, lock_time_left: String(lockedForMs > 0 ? Math.ceil(lockedForMs / 60_000) : lock), retry_times_left: String(left), message })
}

async function update(plane: ControlPlane, call: Call, caller: Caller, say: Words): Promise<Reply | Refused> {
  const wish = wishOf(call)
  if (isRefused(wish)) return wish
  const { id, dryRun, body } = wish
  const { old_password: old, new_password: next } = body as Body
  if (typeof old !== 'string' || old === '' || old.length > 256) return refused('DCS.4845', undefined, 'old_password')
  if (typeof next !== 'string' || next === '') return refused('DCS.4845', undefined, 'new_password')
  if (!isStrong(next)) return refused('DCS.4019')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const answer = await plane.changePassword({ caller, engine: 'redis', id, old, next, dryRun })
  if ('kind' in answer) return notChanged(answer, say)
  if ('plan' in answer) return ok({ plan: planBody(answer.plan) })
  if ('refusal' in answer) return refusedAs(answer.refusal)
  const failure = await failureOf(plane, caller, answer.operation.id)
  return failure === null ? answered(say.success, 'Modify DCSInstance password success.', mostTries) : answered(say.failed, failure, mostTries)
}

function notChanged(answer: PasswordAnswer, say: Words): Reply | Refused {
  switch (answer.kind) {
    case 'none': return refused('DCS.4850')
    case 'same': return refused('DCS.4019', undefined, 'the new password must be another one')
    case 'wrong': return answered(say.wrong, 'verify password failed.', answer.left)
    case 'locked': return answered(say.locked, 'instance is locked', 0, answer.forMs)
  }
}

async function reset(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const wish = wishOf(call)
  if (isRefused(wish)) return wish
  const { id, dryRun, body } = wish
  const password = wantedPassword(body)
  if (isRefused(password)) return password
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const answer = await plane.change({ caller, engine: 'redis', id, action: 'password', spec: { password }, detail: password === null ? 'no password' : '', dryRun })
  if ('plan' in answer) return ok({ plan: planBody(answer.plan) })
  if ('refusal' in answer) return refusedAs(answer.refusal)
  const failure = await failureOf(plane, caller, answer.operation.id)
  if (failure !== null) return refused('DCS.4842', undefined, failure)
  return ok({ retry_times_left: String(mostTries), lock_time: '0', lock_time_left: '0', code: '1', message: 'success', ext_message: null })
}

/** Null: none from now on. */
function wantedPassword(body: Body): string | null | Refused {
  const { new_password: next, no_password_access: free } = body
  if (!isAbsent(free) && ![true, false, 'true', 'false'].includes(free as boolean)) return refused('DCS.4843')
  if (free === true || free === 'true') return isAbsent(next) ? null : refused('DCS.4849')
  if (isAbsent(next) || typeof next !== 'string') return refused('DCS.4845')
  return isStrong(next) ? next : refused('DCS.4019')
}

const refusedAs = (refusal: Refusal): Refused => refusal.kind === 'unknown' ? unknown : refused(refusalCode('configure', refusal), undefined, refusal.kind === 'unsupported' ? refusal.reason : undefined)
