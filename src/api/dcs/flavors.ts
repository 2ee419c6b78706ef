/** The flavors of DCS that are sold here, as the wire knows them. */

export interface DcsFlavor {
  readonly specCode: string
  readonly versions: readonly string[]
  /** GB, as ordered: 0.125, 1, 64. */
  readonly capacity: number
  /** What the customer can use, all shards together. Bytes. */
  readonly memoryBytes: number
  /** DCS calls it cache_mode. */
  readonly topology: 'single' | 'ha' | 'cluster'
  readonly shards: number
  /** Nodes of a shard, its master included. */
  readonly replicas: number
}

export const redisVersions = ['3.0', '4.0', '5.0', '6.0', '7.0'] as const

const gib = 1024 ** 3
/** The part of a code that names a size, and the GB it stands for. */
const sizes: readonly (readonly [string, string, number])[] = [
  ...[128, 256, 512].map((mb) => ['tiny', String(mb), mb / 1024] as const),
  ...[1, 2, 4, 8, 16, 24, 32, 48, 64].map((gb) => ['large', String(gb), gb] as const),
]
const clusterGb = [4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024] as const
/** Redis 3.0 has one code for many sizes, and keeps part of each to itself: GB ordered, GB usable on a single node and on a pair. */
const oldGb = [[2, 1.5, 1.5], [4, 3.2, 3.2], [8, 6.8, 6.4], [16, 13.6, 12.8], [32, 27.2, 25.6], [64, 58.2, 51.2]] as const
const current = ['4.0', '5.0', '6.0', '7.0']

/** Of a shard, its master included. */
export const mostReplicas = 5

export const dcsFlavors: readonly DcsFlavor[] = [
  ...sizes.map(([size, number, gb]) => row(`redis.single.xu1.${size}.${number}`, current, gb, gb, 'single', 1, 1)),
  ...[2, 3, 4, 5].flatMap((n) => sizes.map(([size, number, gb]) => row(`redis.ha.xu1.${size}.r${n}.${number}`, current, gb, gb, 'ha', 1, n))),
  ...[1, 2, 3, 4, 5].flatMap((n) => clusterGb.map((gb) => row(`redis.cluster.xu1.large.r${n}.${gb}`, current, gb, gb, 'cluster', gb <= 32 ? 3 : gb / 8, n))),
  ...oldGb.map(([gb, usable]) => row('dcs.single_node', ['3.0'], gb, usable, 'single', 1, 1)),
  ...oldGb.map(([gb, , usable]) => row('dcs.master_standby', ['3.0'], gb, usable, 'ha', 1, 2)),
]

function row(specCode: string, versions: readonly string[], capacity: number, usableGb: number, topology: DcsFlavor['topology'], shards: number, replicas: number): DcsFlavor {
  return { specCode, versions, capacity, memoryBytes: Math.floor(usableGb * gib), topology, shards, replicas }
}

/** Why a code that DCS documents is not sold here; null for a code that it does not know. */
export function unsoldReason(specCode: string): string | null {
  if (/^redis\.(proxy\.(xu1|au1)\.(tiny|large)|ha\.(xu1|au1)\.large\.p\d)(\.[rp]\d+)?(\.\d+)?$|^dcs\.cluster$/.test(specCode)) return 'proxy and read/write splitting need a proxy, which Sluice does not have: take redis.cluster.xu1.* or redis.ha.xu1.*'
  return /^redis\.(single|ha|cluster)\.au1\./.test(specCode) ? 'this machine is x86: take a code with xu1' : null
}
