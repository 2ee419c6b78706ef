/**
 * Who may connect, by address. Redis knows no such rule: the runtime keeps the others away. Where it cannot, a list that would
 * keep somebody out is refused by its documented code, and never kept as if it did.
 */
import { isIP } from 'node:net'
import { instanceOf, wishOf, type Row } from './call.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { refusalCode } from './batch.ts'
import { noContent, ok, type Call, type Caller, type Reply } from '../http.ts'
import { planBody } from '../plan.ts'
import { isObject, isText, type Body } from '../json.ts'
import { formerOf } from '../../core/operation.ts'
import type { ControlPlane } from '../../core/control-plane.ts'

const path = '/v2/:project_id/instance/:instance_id/whitelist'

export const whitelistRows: readonly Row[] = [
  ['GET', path, 'dcs:whitelist:list', show],
  ['PUT', path, 'dcs:whitelist:modify', (plane, call, caller) => update(plane, call, caller, (id) => inForce(plane, caller, id))],
  ['PUT', `${path}-async`, 'dcs:whitelist:modify', (plane, call, caller) => update(plane, call, caller, async (id) => ok({ job_id: id }))],
]

const mostGroups = 4
const mostAddresses = 20
/** It takes some 100 ms, longer where a node has to be started first. */
const trueWithinMs = 30_000

interface Whitelist { readonly enabled: boolean; readonly groups: readonly { readonly group_name: string; readonly ip_list: readonly string[] }[] }

async function show(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  // Until another one is in force, the one before is.
  const former = view.open?.action === 'whitelist' ? formerOf(view.open.memo) : null
  const { enabled, groups } = ((former ?? view.instance).attributes['whitelist'] ?? { enabled: false, groups: [] }) as Whitelist
  return ok({ instance_id: view.instance.id, enable_whitelist: enabled, whitelist: groups, whitelist_ip_limit_num: String(mostAddresses) })
}

async function update(plane: ControlPlane, call: Call, caller: Caller, accepted: (operationId: string) => Promise<Reply | Refused>): Promise<Reply | Refused> {
  const wish = wishOf(call)
  if (isRefused(wish)) return wish
  const { id, dryRun, body } = wish
  const whitelist = read(body)
  if (isRefused(whitelist)) return whitelist
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  if (view.instance.version === '3.0') return refused('DCS.4027', undefined, 'Redis 3.0 has no whitelist')
  const listed = whitelist.groups.flatMap((group) => group.ip_list)
  // A list without addresses lets everybody in, as one that is off.
  const sources = whitelist.enabled && listed.length > 0 ? listed : null
  const answer = await plane.change({ caller, engine: 'redis', id, action: 'whitelist', spec: { sources }, attributes: { whitelist }, detail: sources === null ? whitelist.enabled ? 'everybody' : 'off' : sources.join(' '), dryRun })
  if ('plan' in answer) return ok({ plan: planBody(answer.plan) })
  return 'operation' in answer ? accepted(answer.operation.id) : refused(refusalCode('configure', answer.refusal), undefined, 'reason' in answer.refusal ? answer.refusal.reason : undefined)
}

/** Whoever gets this answer may rely on it. */
async function inForce(plane: ControlPlane, { projectId }: Caller, operationId: string): Promise<Reply | Refused> {
  const ended = await plane.ended(projectId, operationId, trueWithinMs)
  if (!ended) return refused('DCS.4114', undefined, 'the new whitelist is accepted and not in force yet: ask again for its task, or send it again')
  return ended.outcome === 'done' ? noContent : refused('DCS.4842', undefined, ended.cause ?? undefined)
}

function read({ enable_whitelist: enabled, whitelist: groups }: Body): Whitelist | Refused {
  if (typeof enabled !== 'boolean') return refused('DCS.4062', 'enable_whitelist')
  const wrong = refused('DCS.4062', 'whitelist')
  if (!Array.isArray(groups) || groups.length > mostGroups) return wrong
  const read: { group_name: string; ip_list: string[] }[] = []
  for (const group of groups) {
    const [name, list] = isObject(group) ? [group['group_name'], group['ip_list']] : []
    if (!isText(name, 64) || name === '' || !Array.isArray(list) || !list.every(isAddress) || read.some((one) => one.group_name === name)) return wrong
    read.push({ group_name: name, ip_list: list })
  }
  return read.reduce((sum, one) => sum + one.ip_list.length, 0) > mostAddresses ? wrong : { enabled, groups: read }
}

/** An address or a range of IPv4; everybody is nobody's list. */
function isAddress(value: unknown): value is string {
  if (typeof value !== 'string') return false
  const [address, bits, ...more] = value.split('/') as [string, string?]
  return more.length === 0 && isIP(address) === 4 && address !== '0.0.0.0' && (bits === undefined || /^([1-9]|[12]\d|3[0-2])$/.test(bits))
}
