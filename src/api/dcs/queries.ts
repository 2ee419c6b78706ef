/** Reads the query strings of DCS. A value out of range is refused with its parameter's name, never bent. */
import { foreignStatusWords, statusWords } from './translate.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { isText, uuid, numberIn } from '../json.ts'
import type { ListFilter } from '../../core/control-plane.ts'
import type { Tag } from '../../core/instance.ts'
import type { Status } from '../../core/status.ts'

export interface Page { readonly offset: number; readonly limit: number }

/** `offset` 0 and `limit` 10 unless given; limit up to 1000. */
export function readPage(query: URLSearchParams): Page | Refused {
  const offset = query.get('offset') || '0'
  const limit = query.get('limit') || '10'
  const [rows, most] = [numberIn(offset, 0, 2 ** 31 - 1), numberIn(limit, 1, 1000)]
  if (rows === null) return refused('DCS.4062', 'offset')
  return most === null ? refused('DCS.4062', 'limit') : { offset: rows, limit: most }
}

/** v1.0 counts rows from 1: `start` 1 and `limit` 1000, or what is `usual`, unless given; limit up to 2000. */
export function readPageV1(query: URLSearchParams, usual = 1000): Page | Refused {
  const [first, most] = [numberIn(query.get('start') || '1', 1, 2 ** 31 - 1), numberIn(query.get('limit') || String(usual), 1, 2000)]
  if (first === null) return refused('DCS.4062', 'start')
  return most === null ? refused('DCS.4062', 'limit') : { offset: first - 1, limit: most }
}

/** The filters of GET /v1.0/{project_id}/instances, by the names that its document has and those that its clients send. */
export function readListV1(query: URLSearchParams): ListQuery | Refused {
  const page = readPageV1(query)
  if (isRefused(page)) return page
  const same = new URLSearchParams(query)
  same.delete('limit')
  for (const [name, others] of Object.entries({ instance_id: ['id'], include_failure: ['includeFailure'], name_equal: ['isExactMatchName', 'exactMatchName'] })) {
    const given = others.map((other) => query.get(other)).find((value) => value !== null)
    if (given !== undefined && given !== null && !same.has(name)) same.set(name, given)
  }
  const list = readList(same)
  return isRefused(list) ? list : { ...list, filter: { ...list.filter, ...page } }
}

export interface ListQuery { readonly filter: ListFilter; /** Nothing can match. */ readonly nothing: boolean }

/** The filters of GET /v2/{project_id}/instances. */
export function readList(query: URLSearchParams): ListQuery | Refused {
  const page = readPage(query)
  if (isRefused(page)) return page
  const id = query.get('instance_id') ? uuid(query.get('instance_id')) : undefined
  if (id === null) return refused('DCS.4061')
  const word = query.get('status')
  const status = word ? (Object.keys(statusWords) as Status[]).find((key) => statusWords[key] === word) : undefined
  if (word && !status && !foreignStatusWords.includes(word)) return refused('DCS.4062', 'status')
  const name = query.get('name')
  if (name !== null && !isText(name, 128)) return refused('DCS.4062', 'name')
  const tags = readTagFilter(query.get('tags'))
  if (isRefused(tags)) return tags
  const capacity = query.get('capacity') ? Number(query.get('capacity')) : null
  if (capacity !== null && !(capacity > 0)) return refused('DCS.4062', 'capacity')
  const address = query.get('ip')
  return {
    nothing: Boolean(word) && !status,
    filter: {
      engine: 'redis', ...page, includeFailed: query.get('include_failure') === 'true', tags,
      ...(id ? { id } : {}), ...(name ? { name, nameExact: query.get('name_equal') === 'true' } : {}),
      ...(status ? { status } : {}), ...(address ? { address } : {}), ...(capacity === null ? {} : { attribute: { name: 'capacity', value: capacity } }),
    },
  }
}

/** `k1=v1,k2=v2`; all must match. Go's clients of v1.0 write `{'k1':'v1', 'k2':'v2'}`. */
function readTagFilter(text: string | null): Tag[] | Refused {
  if (!text) return []
  if (/^\{.*\}$/.test(text)) return [...text.matchAll(/'([^']*)':'([^']*)'/g)].map(([, key, value]) => ({ key: key!, value: value! }))
  const tags = text.split(',').map((part) => {
    const at = part.indexOf('=')
    return at === -1 ? { key: part, value: '' } : { key: part.slice(0, at), value: part.slice(at + 1) }
  })
  return tags.some((tag) => tag.key === '') || tags.length > 20 ? refused('DCS.4062', 'tags') : tags
}

/** A span of time by the names of its two parameters, those of GET …/tasks unless said, in epoch ms. */
export function readSpan(query: URLSearchParams, names: readonly [from: string, to: string] = ['start_time', 'end_time']): { readonly from?: number; readonly to?: number } | Refused {
  const span: { from?: number; to?: number } = {}
  for (const [name, key] of [[names[0], 'from'], [names[1], 'to']] as const) {
    const text = query.get(name)
    if (!text) continue
    const at = parseTime(text)
    if (at === null) return refused('DCS.4062', name)
    // The end is a second, not an instant: all of it belongs to the span.
    span[key] = key === 'to' ? at + 999 : at
  }
  return span.from !== undefined && span.to !== undefined && span.to < span.from ? refused('DCS.4025') : span
}

/** yyyyMMddHHmmss, UTC. */
function parseTime(text: string): number | null {
  const p = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text)
  if (!p) return null
  const at = Date.parse(`${p[1]}-${p[2]}-${p[3]}T${p[4]}:${p[5]}:${p[6]}Z`)
  // Date.parse takes February 30 for March 1.
  return !Number.isNaN(at) && new Date(at).getUTCDate() === Number(p[3]) ? at : null
}
