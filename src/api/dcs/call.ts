/** What the handlers of DCS read from a call, each in one way. */
import { refused, type Refused } from './errors.ts'
import { readDryRun } from '../plan.ts'
import { readJson, uuid, type Body } from '../json.ts'
import type { Call, Caller, IamAction, Method, Reply } from '../http.ts'
import type { ControlPlane, View } from '../../core/control-plane.ts'

export type Handle = (plane: ControlPlane, call: Call, caller: Caller) => Promise<Reply | Refused> | Reply | Refused

/** A route of this dialect, what its caller must be allowed to do, and what answers it. */
export type Row = readonly [method: Method, path: string, action: IamAction, handle: Handle]

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
