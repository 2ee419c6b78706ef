/** Status words are derived from facts; there is no status column to forget. */
import type { Instance } from './instance.ts'
import type { Action, Operation } from './operation.ts'

export type Status = 'creating' | 'createfailed' | 'running' | 'error' | 'restarting' | 'flushing' | 'deleting' | 'extending'

const during: Readonly<Record<Action, Status>> = {
  create: 'creating', restart: 'restarting', soft_restart: 'restarting', flush: 'flushing', delete: 'deleting', recover: 'error',
  // In the background, says the document: the instance goes on serving.
  swap: 'running',
  extend: 'extending', shrink: 'extending',
}

/** `open` is the instance's one unfinished operation, if any. */
export function statusOf(instance: Pick<Instance, 'readyAt' | 'health'>, open: Pick<Operation, 'action'> | null): Status {
  if (open) return during[open.action]
  if (instance.readyAt === null) return 'createfailed'
  return instance.health === 'unhealthy' ? 'error' : 'running'
}
