/** Finds addresses for the nodes of instances, and for what moves between them. */
import { isTaken } from '../store/database.ts'
import type { Addresses } from '../core/addresses.ts'
import type { Engine } from '../core/engine.ts'
import type { Endpoint, NodeRecord, Spec } from '../core/instance.ts'

export interface Placing {
  readonly engine: Engine
  readonly addresses: Addresses
  readonly host: string
  /** "address:port" pairs in use; what is found is added. */
  readonly taken: Set<string>
}

/** Addresses of the instance itself, or a sentence when there is no room. */
export async function placeEndpoints({ engine, addresses, taken }: Placing, spec: Pick<Spec, 'topology' | 'port'>, at?: string): Promise<Readonly<Record<string, Endpoint>> | string> {
  const endpoints: Record<string, Endpoint> = {}
  for (const [name, port] of Object.entries(engine.endpoints(spec))) {
    // The customer's port is the one of the service; the others take the same number where each has an address of its own.
    const place = await addresses.place({ service: port }, spec.port, taken, name === 'service' ? at : undefined)
    if (typeof place === 'string') return place
    taken.add(`${place.address}:${place.ports['service']}`)
    endpoints[name] = { address: place.address, port: place.ports['service']! }
  }
  return endpoints
}

/** Nodes with these ordinals, or a sentence when there is no room. */
export async function placeNodes({ engine, addresses, host, taken }: Placing, instanceId: string, spec: Pick<Spec, 'topology' | 'port'>, ordinals: readonly number[], at?: string): Promise<NodeRecord[] | string> {
  const nodes: NodeRecord[] = []
  for (const ordinal of ordinals) {
    const place = await addresses.place(engine.ports(spec), spec.port, taken, at)
    if (typeof place === 'string') return place
    for (const port of Object.values(place.ports)) taken.add(`${place.address}:${port}`)
    nodes.push({ id: `${instanceId}-${ordinal}`, instanceId, ordinal, host, address: place.address, ports: place.ports, ...place.listen ? { listen: place.listen } : {} })
  }
  return nodes
}

/** For people: bytes as MiB, rounded up. */
export function mib(bytes: number): number { return Math.ceil(bytes / 1_048_576) }

/** As many control planes of one host as may look for a place at the same instant, and then some. */
const placings = 20

/** Looks again when somebody else took a place first. */
export async function placed<T>(place: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try { return await place() } catch (error) { if (attempt === placings || !isTaken(error)) throw error }
  }
}
