/** The backup policy of an instance: read from a request, kept among the attributes as `backupPolicy`, shown again. */
import { randomUUID } from 'node:crypto'
import { isRefused, refused, type Refused } from './errors.ts'
import { isAbsent, isObject, numberIn } from '../json.ts'
import type { BackupPlan, BackupPolicy } from '../../core/backups.ts'

/** The policy as it will be; null when the request has none, and none was there before. A single node has no backups, in the cloud either, so `auto` there is refused. */
export function readBackupPolicy(value: unknown, topology: string, before: BackupPolicy | null, now: number): BackupPolicy | null | Refused {
  if (isAbsent(value)) return before
  if (!isObject(value)) return refused('DCS.4073')
  const given = value['backup_type']
  if (!isAbsent(given) && given !== 'auto' && given !== 'manual') return refused('DCS.4073')
  const type = isAbsent(given) ? before?.type ?? 'manual' : given
  if (type === 'auto' && topology === 'single') return refused('DCS.4095')
  // From automatic to manual, the plan stays for the next time.
  const plan = isAbsent(value['periodical_backup_plan']) ? before?.plan ?? null : readPlan(value['periodical_backup_plan'])
  if (isRefused(plan)) return plan
  const saveDays = isAbsent(value['save_days']) ? before?.saveDays ?? null : numberIn(value['save_days'], 1, 7)
  if (saveDays === null && (type === 'auto' || !isAbsent(value['save_days']))) return refused('DCS.4072')
  if (type === 'auto' && plan === null) return refused('DCS.4075')
  return { id: before?.id ?? randomUUID(), type, saveDays, plan, createdAt: before?.createdAt ?? now, updatedAt: now }
}

function readPlan(value: unknown): BackupPlan | Refused {
  if (!isObject(value)) return refused('DCS.4075')
  if (value['period_type'] !== 'weekly') return refused('DCS.4074')
  const at = value['backup_at']
  if (!Array.isArray(at) || at.length === 0 || at.length > 7) return refused('DCS.4075')
  const days = at.map((day) => numberIn(day, 1, 7))
  if (days.includes(null) || new Set(days).size !== days.length) return refused('DCS.4075')
  const hours = typeof value['begin_at'] === 'string' ? /^([01]\d|2[0-3]):00-([01]\d|2[0-4]):00$/.exec(value['begin_at']) : null
  if (!hours || (Number(hours[1]) + 1) % 24 !== Number(hours[2]) % 24) return refused('DCS.4076')
  const offset = value['timezone_offset']
  if (!isAbsent(offset) && (typeof offset !== 'string' || !/^[+-](0\d|1[0-2]):?00$/.test(offset))) return refused('DCS.4062', 'timezone_offset')
  return { days: days as number[], hour: Number(hours[1]), offset: isAbsent(offset) ? null : offset as string }
}

/** `instance_backup_policy` of the detail. */
export function backupPolicyBody(policy: BackupPolicy | null, projectId: string): object | null {
  if (!policy) return null
  const { id, type, saveDays, plan, createdAt, updatedAt } = policy
  const hour = (n: number): string => `${String(n % 24).padStart(2, '0')}:00`
  return {
    backup_policy_id: id, created_at: new Date(createdAt).toISOString(), updated_at: new Date(updatedAt).toISOString(), tenant_id: projectId,
    policy: {
      backup_type: type, save_days: saveDays,
      periodical_backup_plan: plan && { timezone_offset: plan.offset, backup_at: plan.days, period_type: 'weekly', begin_at: `${hour(plan.hour)}-${hour(plan.hour + 1)}` },
    },
  }
}
