/** Refusals are values: why a wish is not accepted. Each dialect has its own codes for them. */
import { statusOf, type Status } from './status.ts'
import type { Instance } from './instance.ts'
import type { Action, Operation } from './operation.ts'

export type Refusal =
  | { readonly kind: 'unknown' }
  /** Another operation is open; null: one that came between, and is not known yet. */
  | { readonly kind: 'busy'; readonly status: Status; readonly action: Action | null }
  /** Nothing is open, but the action is not for this state. */
  | { readonly kind: 'state'; readonly status: Status }
  /** The engine or its version cannot do this, whatever its state. */
  | { readonly kind: 'unsupported'; readonly reason: string }
  /** The project may not have that much memory. */
  | { readonly kind: 'quota'; readonly reason: string }

/** In which states, with nothing open, an action may start. A recovery that it replaces counts as `running`. */
const allowedIn: Readonly<Record<Exclude<Action, 'create' | 'recover'>, readonly Status[]>> = {
  restart: ['running', 'error'],
  soft_restart: ['running', 'error'],
  flush: ['running'],
  delete: ['running', 'error', 'createfailed'],
  swap: ['running'],
  extend: ['running'],
  shrink: ['running'],
  configure: ['running'],
}

const replacesRecovery: readonly Action[] = ['restart', 'soft_restart', 'flush', 'delete']

export function refusalOf(
  action: keyof typeof allowedIn, instance: Instance, open: Operation | null, can: { readonly flush: boolean; readonly swap: boolean },
): Refusal | null {
  if (action === 'flush' && !can.flush) return { kind: 'unsupported', reason: `Redis ${instance.version} cannot be flushed through the API; 4.0 and later can` }
  if (action === 'swap' && !can.swap) return { kind: 'unsupported', reason: 'an instance without replicas has nobody to swap roles with' }
  // A person's wish takes a recovery's place, but nothing is changed about an instance that is being brought back.
  const replaceable = open?.action === 'recover' && replacesRecovery.includes(action)
  if (open && !replaceable) return { kind: 'busy', status: statusOf(instance, open), action: open.action }
  const status = replaceable ? 'running' : statusOf(instance, null)
  return allowedIn[action].includes(status) ? null : { kind: 'state', status }
}
