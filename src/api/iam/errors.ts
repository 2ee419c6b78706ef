/** Keystone's error envelope. */
import { gateway, type ErrorRow } from '../gateway.ts'
import { STATUS_CODES } from '../node-http.ts'
import type { Problem, Reply } from '../http.ts'

/** `{"error":{"code":401,"message":…,"title":"Unauthorized"}}`. */
export function keystone(status: number, message: string): Reply {
  return { status, body: { error: { code: status, message, title: STATUS_CODES[status] } } }
}

/** A problem in Keystone's envelope. */
export function refuseIam(problem: Problem, _path: string, action?: string): Reply {
  const row = gatewayRows[problem]
  if (row) return { status: row.status, body: { error: { code: row.code, message: row.message, title: STATUS_CODES[row.status] } } }
  if (action !== undefined) return forbidden(action)
  const [status, message] = statuses[problem] ?? [401, unauthorized]
  return keystone(status, message)
}

/** Keystone's answer to whoever may not. */
export function forbidden(action: string): Reply { return keystone(403, `You are not authorized to perform the requested action: ${action}.`) }

/** Keystone's own sentence for every failed log-in, so that it tells nothing of what was wrong. */
export const unauthorized = 'The request you have made requires authentication.'

const gatewayRows: Readonly<Partial<Record<Problem, ErrorRow>>> = {
  'bad signature': gateway.signature, 'unsigned host': gateway.unsignedHost, 'stale signature': gateway.staleSignature, 'too large': gateway.tooLarge, malformed: gateway.malformed,
  unavailable: gateway.unavailable, 'too many': gateway.tooMany,
}
const statuses: Readonly<Partial<Record<Problem, readonly [number, string]>>> = {
  'no route': [404, 'The resource could not be found.'],
  'wrong method': [405, 'The method is not allowed for the requested URL.'],
  fault: [500, 'An unexpected error prevented the server from fulfilling your request.'],
}
