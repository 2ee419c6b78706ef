/** Takes accepted surveys and makes them. One that was interrupted, by the end of its control plane say, begins anew, and fails when that happens again and again. */
import { join } from 'node:path'
import { backupById } from '../store/backups.ts'
import { claimSurveys, endSurvey, leaveSurveys, renewSurvey } from '../store/surveys.ts'
import { instancesByIds, nodesOf } from '../store/instances.ts'
import { onlyLooking } from './converge.ts'
import { reporter } from './outages.ts'
import { isUnavailable } from '../core/unavailable.ts'
import type { Database } from '../store/database.ts'
import type { Engine } from '../core/engine.ts'
import type { EngineName, RuntimeName } from '../core/instance.ts'
import type { Logger } from '../core/logger.ts'
import type { Runtime } from '../core/runtime.ts'
import type { Vault } from '../core/backups.ts'
import type { Survey, SurveyRun } from '../core/desk.ts'

export interface SurveyorParts {
  readonly db: Database
  readonly engines: Readonly<Record<EngineName, Engine>>
  readonly runtimes: Readonly<Record<RuntimeName, Runtime>>
  readonly owner: string
  readonly host: string
  readonly log: Logger
  readonly vault: Vault
}

export interface Surveyor { nudge(): void; stop(): Promise<void> }

/** They share the processor with servers that serve. */
const atOnce = 2
const lookEveryMs = 1000
const leaseMs = 8000
/** A survey that was dropped ends within this. */
const renewEveryMs = 1000
const attempts = 3

export function startSurveyor({ db, engines, runtimes, owner, host, log, vault }: SurveyorParts): Surveyor {
  const running = new Map<string, { readonly abort: AbortController; ended: Promise<void> }>()
  const away = reporter(log, 'surveys could not be taken')
  let [stopping, taking, again]: [boolean, Promise<void> | null, boolean] = [false, null, false]

  async function take(): Promise<void> {
    if (stopping || running.size >= atOnce) return
    const taken = await claimSurveys(db, { owner, host, now: Date.now(), leaseMs, limit: atOnce - running.size })
    for (const survey of taken) {
      const run = { abort: new AbortController(), ended: Promise.resolve() }
      running.set(survey.id, run)
      run.ended = perform(survey, run.abort).catch((error) => { if (isUnavailable(error)) away(error); else log.error({ error, survey: survey.id }, 'a survey could not be made') }).finally(() => { running.delete(survey.id); nudge() })
    }
  }

  async function perform(survey: Survey & { readonly attempts: number }, abort: AbortController): Promise<void> {
    let done = 0
    let until = performance.now() + leaseMs
    const renewing = setInterval(() => {
      const valid = performance.now() + leaseMs
      renewSurvey(db, owner, survey.id, done, Date.now() + leaseMs).then((ours) => { if (ours) until = valid; else abort.abort() }, () => { if (performance.now() > until) abort.abort() })
    }, renewEveryMs)
    try {
      if (survey.attempts > attempts) throw new Error(`it was interrupted ${attempts} times`)
      const instance = (await instancesByIds(db, [survey.instanceId])).get(survey.instanceId)
      if (!instance) return
      const world = await onlyLooking(instance, (await nodesOf(db, [instance.id])).get(instance.id) ?? [], runtimes[instance.runtime])
      const files = survey.kind === 'analysis' ? await filesOf(survey, { db, vault, host }) : undefined
      const result = await engines[instance.engine].desk!.survey(world, survey.kind, survey.how, { signal: abort.signal, progress(part) { done = part }, ...files ? { files } : {} }).finally(async () => {
        // Killed before this, nobody knows the folder, and it is swept.
        if (files && 'folder' in files) await vault.remove(survey.instanceId, survey.id)
      })
      await endSurvey(db, owner, survey.id, { result }, Date.now())
    } catch (error) {
      // Dropped, taken over, or to be made anew at the next start.
      if (abort.signal.aborted || isUnavailable(error)) return
      await endSurvey(db, owner, survey.id, { cause: (error as Error).message }, Date.now())
    } finally { clearInterval(renewing) }
  }

  function nudge(): void {
    if (stopping) return
    if (taking) { again = true; return }
    taking = take().catch(away).finally(() => {
      taking = null
      if (again) { again = false; nudge() }
    })
  }

  const timer = setInterval(nudge, lookEveryMs)
  return {
    nudge,
    async stop() {
      stopping = true
      clearInterval(timer)
      for (const run of running.values()) run.abort.abort()
      await Promise.all([taking, ...[...running.values()].map((run) => run.ended)])
      await leaveSurveys(db, owner).catch(away)
    },
  }
}

/** What an analysis reads: a backup's files, or where a copy has its place until the end. */
async function filesOf({ id, instanceId, how }: Survey, { db, vault, host }: Pick<SurveyorParts, 'db' | 'vault' | 'host'>): Promise<NonNullable<SurveyRun['files']>> {
  if (how.backup === undefined) return { folder: await vault.clear(instanceId, id) }
  const backup = await backupById(db, instanceId, how.backup)
  if (backup?.outcome !== 'done' || !backup.files) throw new Error('the backup is not there any more')
  if (backup.host !== host) throw new Error('another machine has its files')
  return { paths: backup.files.map(({ name }) => join(vault.folder(instanceId, backup.id), name)) }
}
