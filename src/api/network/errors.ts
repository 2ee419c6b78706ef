/** What the network facade answers when it says no: VPC's envelope on v1, Neutron's on v2.0. */
import { gateway, type ErrorRow } from '../gateway.ts'
import type { Problem, Reply } from '../http.ts'

/** `type` is Neutron's name for what happened, `code` VPC's. */
export function vpcError(path: string, status: number, code: string, type: string, message: string): Reply {
  return path.startsWith('/v1/') ? { status, body: { code, message } } : { status, body: { NeutronError: { type, message, detail: '' } } }
}

/** 404 for a thing by its id. */
export function notFound(path: string, what: string, id: string): Reply { return vpcError(path, 404, 'VPC.0202', `${what.replaceAll(' ', '')}NotFound`, `${what} ${id} could not be found.`) }

export function badRequest(path: string, message: string): Reply { return vpcError(path, 400, 'VPC.0002', 'HTTPBadRequest', message) }

export function conflict(path: string, message: string): Reply { return vpcError(path, 409, 'VPC.0114', 'InUse', message) }

/** A problem in this service's envelope. */
export function refuseNetwork(problem: Problem, path: string, action?: string): Reply {
  const row = rows[problem]
  return vpcError(path, row.status, row.code, row.status === 404 ? 'HTTPNotFound' : row.status === 403 ? 'PolicyNotAuthorized' : 'HTTPError', action === undefined ? row.message : `${row.message} (${action})`)
}

const signIn = (message: string): ErrorRow => ({ status: 401, code: gateway.signature.code, message })
const denied: ErrorRow = { status: 403, code: 'VPC.0010', message: 'Your roles do not allow this.' }
const rows: Readonly<Record<Problem, ErrorRow>> = {
  'no route': gateway.noRoute, 'wrong method': gateway.wrongMethod, 'too large': gateway.tooLarge, malformed: gateway.malformed,
  'bad signature': gateway.signature, 'unsigned host': gateway.unsignedHost, 'stale signature': gateway.staleSignature, fault: gateway.fault, unavailable: gateway.unavailable, 'too many': gateway.tooMany,
  'token missing': signIn('No token in the request.'), 'token invalid': signIn('Invalid token.'), 'token expired': signIn('Token expired.'),
  'other project': signIn('The token is for no project, or for another one.'), 'bad project id': { status: 400, code: 'VPC.0007', message: 'Invalid project ID format.' },
  forbidden: denied, 'read only': denied, 'no role': denied,
}
