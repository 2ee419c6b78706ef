/** The products of DMS that one broker can be, as the wire knows them. */

export interface DmsFlavor {
  readonly productId: string
  /** The name without the machine's family. */
  readonly alias: string
  readonly memoryBytes: number
  readonly partitions: number
}

export const kafkaVersions = ['1.1.0', '2.3.0', '2.7', '3.x'] as const

export const dmsFlavors: readonly DmsFlavor[] = [
  { productId: 'c6.2u4g.single', alias: 'kafka.2u4g.single', memoryBytes: 4 * 1024 ** 3, partitions: 250 },
  { productId: 's6.2u4g.single.small', alias: 'kafka.2u4g.single.small', memoryBytes: 4 * 1024 ** 3, partitions: 100 },
]

export const storageCodes: readonly string[] = [
  'dms.physical.storage.high', 'dms.physical.storage.ultra', 'dms.physical.storage.high.v2', 'dms.physical.storage.ultra.v2', 'dms.physical.storage.general',
  'dms.physical.storage.extreme', 'dms.physical.storage.high.dss.v2', 'dms.physical.storage.ultra.dss.v2',
]

/** By product id or alias. */
export function findFlavor(id: unknown): DmsFlavor | undefined {
  return dmsFlavors.find((row) => row.productId === id || row.alias === id)
}

/** Why a product that DMS documents is not sold here; null for one that it does not know. */
export function unsoldReason(id: unknown): string | null {
  const known = typeof id === 'string' && /^[a-z0-9]+\.\d+u\d+g\.(cluster|single)(\.small|\.dec)?$|^\d(\d|-)*\d$/.test(id)
  return known ? 'this release of Sluice runs single brokers only: c6.2u4g.single and s6.2u4g.single.small' : null
}
