/** The flavors of DCS that one Redis process can be, as the wire knows them. */

export interface DcsFlavor {
  readonly specCode: string
  readonly versions: readonly string[]
  /** GB, as ordered: 0.125, 1, 64. */
  readonly capacity: number
  /** What the customer can use. Bytes. */
  readonly memoryBytes: number
}

export const redisVersions = ['3.0', '4.0', '5.0', '6.0', '7.0'] as const

const gib = 1024 ** 3
const tinyMb = [128, 256, 512] as const
const largeGb = [1, 2, 4, 8, 16, 24, 32, 48, 64] as const
/** Redis 3.0 has one code for many sizes, and keeps part of each to itself: GB ordered, GB usable. */
const oldGb = [[2, 1.5], [4, 3.2], [8, 6.8], [16, 13.6], [32, 27.2], [64, 58.2]] as const
const current = ['4.0', '5.0', '6.0', '7.0']

export const dcsFlavors: readonly DcsFlavor[] = [
  ...tinyMb.map((mb) => ({ specCode: `redis.single.xu1.tiny.${mb}`, versions: current, capacity: mb / 1024, memoryBytes: mb * 1024 ** 2 })),
  ...largeGb.map((gb) => ({ specCode: `redis.single.xu1.large.${gb}`, versions: current, capacity: gb, memoryBytes: gb * gib })),
  ...oldGb.map(([gb, usable]) => ({ specCode: 'dcs.single_node', versions: ['3.0'], capacity: gb, memoryBytes: Math.floor(usable * gib) })),
]

/** Why a code that DCS documents is not sold here; null for a code that it does not know. */
export function unsoldReason(specCode: string): string | null {
  const known = /^redis\.(single|ha|cluster|proxy)\.(xu1|au1)\.(tiny|large)(\.[rp]\d+){0,2}\.\d+$|^dcs\.(master_standby|cluster)$/.test(specCode)
  return known ? 'this release of Sluice runs single-node instances only: redis.single.xu1.*, and dcs.single_node for Redis 3.0' : null
}
