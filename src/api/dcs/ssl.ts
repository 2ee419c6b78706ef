/** TLS of instances: shown as it is, which is off. No server here listens for it, and the switch says so by its documented code. */
import { bodyOf, instanceOf, type Row } from './call.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { ok, type Call, type Caller, type Reply } from '../http.ts'
import { portOf } from '../../core/instance.ts'
import type { Body } from '../json.ts'
import type { ControlPlane } from '../../core/control-plane.ts'

export const sslRows: readonly Row[] = [
  ['GET', '/v2/:project_id/instances/:instance_id/ssl', 'dcs:ssl:get', show],
  ['PUT', '/v2/:project_id/instances/:instance_id/ssl', 'dcs:ssl:modify', change],
  ['POST', '/v2/:project_id/instances/:instance_id/ssl-certs/download', 'dcs:ssl:get', download],
]

const here = 'this release of Sluice gives instances no TLS, and will not pretend to'

async function show(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const { instance, nodes } = view
  const ip = instance.endpoints['service']?.address ?? nodes.map((node) => node.address).filter(Boolean).join(',')
  return ok({ enabled: false, ip: ip || null, port: String(portOf(instance, nodes) ?? ''), domain_name: null, ssl_expired_at: null, ssl_validated: false })
}

async function change(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const body = bodyOf(call)
  if (isRefused(body)) return body
  const { enabled } = body as Body
  if (typeof enabled !== 'boolean') return refused('DCS.4202', undefined, 'enabled must be true or false')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  return enabled ? refused('DCS.4027', undefined, here) : refused('DCS.4202', undefined, 'it is off already')
}

async function download(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  return isRefused(view) ? view : refused('DCS.4027', undefined, here)
}
