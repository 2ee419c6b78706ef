/** Reads the query strings of DMS. A value out of range is refused with its parameter's name, never bent. */
import { foreignStatusWords, statusWords } from './translate.ts'
import { refused, type Refused } from './errors.ts'
import { isText, uuid, numberIn } from '../json.ts'
import type { ListFilter } from '../../core/control-plane.ts'
import type { Status } from '../../core/status.ts'

export interface Page { readonly offset: number; readonly limit: number }

const farthest = 2 ** 31 - 1
const engines = ['kafka', 'rabbitmq', 'rocketmq', 'reliability']

/** The filters of GET /v2/{project_id}/instances; null when nothing can match. */
export function readList(query: URLSearchParams): ListFilter | null | Refused {
  const engine = query.get('engine') || 'kafka'
  if (!engines.includes(engine)) return refused('DMS.00400007')
  const offset = numberIn(query.get('offset') || '0', 0, farthest)
  if (offset === null) return refused('DMS.00400062', 'offset')
  const limit = numberIn(query.get('limit') || '10', 1, 50)
  if (limit === null) return refused('DMS.00400062', 'limit')
  const id = query.get('instance_id') ? uuid(query.get('instance_id')) : undefined
  if (id === null) return refused('DMS.00400061')
  const word = query.get('status')
  // `flushing` is no status of Kafka's, though its row shares a word.
  const status = word ? (Object.keys(statusWords) as Status[]).find((key) => key !== 'flushing' && statusWords[key] === word) : undefined
  if (word && !status && !foreignStatusWords.includes(word)) return refused('DMS.00400062', 'status')
  const name = query.get('name')
  if (name !== null && !isText(name, 128)) return refused('DMS.00400062', 'name')
  const enterprise = query.get('enterprise_project_id')
  if (engine !== 'kafka' || word && !status || enterprise && !isText(enterprise, 64)) return null
  return {
    engine: 'kafka', offset, limit, includeFailed: query.get('include_failure') === 'true',
    ...(id ? { id } : {}), ...(status ? { status } : {}),
    ...(name ? { name, nameExact: query.get('exact_match_name') === 'true' } : {}),
  }
}

/** GET …/tasks: `start` counts from 1, `offset` (the SDKs') from 0; times are yyyyMMddHHmmss in UTC. */
export function readTaskPage(query: URLSearchParams): (Page & { readonly from?: number; readonly to?: number }) | Refused {
  const start = numberIn(query.get('start') || '1', 1, farthest)
  if (start === null) return refused('DMS.00400062', 'start')
  const offset = query.get('offset') ? numberIn(query.get('offset'), 0, farthest) : start - 1
  if (offset === null) return refused('DMS.00400062', 'offset')
  const limit = numberIn(query.get('limit') || '10', 1, 100)
  if (limit === null) return refused('DMS.00400062', 'limit')
  const [from, to] = [parseTime(query.get('begin_time')), parseTime(query.get('end_time'))]
  if (from === null || to === null || from !== undefined && to !== undefined && to < from) return refused('DMS.00400142')
  // The end is a second, not an instant: all of it belongs to the span.
  return { offset, limit, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to: to + 999 }) }
}

/** Undefined when absent, null when it is no time. */
function parseTime(text: string | null): number | null | undefined {
  if (!text) return undefined
  const p = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text)
  if (!p) return null
  const at = Date.parse(`${p[1]}-${p[2]}-${p[3]}T${p[4]}:${p[5]}:${p[6]}Z`)
  // Date.parse takes February 30 for March 1.
  return !Number.isNaN(at) && new Date(at).getUTCDate() === Number(p[3]) ? at : null
}
