/** The hosts that instances are on, and the end of one that never comes back. */
import { ok, type Call, type Reply, type Route, type Who } from '../http.ts'
import type { ControlPlane } from '../../core/control-plane.ts'

export function hostRoutes(plane: ControlPlane): Route[] {
  return [
    { method: 'GET', path: '/v1/hosts', access: 'domain', action: 'sluice:host:list', handle: () => list(plane) },
    { method: 'DELETE', path: '/v1/hosts/:host_id', access: 'domain', action: 'sluice:host:forget', handle: (call, who) => forget(plane, call, who) },
  ]
}

async function list(plane: ControlPlane): Promise<Reply> {
  return ok({ hosts: (await plane.hosts()).map(({ id, own, heard, seenAt, instances }) => ({ id, own, heard, seen_at: seenAt, instances })) })
}

/** Forgets its instances, of all projects; their processes, if there are any, are not stopped. */
async function forget(plane: ControlPlane, call: Call, who: Who): Promise<Reply> {
  const answer = await plane.forgetHost({ caller: { projectId: who.projectId ?? '', userId: who.user.id, userName: who.user.name }, host: call.params['host_id']!.toLowerCase() })
  if (answer === 'unknown') return { status: 404, body: { error_code: 'SLUICE.0404', error_msg: 'There is no such host.' } }
  if (answer === 'heard') return { status: 409, body: { error_code: 'SLUICE.0412', error_msg: 'A control plane lives on this host: delete its instances, and it stops them.' } }
  return ok({ instances: answer.instances })
}
