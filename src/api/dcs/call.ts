/** What the handlers of DCS read from a call, each in one way. */
import { isRefused, refused, type Refused } from './errors.ts'
import { readDryRun } from '../plan.ts'
import { readJson, uuid, type Body } from '../json.ts'
import type { Call, Caller, IamAction, Method, Reply } from '../http.ts'
import type { Links } from '../links.ts'
import type { Records } from '../records.ts'
import type { ControlPlane, View } from '../../core/control-plane.ts'

/** What this dialect knows of the place it runs in. */
export interface Site {
  /** The region's name, `eu-de`. */
  readonly region: string
  /** Of this listener, as clients reach it: `http://127.0.0.1:7481`. */
  readonly url: string
  readonly links: Links
  /** Of a project; null: there is none such. */
  readonly projectName: (projectId: string) => Promise<string | null>
  readonly networks: Pick<Records, 'known'>
}

type Answer = Promise<Reply | Refused> | Reply | Refused
export type Handle = ((plane: ControlPlane, call: Call, caller: Caller, site: Site) => Answer) & Declines
/** Of a handler that never does its work: the documented code that it answers, and why. */
interface Declines { readonly declines?: { readonly code: string; readonly because: string } }

/** A route of this dialect, what its caller must be allowed to do, and what answers it. */
export type Row = readonly [method: Method, path: string, action: IamAction, handle: Handle]

/** A route without a project: `open` to everybody, or to each `user` with a token or a signature. */
export type FreeRow = readonly [method: Method, path: string, access: 'open' | 'user', handle: (call: Call, site: Site, plane: ControlPlane) => Answer]

export const unknown = refused('DCS.3022')

export function bodyOf(call: Call): Body | Refused {
  const body = readJson(call.body, call.headers['content-type'] as string | undefined)
  if (body === 'empty') return refused('DCS.4004')
  if (body === 'type') return refused('DCS.4005', undefined, 'the Content-Type must be application/json')
  return body === 'bad' ? refused('DCS.4005') : body
}

/** The instance's id in the path. */
export function idOf(call: Call): string | Refused { return uuid(call.params['instance_id']) ?? refused('DCS.4061') }

/** The instance in the path; hidden as soon as its deletion is accepted. */
export async function instanceOf(plane: ControlPlane, call: Call, caller: Caller): Promise<View | Refused> {
  const id = idOf(call)
  if (typeof id !== 'string') return id
  const view = await plane.get(caller.projectId, 'redis', id)
  return view && view.status !== 'deleting' ? view : unknown
}

/** `?dry_run=true`, an extension of ours. */
export function dryRunOf(call: Call): boolean | Refused { return readDryRun(call.query) ?? refused('DCS.4062', 'dry_run') }

/** What every change of one instance has: whose it is, whether it is only asked what would happen, and the body. */
export function wishOf(call: Call): { readonly id: string; readonly dryRun: boolean; readonly body: Body } | Refused {
  const [id, dryRun] = [idOf(call), dryRunOf(call)]
  if (isRefused(id)) return id
  if (isRefused(dryRun)) return dryRun
  const body = bodyOf(call)
  return isRefused(body) ? body : { id, dryRun, body }
}

/**
 * Answers what Sluice has nothing to do it with: the documented code, and why. What is wrong with the request is said
 * first: an instance that does not exist, or a body that is no JSON.
 */
export function declines(code: string, because: string): Handle {
  const handle = async (plane: ControlPlane, call: Call, caller: Caller): Promise<Refused> => {
    const body = call.body.length === 0 ? {} : bodyOf(call)
    if (isRefused(body)) return body
    const view = call.params['instance_id'] === undefined ? null : await instanceOf(plane, call, caller)
    return isRefused(view) ? view : refused(code, undefined, because)
  }
  return Object.assign(handle, { declines: { code, because } })
}

/** Longer than a change takes unless a server is down; its task tells of one that takes longer. */
const trueWithinMs = 10_000

/** Why what was accepted did not come true; null when it did, or will. */
export async function failureOf(plane: ControlPlane, { projectId }: Caller, operationId: string): Promise<string | null> {
  const ended = await plane.ended(projectId, operationId, trueWithinMs)
  return ended && ended.outcome !== 'done' ? ended.cause ?? ended.outcome : null
}
