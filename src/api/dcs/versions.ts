/** Which versions of the API there are; open to everybody, as clients ask before they sign in. */
import { ok } from '../http.ts'
import type { FreeRow, Site } from './call.ts'

const versions = [{ id: 'v1.0', status: 'DEPRECATED' }, { id: 'v2', status: 'CURRENT' }] as const

export const versionRows: readonly FreeRow[] = [
  ['GET', '/', 'open', (_call, site) => ok({ versions: versions.map((one) => document(one, site)) })],
  ...versions.map((one): FreeRow => ['GET', `/${one.id}`, 'open', (_call, site) => ok({ version: document(one, site) })]),
]

/** The samples have `href` and `rel` the wrong way around; clients that follow links do not. */
function document({ id, status }: typeof versions[number], { url }: Site): object {
  return { id, links: [{ href: `${url}/${id}`, rel: 'self' }], min_version: '', status, updated: '2016-12-09T00:00:00Z', version: '' }
}
