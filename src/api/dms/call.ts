/** The body of a call, as this dialect reads it. */
import { refused, type Refused } from './errors.ts'
import { readJson, type Body } from '../json.ts'
import type { Call } from '../http.ts'

/** A JSON object, or what is wrong with it. */
export function bodyOf(call: Call): Body | Refused {
  const body = readJson(call.body, call.headers['content-type'] as string | undefined)
  if (body === 'empty') return refused('DMS.00400004')
  if (body === 'type') return refused('DMS.00400005', 'the Content-Type must be application/json')
  return body === 'bad' ? refused('DMS.00400005') : body
}
