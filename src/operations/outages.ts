/** How the loops speak of a database that is away: once, not four times a second. */
import { isUnavailable } from '../core/unavailable.ts'
import type { Logger } from '../core/logger.ts'

/** Errors further apart than this are two outages: every loop fails several times as often. */
const newAfterMs = 10_000

/** Says what went wrong; of a database that is away only that it is. */
export function reporter(log: Logger, what: string): (error: unknown) => void {
  let last = -Infinity
  return (error) => {
    if (!isUnavailable(error)) return log.error({ error }, what)
    const now = performance.now()
    if (now - last > newAfterMs) log.warn({ reason: (error as Error).message }, `${what}; work goes on when it is back`)
    last = now
  }
}
