/** When an operation is given up. Times are monotonic milliseconds. */
import { TerminalError } from '../core/operation.ts'
import type { ActionRow } from './actions.ts'

/** A slot is said once by who gives it and once by who takes it; whatever says more than all of them goes round in circles. */
const textsAtMost = 2 * 16_384

export interface Deadline {
  /** It said this about itself or one of its nodes. What it never said before is headway: the time allowed begins anew. */
  hears(text: string, now: number): void
  leftMs(now: number): number
  /** How long it was tried, for whoever reads why it failed. */
  spent(now: number): string
}

/**
 * `deadlineMs` after the operation last got any further, and `mostMs` after its beginning whatever it says: sixteen nodes
 * that load many gigabytes each are not stuck, and what goes round in circles for half a day is.
 */
export function deadlineOf({ deadlineMs, mostMs = deadlineMs }: Pick<ActionRow, 'deadlineMs' | 'mostMs'>, began: number): Deadline {
  const heard = new Set<string>()
  const fixed = mostMs <= deadlineMs
  let headway = began
  const at = (): number => Math.min(headway + deadlineMs, began + mostMs)
  const seconds = (ms: number): number => Math.round(ms / 1000)
  return {
    hears(text, now) {
      if (fixed || heard.has(text) || heard.size >= textsAtMost || now > at()) return
      heard.add(text)
      headway = now
    },
    leftMs: (now) => at() - now,
    spent(now) {
      if (at() === began + mostMs) return `${seconds(mostMs)} s`
      return `${seconds(now - began)} s, the last ${seconds(now - headway)} s of them without getting any further`
    },
  }
}

/** A step that never ends must not hold its instance for ever; what it still does later is fenced by generation and lease. */
export async function within<T>(step: Promise<T>, leftMs: () => number, last: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const overdue = new Promise<never>((_, reject) => {
    // It may get further meanwhile.
    const look = (): void => { if (leftMs() > 0) wait(); else reject(new TerminalError(`gave up: a step did not come back; before it: ${last()}`)) }
    const wait = (): void => { timer = setTimeout(look, Math.max(leftMs(), 1000)) }
    wait()
  })
  try { return await Promise.race([step, overdue]) } finally { clearTimeout(timer) }
}
