/** What the handlers of the network facade read from a call, each in one way. */
import { isIPv4 } from 'node:net'
import { badRequest, refuseNetwork } from './errors.ts'
import { isObject, isText, numberIn, readJson, type Body } from '../json.ts'
import type { Call, Caller, IamAction, Method, Reply, Route, Who } from '../http.ts'
import type { NetworkRecord, Records } from '../records.ts'

export type Handle = (records: Records, call: Call, caller: Caller) => Promise<Reply> | Reply

/** A route; those whose path names no project are for the project of the token. */
export type Row = readonly [method: Method, path: string, action: IamAction, handle: Handle]

export function routesOf(rows: readonly Row[], records: Records): Route[] {
  return rows.map(([method, path, action, handle]): Route => path.includes(':project_id')
    ? { method, path, action, access: 'project', handle: (call, caller) => handle(records, call, caller) }
    : { method, path, action, access: 'user', handle: (call, who: Who) => who.projectId === null ? refuseNetwork('other project', call.path) : handle(records, call, { projectId: who.projectId, userId: who.user.id, userName: who.user.name }) })
}

/** The object that the body has under this name, or the answer that says it has none. */
export function bodyOf(call: Call, name: string): { readonly value: Body } | { readonly reply: Reply } {
  const body = readJson(call.body, call.headers['content-type'] as string | undefined)
  const value = typeof body === 'string' ? undefined : body[name]
  return isObject(value) ? { value } : { reply: badRequest(call.path, `the body must be a JSON object with ${name}`) }
}

export function isName(value: unknown): value is string { return isText(value, 64) && value !== '' }
export function isDescription(value: unknown): value is string | undefined { return value === undefined || isText(value, 255) }

/** "192.168.0.0/24". */
export function isCidr(value: unknown): value is string {
  const [address, bits, more] = typeof value === 'string' ? value.split('/') : []
  return more === undefined && bits !== undefined && isIPv4(address!) && numberIn(bits, 0, 32) !== null
}

/** A page of a list as both APIs ask for it: `limit`, and `marker`, the id of the last one seen. */
export function paged(call: Call, all: readonly NetworkRecord[]): readonly NetworkRecord[] {
  const [marker, limit] = [call.query.get('marker'), numberIn(call.query.get('limit') || '2000', 0, 2000) ?? 2000]
  const from = marker === null || marker === '' ? 0 : all.findIndex((record) => record.id === marker) + 1
  return all.slice(from, from + limit)
}

/** Those that fit every filter of the query that is about a shown field. */
export function filtered<T extends object>(call: Call, bodies: readonly T[], names: readonly string[]): T[] {
  return bodies.filter((body) => names.every((name) => !call.query.has(name) || call.query.getAll(name).includes(String((body as Record<string, unknown>)[name]))))
}
