/**
 * What is done at certain times without being asked for: backups by their policies, the removal of those that are too old,
 * and the renewal of certificates. Several control planes may look at the same calendar; the database sees to it that each due time counts once.
 */
import { renewedBeforeMs } from './authority.ts'
import { encryptedInstances, plannedInstances } from './store/instances.ts'
import { outdatedBackups, scheduledBackup, wantedBackups } from './store/backups.ts'
import { isSurveyed } from './store/surveys.ts'
import { reporter } from './operations/outages.ts'
import { transact, type Database } from './store/database.ts'
import type { Instance } from './core/instance.ts'
import type { BackupPlan, BackupPolicy, Backups, Vault } from './core/backups.ts'
import { planName, type SurveyPlan, type Surveys } from './core/surveys.ts'
import type { Caller, ControlPlane } from './core/control-plane.ts'
import type { Logger } from './core/logger.ts'

export interface CalendarParts {
  readonly db: Database
  readonly host: string
  readonly backups: Backups
  readonly surveys: Surveys
  readonly change: ControlPlane['change']
  readonly vault: Vault
  readonly log: Logger
}

/** An hour is the smallest thing that a policy names. */
const lookEveryMs = 5000
const [hourMs, dayMs] = [3600_000, 24 * 3600_000] as const
/** What failed is tried again after this, three times, as long as it still belongs to its hour in some sense. */
const retryAfterMs = 10 * 60_000
const triedForHours = 4
/** Surveys that can be planned. */
const kinds = ['bigkey', 'hotkey', 'expire'] as const
/** Files that nobody needs harm nobody. */
const sweepEveryMs = 10 * 60_000

/** The due time of a plan that has come, epoch ms, and its hour being over already; null when it is none of the plan's hours, nor soon after one. Pure. */
export function dueTime({ days, hour }: BackupPlan, now: number): { readonly at: number; readonly late: boolean } | null {
  for (let hours = 0; hours <= triedForHours; hours += 1) {
    const then = new Date(now - hours * hourMs)
    if (then.getUTCHours() === hour && days.includes(then.getUTCDay() || 7)) return { at: Math.floor(then.getTime() / hourMs) * hourMs, late: hours > 0 }
  }
  return null
}

/** The latest due time of a survey's plan, epoch ms; null when none has come, or it is too long ago. Pure. */
export function dueSurvey({ enabled, at = [], first, intervalS = 0, updatedAt }: SurveyPlan, now: number): number | null {
  if (!enabled) return null
  const daily = at.map((time) => Math.floor(now / dayMs) * dayMs + Number(time.slice(0, 2)) * hourMs + Number(time.slice(3)) * 60_000)
  const repeated = first === undefined ? [] : [intervalS > 0 ? first + Math.floor((now - first) / (intervalS * 1000)) * intervalS * 1000 : first]
  // What was due before there was a plan is not made up for, nor what nobody was there for.
  const due = [...daily.filter((time) => time >= updatedAt), ...repeated.filter((time) => time >= first!)].filter((time) => time <= now && time > now - hourMs)
  return due.length > 0 ? Math.max(...due) : null
}

export function startCalendar(parts: CalendarParts): { stop(): Promise<void> } {
  const failed = reporter(parts.log, 'what was due could not be looked at')
  let [looking, stopped, sweptAt]: [Promise<void> | null, boolean, number] = [null, false, 0]
  function look(): void {
    if (stopped || looking) return
    looking = (async () => {
      const now = Date.now()
      for (const instance of await plannedInstances(parts.db, parts.host)) if (!stopped) await keep(parts, instance, now)
      if (now - sweptAt < sweepEveryMs) return
      await renew(parts, now)
      await sweep(parts)
      sweptAt = now
    })().catch(failed).finally(() => { looking = null })
  }
  const timer = setInterval(look, lookEveryMs)
  look()
  return {
    async stop() {
      stopped = true
      clearInterval(timer)
      await looking
    },
  }
}

async function keep(parts: CalendarParts, instance: Instance, now: number): Promise<void> {
  for (const kind of kinds) {
    const plan = (instance.attributes[planName(kind)] ?? null) as SurveyPlan | null
    const due = plan ? dueSurvey(plan, now) : null
    if (!plan || due === null || await isSurveyed(parts.db, instance.id, kind, due)) continue
    await parts.surveys.start({ caller: ours(instance), id: instance.id, kind, how: plan.how, dueAt: due })
  }
  await keepBackups(parts, instance, now)
}

async function keepBackups({ db, backups, vault, log }: CalendarParts, instance: Instance, now: number): Promise<void> {
  const policy = (instance.attributes['backupPolicy'] ?? null) as BackupPolicy | null
  if (policy?.type !== 'auto' || !policy.plan || !policy.saveDays || instance.readyAt === null) return
  const due = dueTime(policy.plan, now)
  if (due) {
    const before = await scheduledBackup(db, instance.id, due.at)
    const again = before?.backup.outcome != null && before.backup.outcome !== 'done' && now - before.backup.finishedAt! > retryAfterMs
    if (before ? again : !due.late) {
      const answer = await backups.backUp({ caller: ours(instance), id: instance.id, format: 'rdb', remark: null, dueAt: due.at })
      if ('id' in answer) log.info({ instance: instance.id, backup: answer.id }, 'a scheduled backup begins')
    }
  }
  const old = await transact(db, (tx) => outdatedBackups(tx, instance.id, now - policy.saveDays! * dayMs))
  for (const id of old) await vault.remove(instance.id, id)
}

/** Who wishes what is due. */
const ours = ({ projectId }: Instance): Caller => ({ projectId, userId: '', userName: 'sluice' })

/** Certificates that will run out. What is busy is looked at again the next time; there are months. */
async function renew({ db, host, change, log }: CalendarParts, now: number): Promise<void> {
  for (const instance of await encryptedInstances(db, host)) {
    if (instance.spec.tls!.expiresAt - now > renewedBeforeMs) continue
    const answer = await change({ caller: ours(instance), engine: instance.engine, id: instance.id, action: 'ssl', spec: { tls: true }, detail: 'renewed' })
    if ('operation' in answer) log.info({ instance: instance.id }, 'the certificate is renewed before it runs out')
  }
}

/** Removes files that no record needs: of backups that were broken off, or deleted by another control plane. */
async function sweep({ db, vault }: CalendarParts): Promise<void> {
  // In this order: a record is there before its files are.
  const found = await vault.all()
  const wanted = await wantedBackups(db)
  for (const { instanceId, backupId } of found) if (!wanted.has(backupId)) await vault.remove(instanceId, backupId)
}
