/** What the console's API answers when it says no. */
import { gateway, type ErrorRow } from '../gateway.ts'
import type { Problem, Reply } from '../http.ts'
import type { Declined } from '../identity.ts'

/** A problem in this service's envelope. */
export function refuseConsole(problem: Problem, _path?: string, action?: string): Reply {
  const row = rows[problem]
  return { status: row.status, body: { error_code: row.code, error_msg: action === undefined ? row.message : `${row.message} (${action})` } }
}

const denied = (message: string): ErrorRow => ({ status: 403, code: 'SLUICE.0403', message })
const signIn = (message: string): ErrorRow => ({ status: 401, code: gateway.signature.code, message })
const rows: Readonly<Record<Problem, ErrorRow>> = {
  'no route': gateway.noRoute, 'wrong method': gateway.wrongMethod, 'too large': gateway.tooLarge, malformed: gateway.malformed,
  'bad signature': gateway.signature, 'unsigned host': gateway.unsignedHost, 'stale signature': gateway.staleSignature, fault: gateway.fault, unavailable: gateway.unavailable, 'too many': gateway.tooMany,
  'token missing': signIn('No token in the request.'), 'token invalid': signIn('Invalid token.'), 'token expired': signIn('Token expired.'),
  forbidden: denied('Your roles do not allow this.'), 'read only': denied('Your role only allows to look.'), 'no role': denied('You have no role here.'),
  'other project': signIn('The token is for no project, or for another one.'), 'bad project id': signIn('Invalid project ID format.'),
}

/** 400: the request itself is wrong, and the message says where. */
export function badRequest(message: string): Reply { return { status: 400, body: { error_code: gateway.malformed.code, error_msg: message } } }

/** Why a change of people was not made. */
export function declinedReply({ declined, what }: Declined): Reply {
  const [status, code, message] = reasons[declined]
  return { status, body: { error_code: code, error_msg: message.replace('{}', () => what) } }
}

const reasons: Readonly<Record<Declined['declined'], readonly [number, string, string]>> = {
  missing: [404, 'SLUICE.0404', 'There is no such thing: {}.'],
  taken: [409, 'SLUICE.0420', 'The name {} is taken.'],
  fixed: [409, 'SLUICE.0421', "{} cannot be changed here: it is always there, or it is in the server's settings."],
  'in use': [409, 'SLUICE.0422', '{} is in use.'],
  'too many': [409, 'SLUICE.0423', 'There can be no more than {}.'],
}
