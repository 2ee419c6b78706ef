/**
 * The list of instances as a file for spreadsheets. A job is nothing but its wish, written into its id: the file is made when
 * its signed link is followed, so nothing is kept, and any control plane can make it.
 */
import { bodyOf, type FreeRow, type Row, type Site } from './call.ts'
import { isRefused, refused, refuseDcs, type Refused } from './errors.ts'
import { readList } from './queries.ts'
import { detail } from './translate.ts'
import { ok, type Call, type Caller, type Reply } from '../http.ts'
import { isAbsent, isText, uuid } from '../json.ts'
import type { ControlPlane, View } from '../../core/control-plane.ts'

export const exportRows: readonly Row[] = [
  ['POST', '/v2/:project_id/instances/export', 'dcs:instance:list', startExport],
  ['GET', '/v2/:project_id/instances/export-job', 'dcs:instance:list', showExport],
]

/** What signed links lead to. */
export const exportFileRows: readonly FreeRow[] = [
  ['GET', '/v2/:project_id/instances/export-files/:job_id/:file_name', 'open', download],
]

/** An hour, as long as somebody may need to click. */
const linkMs = 3_600_000
const mostIds = 100
/** Filters of the list, and those that are compared with what is shown. */
const listed = ['name', 'instance_id', 'ip', 'status', 'tags', 'capacity'] as const
const compared = ['cache_mode', 'engine', 'engine_version', 'cpu_type', 'product_type', 'enterprise_project_id', 'charging_mode'] as const
const columns = ['instance_id', 'name', 'status', 'cache_mode', 'engine', 'engine_version', 'spec_code', 'max_memory', 'used_memory', 'ip', 'port', 'az_codes', 'created_at', 'maintain_begin', 'maintain_end', 'description', 'tags'] as const

type Wish = Readonly<Record<string, string>>

function startExport(_plane: ControlPlane, call: Call): Reply | Refused {
  const body = bodyOf(call)
  if (isRefused(body)) return body
  const wish: Record<string, string> = {}
  for (const name of [...listed, ...compared]) {
    const value = body[name]
    if (isAbsent(value)) continue
    if (!isText(String(value), 512) || typeof value === 'object') return refused('DCS.4062', name)
    wish[name] = String(value)
  }
  const filter = readList(new URLSearchParams(wish))
  if (isRefused(filter)) return filter
  const ids = body['included_instances']
  if (!isAbsent(ids)) {
    if (!Array.isArray(ids) || ids.length > mostIds) return refused('DCS.4062', 'included_instances')
    if (ids.some((id) => uuid(id) === null)) return refused('DCS.4061')
    wish['included'] = Buffer.from(ids.map((id: string) => id.replaceAll('-', '')).join(''), 'hex').toString('base64url')
  }
  return ok({ job_id: Buffer.from(JSON.stringify(wish)).toString('base64url') })
}

function showExport(_plane: ControlPlane, call: Call, { projectId }: Caller, site: Site): Reply | Refused {
  const id = call.query.get('job_id') ?? ''
  if (!readWish(id)) return refused('DCS.4062', 'job_id')
  const name = `dcs-instances-${new Date().toISOString().replaceAll(/[-:]|\..*/g, '')}.csv`
  return ok({ status: 'SUCCESS', file_name: name, link: site.links.link(`/v2/${projectId}/instances/export-files/${id}/${name}`, Date.now() + linkMs), err_code: null, err_msg: null })
}

function readWish(id: string): Wish | null {
  try {
    const wish = JSON.parse(Buffer.from(id, 'base64url').toString()) as unknown
    return typeof wish === 'object' && wish !== null && Object.values(wish).every((value) => typeof value === 'string') ? wish as Wish : null
  } catch { return null }
}

async function download(call: Call, site: Site, plane: ControlPlane): Promise<Reply> {
  const { project_id: projectId, job_id: id, file_name: name } = call.params
  // Whoever has no valid link is told what anybody is told of an address that does not exist.
  const wish = site.links.check(call.path, call.query) ? readWish(id!) : null
  if (!wish) return refuseDcs('no route', call.path)
  const rows = (await wanted(plane, projectId!.toLowerCase(), wish)).map((view) => detail(view) as Record<string, unknown>).filter((one) => compared.every((field) => wish[field] === undefined || String(one[field]).toLowerCase() === wish[field].toLowerCase()))
  const text = [columns.join(','), ...rows.map((row) => columns.map((column) => cell(row[column])).join(','))].join('\r\n')
  return { status: 200, text: `\uFEFF${text}\r\n`, headers: { 'content-type': 'text/csv; charset=utf-8', 'content-disposition': `attachment; filename="${name}"` } }
}

async function wanted(plane: ControlPlane, projectId: string, wish: Wish): Promise<View[]> {
  const query = readList(new URLSearchParams([...Object.entries(wish), ['limit', '1000'], ['include_failure', 'true']]))
  if (isRefused(query) || query.nothing) return []
  const included = wish['included'] === undefined ? null : new Set(Buffer.from(wish['included'], 'base64url').toString('hex').match(/.{32}/g))
  const found: View[] = []
  for (let offset = 0, total = 1; offset < total; offset += 1000) {
    const page = await plane.list(projectId, { ...query.filter, offset })
    total = page.total
    found.push(...page.views.filter(({ instance }) => !included || included.has(instance.id.replaceAll('-', ''))))
  }
  return found
}

/** A spreadsheet takes a text that begins like this for a formula, and runs it. */
function cell(value: unknown): string {
  const text = value === null || value === undefined ? '' : Array.isArray(value) ? value.map((one) => typeof one === 'object' ? `${one.key}=${one.value}` : one).join(' ') : String(value)
  return `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`
}
