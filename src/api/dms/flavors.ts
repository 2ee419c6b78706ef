/** The products of DMS, as the wire knows them. */
import { wholeNumber } from '../json.ts'

export interface DmsFlavor {
  readonly productId: string
  /** The name without the machine's family, or the old products' bandwidth. */
  readonly alias: string
  /** Of one broker. */
  readonly memoryBytes: number
  /** Partitions that one broker is sold for. */
  readonly partitions: number
  /** Fewest and most brokers. */
  readonly brokers: readonly [least: number, most: number]
  /** GB of one broker. */
  readonly storage: readonly [least: number, most: number]
  /** The old products' own code for the specification. */
  readonly specCode: string | null
}

export const kafkaVersions = ['1.1.0', '2.3.0', '2.7', '3.x'] as const

const single = [1, 1] as const
const small = [3, 30] as const
/** The product list stops at 30 for all of them; the user guide and the rules of an extension sell 50 of these. */
const large = [3, 50] as const

export const dmsFlavors: readonly DmsFlavor[] = [
  row('s6.2u4g.single.small', 4, 100, single, [100, 10_000]),
  row('c6.2u4g.single', 4, 250, single, [100, 10_000]),
  row('s6.2u4g.cluster.small', 4, 100, small, [100, 10_000]),
  row('c6.2u4g.cluster', 4, 250, small, [100, 10_000]),
  row('c6.4u8g.cluster', 8, 500, small, [100, 20_000]),
  row('c6.8u16g.cluster', 16, 1000, large, [100, 30_000]),
  row('c6.12u24g.cluster', 24, 1500, large, [100, 30_000]),
  row('c6.16u32g.cluster', 32, 2000, large, [100, 30_000]),
  row('c6.2u4g.cluster.dec', 4, 100, small, [100, 400]),
  // Ordered by bandwidth, with the brokers that this takes; the memory is that of the product that took each one's place.
  old('00300-30308-0--0', '100MB', 3, 300, 600, 4, 'mini'),
  old('00300-30310-0--0', '300MB', 3, 900, 1200, 4, 'small.2'),
  old('00300-30312-0--0', '600MB', 4, 1800, 2400, 8, 'middle.2'),
  old('00300-30314-0--0', '1200MB', 8, 1800, 4800, 8, 'high.2'),
]

function row(productId: string, gb: number, partitions: number, brokers: DmsFlavor['brokers'], storage: DmsFlavor['storage']): DmsFlavor {
  return { productId, alias: productId.replace(/^[a-z0-9]+/, 'kafka'), memoryBytes: gb * 1024 ** 3, partitions, brokers, storage, specCode: null }
}

function old(productId: string, bandwidth: string, brokers: number, partitions: number, leastGb: number, gb: number, spec: string): DmsFlavor {
  return { productId, alias: bandwidth, memoryBytes: gb * 1024 ** 3, partitions: partitions / brokers, brokers: [brokers, brokers], storage: [leastGb / brokers, 90_000 / brokers], specCode: `dms.instance.kafka.cluster.c3.${spec}` }
}

export const storageCodes: readonly string[] = [
  'dms.physical.storage.high', 'dms.physical.storage.ultra', 'dms.physical.storage.high.v2', 'dms.physical.storage.ultra.v2', 'dms.physical.storage.general',
  'dms.physical.storage.extreme', 'dms.physical.storage.high.dss.v2', 'dms.physical.storage.ultra.dss.v2',
]

/** By product id, or by the current products' alias. */
export function findFlavor(id: unknown): DmsFlavor | undefined {
  return dmsFlavors.find((one) => one.productId === id || one.specCode === null && one.alias === id)
}

/** Total storage in GB that so many brokers of a product can have; null when it is out of range. */
export function storageOf({ storage: [least, most] }: DmsFlavor, brokers: number, total: unknown): number | null {
  return wholeNumber(total, Math.ceil(least * brokers), Math.floor(most * brokers))
}
