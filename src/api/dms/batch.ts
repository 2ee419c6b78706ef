/** Actions on up to fifty instances, or on every failed creation: reads the request in the policy's order. */
import { dmsRow, refused, type Refused } from './errors.ts'
import { uuid, type Body } from '../json.ts'
import { planBody, readDryRun } from '../plan.ts'
import type { Answer } from '../../core/control-plane.ts'
import type { Refusal } from '../../core/refusal.ts'

export type BatchAction = 'restart' | 'soft_restart' | 'delete'

/** Ids in lower case, each with the spelling it came in, in the caller's order. */
export type Ids = ReadonlyMap<string, string>

export type BatchWish = { readonly kind: 'failed creations' } | { readonly kind: 'instances'; readonly action: BatchAction; readonly ids: Ids }

/** What differs between v2 and v1.0. */
export interface Form { readonly actions: readonly BatchAction[]; readonly allFailure: string }

/** `?dry_run=true`, an extension of ours. */
export function readDry(query: URLSearchParams): boolean | Refused {
  return readDryRun(query) ?? refused('DMS.00400062', 'dry_run must be true or false')
}

/** The body of POST …/instances/action. */
export function readBatch(body: Body, form: Form): BatchWish | Refused {
  const action = form.actions.find((known) => known === body['action'])
  if (!action) return refused('DMS.00400064')
  const all = body[form.allFailure]
  const instances = body['instances']
  if (all !== undefined && all !== null && all !== '') {
    // Whatever is not exactly the documented form touches nothing: what is deleted is gone.
    if (action !== 'delete') return refused('DMS.00400062', `${form.allFailure} goes with delete only`)
    if (all !== 'kafka') return refused('DMS.00400062', `${form.allFailure} must be kafka`)
    const named = Array.isArray(instances) ? instances.length > 0 : instances !== undefined && instances !== null
    return named ? refused('DMS.00400062', `${form.allFailure} and instances exclude each other`) : { kind: 'failed creations' }
  }
  if (!Array.isArray(instances) || instances.length === 0) return refused('DMS.00400065')
  if (instances.length > 50) return refused('DMS.00400100')
  const given = instances.map((one) => [uuid(one), one] as const)
  if (given.some(([id]) => id === null)) return refused('DMS.00400061')
  const ids = new Map(given as [string, string][])
  return ids.size < instances.length ? refused('DMS.00400082') : { kind: 'instances', action, ids }
}

/** A busy or wrong state is the whole answer when it is about the only id: clients wait and retry on exactly these codes. */
export function onlyRefusal(action: BatchAction, answers: readonly Answer[]): Refused | null {
  const [only] = answers
  if (answers.length !== 1 || !only || !('refusal' in only) || only.refusal.kind === 'unknown') return null
  return refused(refusalCode(action, only.refusal))
}

/** One result an id, in the caller's order and spelling. */
export function results(action: BatchAction, answers: readonly Answer[], ids: Ids | null): object {
  return {
    results: answers.map((answer) => {
      const instance = ids?.get(answer.id) ?? answer.id
      if ('operation' in answer) return { result: 'success', instance, task_id: answer.operation.id }
      if ('plan' in answer) return { result: 'success', instance, plan: planBody(answer.plan) }
      const row = dmsRow(refusalCode(action, answer.refusal))
      return { result: 'failed', instance, error_code: row.code, error_msg: row.message }
    }),
  }
}

/** DMS's code for a refusal. */
export function refusalCode(action: BatchAction, refusal: Refusal): string {
  if (refusal.kind === 'unknown') return 'DMS.00404022'
  const undeletable = 'status' in refusal && (refusal.status === 'creating' || refusal.status === 'restarting')
  return action === 'delete' && undeletable ? 'DMS.00400099' : 'DMS.00400026'
}
