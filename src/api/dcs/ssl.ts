/** TLS of instances: how it stands, its switch, and the certificate by which clients know the servers. */
import { Readable } from 'node:stream'
import { failureOf, instanceOf, wishOf, type FreeRow, type Row, type Site } from './call.ts'
import { isRefused, refused, refuseDcs, type Refused } from './errors.ts'
import { refusalCode } from './batch.ts'
import { holdsTls, speaksTls } from './translate.ts'
import { ok, type Call, type Caller, type Reply } from '../http.ts'
import { planBody } from '../plan.ts'
import { portOf } from '../../core/instance.ts'
import type { Body } from '../json.ts'
import type { ControlPlane } from '../../core/control-plane.ts'

const path = '/v2/:project_id/instances/:instance_id/ssl'

export const sslRows: readonly Row[] = [
  ['GET', path, 'dcs:ssl:get', show],
  ['PUT', path, 'dcs:ssl:modify', change],
  ['POST', `${path}-certs/download`, 'dcs:ssl:get', download],
]

/** What signed links lead to. */
export const sslFileRows: readonly FreeRow[] = [
  ['GET', `${path}-certs/files/:file_name`, 'open', file],
]

/** Clients unpack the first file of the archive. */
const [archive, certificate] = ['redis-ca.zip', 'ca.crt'] as const
const linkLastsMs = 3600_000

async function show(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const { instance, nodes } = view
  const { tls } = instance.spec
  const ip = instance.endpoints['service']?.address ?? nodes.map((node) => node.address).filter(Boolean).join(',')
  return ok({
    enabled: holdsTls(view), ip: ip || null, port: String(portOf(instance, nodes) ?? ''), domain_name: null,
    ssl_expired_at: tls ? new Date(tls.expiresAt).toISOString() : null, ssl_validated: Boolean(tls && holdsTls(view) && tls.expiresAt > Date.now()),
  })
}

async function change(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const wish = wishOf(call)
  if (isRefused(wish)) return wish
  const { id, dryRun } = wish
  const { enabled } = wish.body as Body
  if (typeof enabled !== 'boolean') return refused('DCS.4202', undefined, 'enabled must be true or false')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const { version, spec } = view.instance
  if (!speaksTls(version)) return refused('DCS.4027', undefined, `Redis ${version} has no TLS: 6.0 and 7.0 have`)
  if (enabled === Boolean(spec.tls) && view.open?.action !== 'ssl') return refused('DCS.4202', undefined, `it is ${enabled ? 'on' : 'off'} already`)
  const answer = await plane.change({ caller, engine: 'redis', id, action: 'ssl', spec: { tls: enabled }, detail: enabled ? 'on' : 'off', dryRun })
  if ('plan' in answer) return ok({ plan: planBody(answer.plan) })
  if ('refusal' in answer) return refused(refusalCode('configure', answer.refusal), undefined, 'reason' in answer.refusal ? answer.refusal.reason : undefined)
  // gophertelekomcloud's acceptance test switches it off again with a request that it sends once.
  const failure = await failureOf(plane, caller, answer.operation.id)
  if (failure !== null) return refused('DCS.4842', undefined, failure)
  // Documents and clients each have names of their own for the same two.
  const jobId = answer.operation.id
  return ok({ job_id: jobId, instance_id: id, jobId, instanceId: id, result: null })
}

async function download(plane: ControlPlane, call: Call, caller: Caller, { links }: Site): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  // One authority signs for all instances, and its certificate may be had before there is TLS, as Terraform's data source does.
  // There is no bucket, and that data source's test wants the name of one: this listener itself sends the file.
  return ok({ file_name: archive, link: links.link(`/v2/${caller.projectId}/instances/${view.instance.id}/ssl-certs/files/${archive}`, Date.now() + linkLastsMs), bucket_name: 'sluice' })
}

async function file(call: Call, { links }: Site, plane: ControlPlane): Promise<Reply | Refused> {
  if (!links.check(call.path, call.query)) return refuseDcs('bad signature', call.path)
  const { zip } = await import('../zip.ts')
  const body = zip({ [certificate]: await plane.authority() })
  return { status: 200, stream: Readable.from(body), headers: { 'content-type': 'application/zip', 'content-length': String(body.length), 'content-disposition': `attachment; filename="${archive}"` } }
}
