/** Status words are derived from facts; there is no status column to forget. */
import type { Instance } from './instance.ts'
import type { Action, Operation } from './operation.ts'

export type Status = 'creating' | 'createfailed' | 'running' | 'error' | 'restarting' | 'flushing' | 'deleting' | 'extending' | 'restoring'
  /** Nothing is being done, and nobody was heard of from the host that runs it: it may well be running. */
  | 'unknown'

const during: Readonly<Record<Action, Status>> = {
  create: 'creating', restart: 'restarting', soft_restart: 'restarting', flush: 'flushing', delete: 'deleting', recover: 'error',
  // In the background, says the document: the instance goes on serving.
  swap: 'running', configure: 'running', password: 'running', accounts: 'running', check: 'running', port: 'running', whitelist: 'running', ssl: 'running',
  rename: 'restarting',
  rescale: 'extending', extend: 'extending', shrink: 'extending',
  backup: 'running', hang_up: 'running', restore: 'restoring',
}

/** The unfinished operations under which an instance has this status. */
export function actionsDuring(status: Status): Action[] { return (Object.keys(during) as Action[]).filter((action) => during[action] === status) }

/** `open` is the instance's one unfinished operation, if any. */
export function statusOf(instance: Pick<Instance, 'readyAt' | 'health'>, open: Pick<Operation, 'action'> | null, hostIsSilent = false): Status {
  if (open) return during[open.action]
  if (instance.readyAt === null) return 'createfailed'
  if (hostIsSilent) return 'unknown'
  return instance.health === 'unhealthy' ? 'error' : 'running'
}
