/** What can be ordered, and where and when: products, zones, maintenance windows. */
import { dmsFlavors, kafkaVersions, storageCodes, type DmsFlavor } from './flavors.ts'
import { ok, type Call, type Method, type Reply } from '../http.ts'

/** Needs a user and no project. */
export type FreeRow = readonly [method: Method, path: string, handle: (call: Call, region: string) => Reply]

export const catalogueRows: readonly FreeRow[] = [
  ['GET', '/v2/available-zones', (_call, region) => listZones(region)],
  ['GET', '/v1.0/availableZones', (_call, region) => listZones(region)],
  ['GET', '/v2/instances/maintain-windows', () => ok({ maintain_windows: windows('') })],
  ['GET', '/v1.0/instances/maintain-windows', () => ok({ maintain_windows: windows(':00:00') })],
  ['GET', '/v2/kafka/products', ({ query }, region) => listProducts(query.get('product_id'), region)],
  ['GET', '/v2/products', ({ query }, region) => listOldProducts(query.get('engine'), region)],
  ['GET', '/v1.0/products', ({ query }, region) => listOldProducts(query.get('engine'), region)],
]

const zonesOf = (region: string): readonly string[] => [1, 2, 3].map((n) => `${region}-0${n}`)

/** `regionId` is what gophertelekomcloud reads, `region_id` what the document has. */
function listZones(region: string): Reply {
  return ok({
    region_id: region, regionId: region,
    available_zones: zonesOf(region).map((zone) => ({ id: zone, code: zone, name: zone, port: '8002', resource_availability: 'true', soldOut: false, default_az: zone === zonesOf(region)[0], remain_time: null, ipv6_enable: false })),
  })
}

function windows(rest: string): object[] {
  const hour = (n: number): string => `${String(n % 24).padStart(2, '0')}${rest}`
  return Array.from({ length: 6 }, (_, n) => ({ default: n === 1, seq: n + 1, begin: hour(22 + 4 * n), end: hour(26 + 4 * n) }))
}

/** Every number is a text. What nothing here limits (bandwidth, connections, messages a second) is left out. */
function listProducts(id: string | null, region: string): Reply {
  const products = dmsFlavors.filter(({ specCode, productId, alias }) => specCode === null && (!id || productId === id || alias === id))
  return ok({ engine: 'kafka', versions: kafkaVersions, products: products.map((flavor) => product(flavor, region)) })
}

function product({ productId, alias, partitions, brokers: [least, most], storage: [leastGb, mostGb] }: DmsFlavor, region: string): object {
  return {
    type: most === 1 ? 'single' : 'cluster', product_id: productId, ecs_flavor_id: null, billing_code: null, arch_types: ['X86'], charging_mode: ['hourly'], support_features: [],
    ios: storageCodes.map((code) => ({ io_spec: code, type: 'evs', available_zones: zonesOf(region), unavailable_zones: [] })),
    properties: {
      max_partition_per_broker: String(partitions), max_broker: String(most), min_broker: String(least), max_storage_per_node: String(mostGb), min_storage_per_node: String(leastGb), product_alias: alias,
    },
  }
}

/** The products that were sold by bandwidth, each in every version. */
function listOldProducts(engine: string | null, region: string): Reply {
  const sold = engine === 'kafka' ? dmsFlavors.filter(({ specCode }) => specCode !== null) : []
  const values = [{ name: 'cluster', detail: sold.map((flavor) => oldProduct(flavor, region)), available_zones: zonesOf(region), unavailable_zones: [] }]
  return ok({ Hourly: sold.length === 0 ? [] : kafkaVersions.map((version) => ({ name: 'kafka', version, values })), Monthly: [] })
}

function oldProduct({ productId, alias, partitions, brokers: [brokers], storage: [least], specCode }: DmsFlavor, region: string): object {
  const io = ['high', 'ultra'].map((type) => ({ io_type: type, storage_spec_code: `dms.physical.storage.${type}`, available_zones: zonesOf(region), unavailable_zones: [], volume_type: type === 'high' ? 'SAS' : 'SSD' }))
  return {
    product_id: productId, spec_code: specCode, bandwidth: alias, vm_specification: alias, partition_num: String(partitions * brokers), storage: String(least * brokers), io,
    available_zones: zonesOf(region), unavailable_zones: [], ecs_flavor_id: null, arch_type: 'X86', tps: null,
  }
}
