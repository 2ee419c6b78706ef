/** What can be ordered, and where and when: flavors and products, zones, maintenance windows. */
import { dcsFlavors, type DcsFlavor } from './flavors.ts'
import { instanceOf, type FreeRow, type Row, type Site } from './call.ts'
import { isRefused, type Refused } from './errors.ts'
import { reachable } from './resize.ts'
import { ok, type Call, type Caller, type Reply } from '../http.ts'
import type { ControlPlane } from '../../core/control-plane.ts'

export const catalogueRows: readonly FreeRow[] = [
  ['GET', '/v2/available-zones', 'user', (_call, site) => listZones(site)],
  ['GET', '/v1.0/availableZones', 'user', (_call, site) => listZones(site)],
  ['GET', '/v2/instances/maintain-windows', 'user', () => ok({ maintain_windows: windows(18, 1, 24, 18) })],
  ['GET', '/v1.0/instances/maintain-windows', 'user', () => ok({ maintain_windows: windows(22, 4, 6, 2) })],
  ['GET', '/v1.0/products', 'user', (_call, site) => ok({ products: offers.map((offer) => product(offer, site)) })],
]

export const flavorRows: readonly Row[] = [
  ['GET', '/v2/:project_id/flavors', 'dcs:instance:list', listFlavors],
]

/** Names, by which a customer says how nodes should be spread: the clouds have three. */
export function zonesOf({ region }: Site): readonly string[] { return [1, 2, 3].map((n) => `${region}-0${n}`) }

function listZones(site: Site): Reply {
  return ok({
    region_id: site.region, regionId: site.region,
    available_zones: zonesOf(site).map((zone) => ({ id: zone, code: zone, name: zone, port: '8002', resource_availability: 'true', resource_availability_dcs2: 'true' })),
  })
}

/** Hours of UTC, as two digits. The documents of the two versions know other windows. */
function windows(first: number, hours: number, count: number, usual: number): object[] {
  const hour = (n: number): string => String(n % 24).padStart(2, '0')
  return Array.from({ length: count }, (_, n) => {
    const begin = first + n * hours
    return { seq: n + 1, begin: hour(begin), end: hour(begin + hours), default: begin % 24 === usual }
  })
}

/** A code and the sizes that it is sold in: one, but for Redis 3.0. */
const offers: readonly (readonly DcsFlavor[])[] = [...Map.groupBy(dcsFlavors, (flavor) => flavor.specCode).values()]

type Filter = (offer: readonly DcsFlavor[], value: string) => boolean
const filters: Readonly<Record<string, Filter>> = {
  spec_code: ([one], value) => one!.specCode === value,
  cache_mode: ([one], value) => one!.topology === value,
  engine: (_offer, value) => value.toLowerCase() === 'redis',
  engine_version: ([one], value) => one!.versions.includes(value),
  cpu_type: (_offer, value) => value === 'x86_64',
  capacity: (offer, value) => offer.some(({ capacity }) => capacity === Number(value)),
}

/** With `instance_id`, those that this instance can become. */
async function listFlavors(plane: ControlPlane, call: Call, caller: Caller, site: Site): Promise<Reply | Refused> {
  const { query } = call
  const id = query.get('instance_id')
  const view = id ? await instanceOf(plane, { ...call, params: { ...call.params, instance_id: id } }, caller) : null
  if (isRefused(view)) return view
  const wanted = Object.entries(filters).flatMap(([name, fits]) => query.get(name) ? [(offer: readonly DcsFlavor[]) => fits(offer, query.get(name)!)] : [])
  return ok({ flavors: (view ? offers.map((offer) => offer.filter((flavor) => reachable(flavor, view))).filter((offer) => offer.length > 0) : offers).filter((offer) => wanted.every((fits) => fits(offer))).map((offer) => flavorItem(offer, site)) })
}

/** As an instance of it will really be; bandwidth is not among these, for none is set aside or held down here. */
function limits({ topology, shards, memoryBytes }: DcsFlavor): Readonly<Record<string, number>> {
  const clients = 10_000 * shards
  return { sharding_num: shards, proxy_num: 0, db_number: topology === 'cluster' ? 1 : 256, max_memory: Math.floor(memoryBytes / 1024 ** 2), max_connections: clients, max_clients: clients }
}

function common([one]: readonly DcsFlavor[]): { [name: string]: unknown } {
  return { spec_code: one!.specCode, cache_mode: one!.topology, engine: 'redis', product_type: 'generic', cpu_type: 'x86_64', storage_type: 'DRAM', cloud_service_type_code: 'otc.service.type.dcs', cloud_resource_type_code: 'otc.resource.type.dcs3', billing_factor: null }
}

function sizes(offer: readonly DcsFlavor[], site: Site): object[] {
  return offer.map(({ capacity }) => ({ capacity: String(capacity), unit: 'GB', available_zones: zonesOf(site), az_codes: zonesOf(site) }))
}

function flavorItem(offer: readonly DcsFlavor[], site: Site): object {
  const { specCode, versions, shards, replicas } = offer[0]!
  return {
    ...common(offer), engine_version: versions.join(';'), capacity: offer.map(({ capacity }) => String(capacity)), billing_mode: ['Hourly'],
    tenant_ip_count: shards * replicas, pricing_type: offer.length > 1 ? 'tier' : 'normal', is_dec: false, dec: null,
    attrs: offer.flatMap((one) => Object.entries(limits(one)).map(([name, value]) => ({ capacity: String(one.capacity), name, value: String(value) }))),
    flavors_available_zones: sizes(offer, site), replica_count: replicas, inquery_spec_code: specCode,
  }
}

function product(offer: readonly DcsFlavor[], site: Site): object {
  const { specCode, versions, capacity, shards, replicas } = offer[0]!
  const details = { capacity, ...limits(offer[0]!), tenant_ip_count: shards * replicas }
  const spec = JSON.stringify(offer.map((one) => ({ capacity: one.capacity, ...limits(one), tenant_ip_count: one.shards * one.replicas })))
  return {
    ...common(offer), product_id: `${specCode}-h`, details, engine_versions: versions.join(';'), spec_details: spec, spec_details2: spec,
    charging_type: 'Hourly', price: null, currency: null, prod_type: 'instance', flavors: sizes(offer, site),
  }
}
