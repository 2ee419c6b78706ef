/** The words in which the listener and the services talk: a call in, a reply out, and a problem as a value. */
import type { Readable } from 'node:stream'
import type { Caller } from '../core/control-plane.ts'
import type { User } from './identity.ts'

export interface Call {
  readonly method: string
  /** As it came, still encoded, without the query. */
  readonly path: string
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
  readonly requestId: string
}

/** Who calls; `projectId` is null with a token that has a domain or nothing as its scope. */
export interface Who {
  readonly user: User
  readonly projectId: string | null
  /** Names the token or the access key, and is neither. */
  readonly credential: string
}

export interface Reply {
  readonly status: number
  /** Sent as JSON; absent: no body at all. */
  readonly body?: unknown
  /** Sent as it comes, instead of a body; as plain text, unless its type is among the headers. */
  readonly stream?: Readable
  /** Sent as it is, instead of a body; its type is among the headers. */
  readonly text?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** What can go wrong before a service's own checks; each service has its own code for each. */
export type Problem =
  | 'no route' | 'wrong method' | 'too large' | 'malformed' | 'token missing' | 'token invalid' | 'token expired'
  | 'other project' | 'bad signature' | 'unsigned host' | 'stale signature' | 'bad project id' | 'fault'
  /** The database is away: the same request may be sent again later. */
  | 'unavailable'
  /** Signed in, and not allowed to do this: policies say no; only reading is allowed; no role here. */
  | 'forbidden' | 'read only' | 'no role'
  /** More requests with one token or key than are allowed. */
  | 'too many'

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'

/**
 * What a caller must be allowed to do, in the clouds' words: `dcs:instance:get`. Where one route does several things, the
 * call tells which of `among` it is; a call that is wrong anyway may be any of them.
 */
export type IamAction = string | { readonly among: readonly string[]; readonly of: (call: Call) => string }

interface Of<Access extends string, Handle> {
  readonly method: Method
  readonly path: string
  readonly access: Access
  readonly handle: Handle
}

/**
 * `open` asks for nobody's name; `user` for a valid token or signature; `project` also for the project in the path;
 * `domain` for a role that counts in all projects, `unless` the call is about the caller. A `user` route whose action is
 * null is for whoever is signed in.
 */
export type Route =
  | Of<'open', (call: Call) => Reply | Promise<Reply>>
  | Of<'user', (call: Call, who: Who) => Reply | Promise<Reply>> & { readonly action: IamAction | null }
  | Of<'domain', (call: Call, who: Who) => Reply | Promise<Reply>> & { readonly action: IamAction; readonly unless?: (call: Call, who: Who) => boolean }
  | Of<'project', (call: Call, caller: Caller) => Reply | Promise<Reply>> & { readonly action: IamAction }

export interface Service {
  /** For messages to people: "DCS". */
  readonly name: string
  readonly routes: readonly Route[]
  /** A problem in this service's envelope; the path tells the API version, the action what was not allowed. */
  readonly refuse: (problem: Problem, path: string, action?: string) => Reply
  /** What documents say of a route, for the OpenAPI document. */
  readonly describe?: (method: string, path: string) => Described | null
}

export interface Described {
  /** The operation's name. */
  readonly name: string
  /** Of success. */
  readonly status: number
  /** The names of the parameters after the question mark. */
  readonly query: readonly string[]
  /** JSON schema. */
  readonly body?: object
}

export type { Caller, User }

/** 200 with this body. */
export function ok(body: unknown): Reply { return { status: 200, body } }

/** Success with nothing to say. */
export const noContent: Reply = { status: 204 }
