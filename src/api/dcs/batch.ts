/** Actions on up to fifty instances: reads the request in the policy's order, and answers an id at a time. */
import { dcsRow, isRefused, refused, v1Row, type Refused } from './errors.ts'
import { uuid, type Body } from '../json.ts'
import { planBody } from '../plan.ts'
import type { Answer } from '../../core/control-plane.ts'
import type { Action } from '../../core/operation.ts'
import type { Refusal } from '../../core/refusal.ts'

export type BatchAction = 'restart' | 'soft_restart' | 'flush' | 'delete'

/** Distinct ids in lower case, each with the spelling it came in, in the caller's order. */
export type Ids = ReadonlyMap<string, string>

/** The `instances` of a request. An id given twice is one instance, and gets one result. */
export function readIds(value: unknown): Ids | Refused {
  if (!Array.isArray(value) || value.length === 0) return refused('DCS.4065')
  if (value.length > 50) return refused('DCS.4100')
  const ids = new Map<string, string>()
  for (const given of value) {
    const id = uuid(given)
    if (id === null) return refused('DCS.4061')
    if (!ids.has(id)) ids.set(id, given as string)
  }
  return ids
}

/** Action and ids of PUT …/instances/status. */
export function readStatusChange(body: Body, actions: readonly BatchAction[]): { readonly action: BatchAction; readonly ids: Ids } | Refused {
  const action = actions.find((known) => known === body['action'])
  if (!action) return refused('DCS.4064')
  const ids = readIds(body['instances'])
  return isRefused(ids) ? ids : { action, ids }
}

/** A busy or wrong state is the whole answer when it is about the only id: clients wait and retry on exactly these codes. */
export function onlyRefusal(action: BatchAction, answers: readonly Answer[]): Refused | null {
  const [only] = answers
  if (answers.length !== 1 || !only || !('refusal' in only)) return null
  const code = refusalCode(action, only.refusal)
  return code === unknown || only.refusal.kind === 'unsupported' ? null : refused(code)
}

/** One result an id, in the caller's order and spelling. */
export function results(action: BatchAction, answers: readonly Answer[], ids: Ids | null, v1: boolean): object {
  return {
    results: answers.map((answer) => {
      const instance = ids?.get(answer.id) ?? answer.id
      if ('operation' in answer) return { instance, result: 'success', task_id: answer.operation.id }
      if ('plan' in answer) return { instance, result: 'success', plan: planBody(answer.plan) }
      const code = refusalCode(action, answer.refusal)
      const row = v1 ? v1Row(code) : dcsRow(code)
      return {
        instance, result: 'failed', error_code: row.code, error_msg: row.message,
        ...('reason' in answer.refusal ? { error_ext_msg: answer.refusal.reason } : {}),
      }
    }),
  }
}

const unknown = 'DCS.3022'
/** What is being done while the instance is RUNNING, where DCS has a word of its own for that. */
const busyCodes: Readonly<Partial<Record<Action, string>>> = {
  configure: 'DCS.4114', accounts: 'DCS.4114', password: 'DCS.4115', port: 'DCS.4114', ssl: 'DCS.4114', whitelist: 'DCS.4114',
  backup: 'DCS.4096',
}

/** DCS's code for a refusal. */
export function refusalCode(action: BatchAction | 'swap' | 'resize' | 'backup' | 'restore' | 'survey' | 'configure', refusal: Refusal): string {
  if (refusal.kind === 'unknown') return unknown
  if (refusal.kind === 'quota') return 'DCS.4036'
  if (refusal.kind === 'taken') return 'DCS.4062'
  if (refusal.kind === 'full') return action === 'configure' ? 'DCS.4105' : 'DCS.4102'
  if (refusal.kind === 'unsupported') return { swap: 'DCS.4855', resize: 'DCS.4102', backup: 'DCS.4095', restore: 'DCS.4095', survey: 'DCS.4919' }[action as string] ?? 'DCS.4027'
  const { status } = refusal
  // DCS hides an instance as soon as its deletion is accepted.
  if (status === 'deleting') return unknown
  if (action === 'delete' && (status === 'creating' || status === 'restarting')) return 'DCS.4099'
  const busy = refusal.kind === 'busy' && refusal.action ? busyCodes[refusal.action] : undefined
  if (busy) return busy
  if (status === 'error') return refusal.kind === 'busy' ? 'DCS.4104' : 'DCS.4049'
  return { creating: 'DCS.4118', restarting: 'DCS.4111', flushing: 'DCS.4026', createfailed: 'DCS.4026', running: 'DCS.4026', unknown: 'DCS.4026', extending: 'DCS.4113', restoring: 'DCS.4097' }[status]
}
