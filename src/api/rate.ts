/** How many requests one token or access key may send: a bucket for each, filled by the second. */

export interface Rate {
  /** 0: it may go on; otherwise in how many seconds it may. */
  take(credential: string): number
}

/** A second's worth is the steady flow; ten seconds' worth may come at once. */
const burstS = 10
/** Full buckets are forgotten when so many are kept: they say nothing. */
const sweepAt = 10_000

/** `perSecond` 0: any number. `now` in ms, of any clock that only goes on. */
export function rate(perSecond: number, now: () => number): Rate {
  const most = perSecond * burstS
  const buckets = new Map<string, { left: number; at: number }>()
  const fill = (bucket: { left: number; at: number }, at: number): number => Math.min(most, bucket.left + Math.max(0, at - bucket.at) / 1000 * perSecond)
  return {
    take(credential) {
      if (perSecond === 0) return 0
      const at = now()
      const bucket = buckets.get(credential)
      const left = bucket ? fill(bucket, at) : most
      if (left < 1) return Math.max(1, Math.ceil((1 - left) / perSecond))
      if (bucket) [bucket.left, bucket.at] = [left - 1, at]
      else {
        if (buckets.size >= sweepAt) for (const [name, one] of buckets) if (fill(one, at) >= most) buckets.delete(name)
        buckets.set(credential, { left: left - 1, at })
      }
      return 0
    },
  }
}
