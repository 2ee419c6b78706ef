/** DMS's documented errors in its envelope. The rows are in errors.tsv, from the service's appendix. */
import { readFileSync } from 'node:fs'
import { errorRows, gateway, type ErrorRow } from '../gateway.ts'
import type { Problem, Reply } from '../http.ts'

const mark = Symbol('refused')
const rows = errorRows(readFileSync(new URL('errors.tsv', import.meta.url), 'utf8'))

/** The row of a documented code. An undocumented code is a mistake of ours. */
export function dmsRow(code: string): ErrorRow {
  const row = rows.get(code)
  if (!row) throw new Error(`no document lists ${code}`)
  return row
}

/** One refusal of a call. */
export interface Refused {
  /** A symbol, which no JSON body can hold: nothing a caller sends is ever taken for a refusal of ours. */
  readonly [mark]: true
  readonly code: string
  /** Said after the documented message, where that alone would leave a person guessing. */
  readonly because: string | null
}

export function refused(code: string, because: string | null = null): Refused { return { [mark]: true, code, because } }

export function isRefused(value: unknown): value is Refused {
  return typeof value === 'object' && value !== null && mark in value
}

/** The reply for a refusal; v1.0 and v2 share one envelope. */
export function dmsError({ code, because }: Refused): Reply {
  const row = dmsRow(code)
  return envelope(because === null ? row : { ...row, message: `${row.message} (${because})` })
}

/** The reply for what went wrong before DMS's own checks. */
export function refuseDms(problem: Problem, _path: string, action?: string): Reply {
  const row = problems[problem]
  return typeof row === 'string' ? dmsError(refused(row, action ?? null)) : envelope(row)
}

function envelope(row: ErrorRow): Reply { return { status: row.status, body: { error_code: row.code, error_msg: row.message } } }

const problems: Readonly<Record<Problem, string | ErrorRow>> = {
  'no route': 'DMS.00404001', 'wrong method': 'DMS.00405001', 'token missing': 'DMS.10240103', 'token invalid': 'DMS.10240101', 'token expired': 'DMS.10240102',
  'other project': 'DMS.10240104', 'bad project id': 'DMS.00400002', fault: 'DMS.00500000',
  'bad signature': gateway.signature, 'unsigned host': gateway.unsignedHost, 'stale signature': gateway.staleSignature, 'too large': gateway.tooLarge, malformed: gateway.malformed,
  unavailable: gateway.unavailable, 'too many': gateway.tooMany, forbidden: 'DMS.00403003', 'read only': 'DMS.00403002', 'no role': 'DMS.00403003',
}
