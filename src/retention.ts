/** Drops what nobody needs any more: rows of the audit and records of operations, after as many days as the settings say. */
import { dropAudit } from './store/audit.ts'
import { dropOperations } from './store/operations.ts'
import { reporter } from './operations/outages.ts'
import type { Database } from './store/database.ts'
import type { Logger } from './core/logger.ts'

export interface RetentionParts {
  readonly db: Database
  /** Days; 0: for ever. */
  readonly keep: { readonly auditDays: number; readonly taskDays: number }
  readonly log: Logger
}

const dayMs = 24 * 3600_000
const everyMs = 3600_000
/** Soon after the start, for a server that never runs for an hour; not at once, when everything else begins. */
const firstAfterMs = 60_000
/** Others write in between. */
const together = 500

/** Several control planes may do the same; each row goes once. */
export function startRetention({ db, keep, log }: RetentionParts): { stop(): Promise<void> } {
  const failed = reporter(log, 'what is too old could not be dropped')
  let [stopped, running] = [false, Promise.resolve()]
  async function sweep(): Promise<void> {
    try {
      const counts = await drop(db, keep, Date.now(), () => stopped)
      if (counts.audit + counts.operations > 0) log.info(counts, 'dropped what was kept long enough')
    } catch (error) { failed(error) }
  }
  let timer = setTimeout(function again() {
    running = sweep()
    timer = setTimeout(again, everyMs)
    timer.unref()
  }, firstAfterMs)
  timer.unref()
  return {
    async stop() {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}

/** Everything that is too old at `now`. */
export async function drop(db: Database, keep: RetentionParts['keep'], now: number, stopped: () => boolean = () => false): Promise<{ readonly audit: number; readonly operations: number }> {
  const all = async (days: number, some: (before: number) => Promise<number>): Promise<number> => {
    let count = 0
    for (let dropped = -1; days > 0 && dropped !== 0 && !stopped(); count += dropped) dropped = await some(now - days * dayMs)
    return count
  }
  return { operations: await all(keep.taskDays, (before) => dropOperations(db, before, together)), audit: await all(keep.auditDays, (before) => dropAudit(db, before, now)) }
}
