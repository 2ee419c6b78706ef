/** The service catalog: where each client looks for which service, by the names that it knows. */
import { createHash } from 'node:crypto'

export interface CatalogUrls { readonly iam: string; readonly dcs: string; readonly dms: string; readonly network: string; readonly compute: string }

/** One row an entry, in the form that its clients take apart; see the URL rules of each in docs. `{p}` is the project's id. */
const rows: readonly { readonly type: string; readonly service: keyof CatalogUrls; readonly path: string }[] = [
  { type: 'identity', service: 'iam', path: '/v3' },
  { type: 'dcsv1', service: 'dcs', path: '/v1.0/{p}' },
  { type: 'dcs', service: 'dcs', path: '/v1.0/{p}' },
  { type: 'dmsv1', service: 'dms', path: '/v1.0/{p}' },
  { type: 'dmsv2', service: 'dms', path: '/v2/{p}' },
  // Without the project: python-otcextensions appends it.
  { type: 'dms', service: 'dms', path: '/v1.0' },
  // Without a version: its clients append the one they speak.
  { type: 'network', service: 'network', path: '' },
  { type: 'vpc', service: 'network', path: '/v1/{p}' },
  { type: 'compute', service: 'compute', path: '/v2.1/{p}' },
]

/** Every service for a project; without one, only those whose addresses need none. */
export function catalog(urls: CatalogUrls, region: string, projectId: string | null): unknown[] {
  return rows.filter((row) => projectId !== null || row.type === 'identity').map((row) => ({
    id: idOf(row.type), name: row.type, type: row.type,
    endpoints: [{
      id: idOf(`${row.type} public ${region}`), interface: 'public', region, region_id: region,
      url: `${urls[row.service]}${row.path.replace('{p}', projectId ?? '')}`,
    }],
  }))
}

/** Ids must be the same at every call and mean nothing. */
function idOf(text: string): string { return createHash('sha256').update(text).digest('hex').slice(0, 32) }
