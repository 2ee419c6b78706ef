/**
 * Migration tasks copy data from other clouds' buckets and servers into an instance. Sluice has no such tasks, so every list of
 * them is empty, every id is unknown, and none is created.
 */
import { bodyOf, declines, type Handle, type Row } from './call.ts'
import { isRefused, refused } from './errors.ts'
import { ok } from '../http.ts'

const why = 'Sluice imports from no bucket and copies from no other server: restore a backup, or use redis-cli --pipe or RIOT against the instance'
const create = declines('DCS.4094', why)
const unknownTask: Handle = Object.assign(() => refused('DCS.4070', undefined, 'this project has no such migration task'), { declines: { code: 'DCS.4070', because: 'there are no migration tasks' } })
const task = '/v2/:project_id/migration-task/:task_id'

export const migrationRows: readonly Row[] = [
  ['POST', '/v2/:project_id/migration-task', 'dcs:migrationTask:create', create],
  ['POST', '/v1.0/:project_id/migration-task', 'dcs:migrationTask:create', create],
  ['POST', '/v2/:project_id/migration/instance', 'dcs:migrationTask:create', create],
  ['GET', '/v2/:project_id/migration-tasks', 'dcs:migrationTask:list', () => ok({ count: 0, migration_tasks: [] })],
  ['DELETE', '/v2/:project_id/migration-tasks/delete', 'dcs:migrationTask:delete', (_plane, call) => {
    const body = bodyOf(call)
    return isRefused(body) ? body : ok({ task_id_list: [] })
  }],
  ['POST', '/v2/:project_id/migration-tasks/batch-restart', 'dcs:migrationTask:modify', batch],
  ['POST', '/v2/:project_id/migration-task/batch-stop', 'dcs:migrationTask:modify', batch],
  ['POST', '/v2/:project_id/migration/:task_id/task', 'dcs:migrationTask:modify', unknownTask],
  ['GET', task, 'dcs:migrationTask:get', unknownTask],
  ['PUT', task, 'dcs:migrationTask:modify', unknownTask],
  ['GET', `${task}/stats`, 'dcs:migrationTask:get', unknownTask],
  ['GET', `${task}/logs`, 'dcs:migrationTask:get', unknownTask],
  ['POST', `${task}/stop`, 'dcs:migrationTask:modify', unknownTask],
  ['POST', `${task}/sync-stop`, 'dcs:migrationTask:modify', unknownTask],
  ['POST', `${task}/exchange-ip`, 'dcs:migrationTask:exchangeIp', unknownTask],
  ['POST', `${task}/rollback-ip`, 'dcs:migrationTask:rollbackIp', unknownTask],
]

/** One failure an id. */
function batch(...[, call]: Parameters<Handle>): ReturnType<Handle> {
  const body = bodyOf(call)
  if (isRefused(body)) return body
  const { migration_tasks: ids } = body
  if (!Array.isArray(ids) || ids.length === 0 || ids.length > 50 || !ids.every((id) => typeof id === 'string')) return refused('DCS.4062', 'migration_tasks')
  return ok({ migration_tasks: ids.map((id: string) => ({ task_id: id, result: 'failed', error_code: 'DCS.4070', error_msg: 'This project has no such migration task.' })) })
}
