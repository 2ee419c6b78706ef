/** What the documents and the SDK list of DCS: rows of endpoints.tsv, and the fields of bodies in bodies.json. */
import { readFileSync } from 'node:fs'
import type { Described } from '../http.ts'

export interface Endpoint {
  /** `S` the main job, `L` an instance's life, `O` operations. */
  readonly tier: string
  readonly method: string
  /** `/v2/{project_id}/instances`. */
  readonly path: string
  readonly operation: string
  /** Of success. */
  readonly status: number
  readonly query: readonly string[]
}

const read = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8')

export const endpoints: readonly Endpoint[] = read('endpoints.tsv').trim().split('\n').slice(1).map((line) => {
  const [tier, method, path, operation, status, query] = line.split('\t') as [string, string, string, string, string, string?]
  return { tier, method, path, operation, status: Number(status), query: query ? query.split(',') : [] }
})

const bodies = JSON.parse(read('bodies.json')) as Readonly<Record<string, object>>
const keyOf = (method: string, path: string): string => `${method} ${path.replaceAll(/\{\w+\}|:\w+/g, '{}')}`
const known = new Map(endpoints.map((endpoint) => [keyOf(endpoint.method, endpoint.path), endpoint]))

/** The documented endpoint that a route serves; undefined for one of ours. Names of parameters do not matter. */
export function endpointOf(method: string, path: string): Endpoint | undefined { return known.get(keyOf(method, path)) }

/** For the OpenAPI document. */
export function describeDcs(method: string, path: string): Described | null {
  const endpoint = endpointOf(method, path)
  if (!endpoint) return null
  const { operation, status, query } = endpoint
  // v1.0 has the fields of its newer twin, more or less; what it has not is not made up here.
  const body = path.startsWith('/v2') ? bodies[operation] : undefined
  return { name: path.startsWith('/v1.0') ? `${operation}V1` : operation, status, query, ...body ? { body } : {} }
}
