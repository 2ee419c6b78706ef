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
  /** The port is somebody else's. */
  | { readonly kind: 'taken'; readonly reason: string }
  /** There is more data than would fit. */
  | { readonly kind: 'full'; readonly reason: string }
  /** The project may not have that much memory. */
  | { readonly kind: 'quota'; readonly reason: string }

/** In which states, with nothing open, an action may start. What it replaces counts as `running`. */
const allowedIn: Readonly<Record<Exclude<Action, 'create' | 'recover'>, readonly Status[]>> = {
  restart: ['running', 'error'],
  soft_restart: ['running', 'error'],
  flush: ['running'],
  delete: ['running', 'error', 'createfailed'],
  swap: ['running'],
  extend: ['running'],
  shrink: ['running'],
  configure: ['running'],
  password: ['running'],
  rescale: ['running'],
  check: ['running'],
  accounts: ['running'],
  port: ['running'],
  rename: ['running'],
  whitelist: ['running'],
  ssl: ['running'],
  backup: ['running'],
  hang_up: ['running'],
  restore: ['running'],
}

/** What a wish takes the place of: a recovery, for it does that as well, and a restart also of a backup, which then is none. */
const replaces: Readonly<Partial<Record<Action, readonly Action[]>>> = { restart: ['recover', 'backup'], soft_restart: ['recover', 'backup'], flush: ['recover'], delete: ['recover'] }

export function refusalOf(
  action: keyof typeof allowedIn, instance: Pick<Instance, 'version' | 'readyAt' | 'health'>, open: Pick<Operation, 'action'> | null, can: { readonly flush: boolean; readonly swap: boolean },
): Refusal | null {
  if (action === 'flush' && !can.flush) return { kind: 'unsupported', reason: `Redis ${instance.version} cannot be flushed through the API; 4.0 and later can` }
  if (action === 'swap' && !can.swap) return { kind: 'unsupported', reason: 'an instance without replicas has nobody to swap roles with; in a cluster the role of a shard is switched over to a chosen node' }
  // Nothing else is changed about an instance that is being brought back.
  const replaceable = open !== null && (replaces[action]?.includes(open.action) ?? false)
  if (open && !replaceable) return { kind: 'busy', status: statusOf(instance, open), action: open.action }
  const status = replaceable ? 'running' : statusOf(instance, null)
  return allowedIn[action].includes(status) ? null : { kind: 'state', status }
}
