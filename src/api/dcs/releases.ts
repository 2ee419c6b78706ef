/** Which release of Redis runs behind an instance, and how it gets the one that is installed now. */
import { bodyOf, dryRunOf, instanceOf, unknown, type Row } from './call.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { refusalCode } from './batch.ts'
import { ok, type Call, type Caller, type Reply } from '../http.ts'
import { isAbsent } from '../json.ts'
import { planBody } from '../plan.ts'
import type { ControlPlane, View } from '../../core/control-plane.ts'

export const releaseRows: readonly Row[] = [
  ['GET', '/v2/:project_id/instances/:instance_id/version', 'dcs:instance:getUpgradeInfo', showVersion],
  ['POST', '/v2/:project_id/instances/:instance_id/minor-version/upgrade', 'dcs:instance:modify', upgrade],
]

/** Whether a node still runs another release than the one that it would be started with. */
function isBehind(view: View): boolean { return older(view).length > 0 }

/** An image may tell its major version alone, which every release of that is. */
function older({ facts, runsOn }: View): readonly string[] {
  return runsOn === null ? [] : (facts?.versions ?? []).filter((version) => version !== runsOn && !version.startsWith(`${runsOn}.`))
}

async function showVersion(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  return ok({
    // While nodes differ, the one that is not there yet.
    engine_minor_version: older(view)[0] ?? view.facts?.versions[0] ?? null,
    latest_engine_minor_version: view.runsOn, engine_minor_version_upgradable: isBehind(view),
    proxy_minor_version: null, latest_proxy_minor_version: null, proxy_minor_version_upgradable: false,
  })
}

/** A new release is on the disk already; nodes take it at their next start, so they are started anew, one after the other. */
async function upgrade(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const dryRun = dryRunOf(call)
  if (isRefused(dryRun)) return dryRun
  const body = bodyOf(call)
  if (isRefused(body)) return body
  const { engine_minor_version: wanted, proxy_minor_version: proxy } = body
  if (!isAbsent(proxy)) return refused('DCS.4062', 'proxy_minor_version', 'there is no proxy')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  if (wanted !== 'latest' && wanted !== view.runsOn) return refused('DCS.4062', 'engine_minor_version', 'the one that is installed, or latest')
  if (view.status === 'running' && !view.open && !isBehind(view)) return refused('DCS.4053')
  const [answer] = await plane.submit({ caller, engine: 'redis', action: 'soft_restart', ids: [view.instance.id], dryRun })
  if (!answer) return unknown
  if ('plan' in answer) return ok({ plan: planBody(answer.plan) })
  return 'operation' in answer ? ok({ task_id: answer.operation.id }) : refused(refusalCode('soft_restart', answer.refusal))
}
