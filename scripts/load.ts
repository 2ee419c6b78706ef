/** Four clients that write as fast as they are answered, for the demo: what they see of a maintenance is its true cost. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'

export interface Load {
  readonly acknowledged: number
  /** Writes that were acknowledged and are not there any more. */
  readonly lost: number
  /** Errors that a client's program would have seen. */
  readonly errors: number
  /** The longest time without an acknowledged write, of any client. */
  readonly gapMs: number
}

const writers = 4
/** Enough writes before and after, so that the gap stands out. */
const aroundMs = 300

/** Runs `work` while the clients write, and counts. */
export async function underLoad(where: { readonly host: string; readonly port: number; readonly password: string }, work: () => Promise<void>): Promise<Load> {
  let [acknowledged, errors, gapMs, over] = [0, 0, 0, false]
  // The usual retry of 50 ms and more would hide how short the pause is.
  const clients = Array.from({ length: writers }, () => new Redis({ ...where, maxRetriesPerRequest: null, retryStrategy: () => 1 }))
  const counts = clients.map(async (redis, n) => {
    redis.on('error', () => {})
    await redis.ping()
    let count = 0
    for (let last = performance.now(); !over;) {
      try { await redis.set(`load:${n}:${count}`, count) } catch { errors += 1; continue }
      count += 1
      const now = performance.now()
      gapMs = Math.max(gapMs, now - last)
      last = now
    }
    acknowledged += count
    const found = await redis.exists(...Array.from({ length: count }, (_, k) => `load:${n}:${k}`))
    return count - found
  })
  try {
    await sleep(aroundMs)
    await work()
    await sleep(aroundMs)
    over = true
    const lost = (await Promise.all(counts)).reduce((sum, one) => sum + one, 0)
    return { acknowledged, lost, errors, gapMs }
  } finally {
    over = true
    for (const client of clients) client.disconnect()
  }
}
