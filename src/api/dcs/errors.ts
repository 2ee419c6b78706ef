/** DCS's documented errors in its two envelopes. The rows are in errors.tsv, from the service's appendix. */
import { readFileSync } from 'node:fs'
import { errorRows, gateway, type ErrorRow } from '../gateway.ts'
import type { Problem, Reply } from '../http.ts'

const mark = Symbol('refused')
const rows = errorRows(readFileSync(new URL('errors.tsv', import.meta.url), 'utf8'))

/** The row of a documented code, `{0}` in its message filled in. An undocumented code is a mistake of ours. */
export function dcsRow(code: string, fill?: string): ErrorRow {
  const row = rows.get(code)
  if (!row) throw new Error(`no document lists ${code}`)
  return fill === undefined ? row : { ...row, message: row.message.replace(/\{0?\}/, () => fill) }
}

/** The nine-digit twin that v1.0 has for a `DCS.nnnn`. */
export function v1Code(code: string): string {
  const digits = code.slice(4)
  return twins[code] ?? `111${digits.startsWith('5') ? '500' : `40${{ 1: 1, 3: 3 }[digits[0]!] ?? 0}`}${digits.slice(1)}`
}

/** The same in v1.0. Where no document lists a twin, it follows from the rule. */
export function v1Row(code: string, fill?: string): ErrorRow {
  const twin = v1Code(code)
  return rows.has(twin) ? dcsRow(twin, fill) : { ...dcsRow(code, fill), code: twin }
}

/** One refusal of a call; which envelope it takes is decided by the path. */
export interface Refused {
  /** A symbol, which no JSON body can hold: nothing a caller sends is ever taken for a refusal of ours. */
  readonly [mark]: true
  readonly code: string
  /** What `{0}` stands for. */
  readonly fill?: string
  /** Said after the documented message, where that alone would leave a person guessing. */
  readonly because?: string
}

export function refused(code: string, fill?: string, because?: string): Refused {
  return { [mark]: true, code, ...(fill === undefined ? {} : { fill }), ...(because === undefined ? {} : { because }) }
}

export function isRefused(value: unknown): value is Refused {
  return typeof value === 'object' && value !== null && mark in value
}

/** The reply for a refusal, in the envelope of the API version that the path names. */
export function dcsError({ code, fill, because }: Refused, path: string): Reply {
  const row = path.startsWith('/v1.0/') ? v1Row(code, fill) : dcsRow(code, fill)
  return envelope(because === undefined ? row : { ...row, message: `${row.message} (${because})`.slice(0, 1024) }, path)
}

/** The reply for what went wrong before DCS's own checks. */
export function refuseDcs(problem: Problem, path: string, action?: string): Reply {
  const row = problems[problem]
  return typeof row === 'string' ? dcsError(refused(row, action), path) : envelope(row, path)
}

function envelope(row: ErrorRow, path: string): Reply {
  if (path.startsWith('/v1.0/')) return { status: row.status, body: { error: { code: row.code, message: row.message } } }
  return { status: row.status, body: { error_msg: row.message, error_code: row.code, error_ext_msg: null } }
}

/** Where the rule of the two families does not hold. */
const twins: Readonly<Record<string, string>> = {
  'DCS.4911': '111400054', 'DCS.4001': '111404001', 'DCS.3022': '111404022', 'DCS.4023': '111404023', 'DCS.5001': '111405001', 'DCS.4006': '111400007',
  // v1.0 never got "not running"; "not allowed in the current state" is its word for it.
  'DCS.4049': '111400026',
  // Nor policies: a role that does not suffice is its only word.
  'DCS.2007': '111403003', 'DCS.2003': '111403003',
  // Its words for a flavor are those for a product.
  'DCS.4927': '111400009',
}

const problems: Readonly<Record<Problem, string | ErrorRow>> = {
  'no route': 'DCS.4001', 'wrong method': 'DCS.5001', 'token missing': 'DCS.1003', 'token invalid': 'DCS.1001', 'token expired': 'DCS.1002',
  'other project': 'DCS.1004', 'bad project id': 'DCS.4002', fault: 'DCS.5000',
  'bad signature': gateway.signature, 'unsigned host': gateway.unsignedHost, 'stale signature': gateway.staleSignature, 'too large': gateway.tooLarge, malformed: gateway.malformed,
  unavailable: gateway.unavailable, 'too many': gateway.tooMany, forbidden: 'DCS.2007', 'read only': 'DCS.3002', 'no role': 'DCS.2003',
}
