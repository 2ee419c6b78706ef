/** The compute facade: zones, and the security groups of the network facade in Nova's shape. There are no servers. */
import { randomUUID } from 'node:crypto'
import { newGroup, ruleFields } from '../network/groups.ts'
import { isText, readJson, isObject, uuid, type Body } from '../json.ts'
import { gateway } from '../gateway.ts'
import { ok, type Call, type Caller, type Problem, type Reply, type Route, type Service } from '../http.ts'
import type { NetworkRecord, Records } from '../records.ts'

/** Nova v2.1, as far as clients of caches ask for it. */
export function computeService(records: Records, { url, region }: { readonly url: string; readonly region: string }): Service {
  const version = { id: 'v2.1', status: 'CURRENT', version: '2.1', min_version: '2.1', updated: '2013-07-23T11:33:21Z', links: [{ rel: 'self', href: `${url}/v2.1/` }] }
  const zone = { zoneState: { available: true }, hosts: null }
  const zones = [1, 2, 3].map((n) => ({ zoneName: `${region}-0${n}`, ...zone }))
  const at = '/v2.1/:project_id'
  const routes: Route[] = [
    { method: 'GET', path: '/', access: 'open', handle: () => ok({ versions: [version] }) },
    ...['/v2.1', '/v2.1/'].map((path): Route => ({ method: 'GET', path, access: 'open', handle: () => ok({ version }) })),
    ...['', '/detail'].map((end): Route => ({ method: 'GET', path: `${at}/os-availability-zone${end}`, access: 'project', action: 'ecs:availabilityZones:list', handle: () => ok({ availabilityZoneInfo: zones }) })),
    { method: 'GET', path: `${at}/servers`, access: 'project', action: 'ecs:servers:list', handle: () => ok({ servers: [] }) },
    { method: 'GET', path: `${at}/servers/detail`, access: 'project', action: 'ecs:servers:list', handle: () => ok({ servers: [] }) },
    {
      method: 'GET', path: `${at}/os-security-groups`, access: 'project', action: 'ecs:securityGroups:list',
      handle: async (_call, { projectId }) => {
        const [groups, rules] = [await records.list(projectId, 'security_group'), await records.list(projectId, 'rule')]
        return ok({ security_groups: groups.map((group) => groupBody(group, rules, projectId)) })
      },
    },
    { method: 'POST', path: `${at}/os-security-groups`, access: 'project', action: 'ecs:securityGroups:create', handle: (call, caller) => createGroup(records, call, caller) },
    { method: 'GET', path: `${at}/os-security-groups/:id`, access: 'project', action: 'ecs:securityGroups:get', handle: async (call, { projectId }) => shown(records, projectId, await records.get(projectId, 'security_group', call.params['id']!)) },
    {
      method: 'PUT', path: `${at}/os-security-groups/:id`, access: 'project', action: 'ecs:securityGroups:update',
      handle: async (call, caller) => {
        const wish = groupWish(call)
        return 'status' in wish ? wish : shown(records, caller.projectId, await records.update(caller, 'security_group', call.params['id']!, { name: wish.name, fields: { description: wish.description } }))
      },
    },
    { method: 'DELETE', path: `${at}/os-security-groups/:id`, access: 'project', action: 'ecs:securityGroups:delete', handle: async (call, caller) => await records.remove(caller, 'security_group', call.params['id']!) === 'unknown' ? nova(404, 'The security group could not be found.') : { status: 202 } },
    { method: 'POST', path: `${at}/os-security-group-rules`, access: 'project', action: 'ecs:securityGroupRules:create', handle: (call, caller) => createRule(records, call, caller) },
    { method: 'DELETE', path: `${at}/os-security-group-rules/:id`, access: 'project', action: 'ecs:securityGroupRules:delete', handle: async (call, caller) => await records.remove(caller, 'rule', call.params['id']!) === 'unknown' ? nova(404, 'The security group rule could not be found.') : { status: 202 } },
  ]
  return { name: 'ECS', refuse: refuseCompute, routes }
}

async function createGroup(records: Records, call: Call, caller: Caller): Promise<Reply> {
  const wish = groupWish(call)
  if ('status' in wish) return wish
  const made = (await records.create(caller, newGroup(randomUUID(), wish.name, wish.description)))!
  return ok({ security_group: groupBody(made[0]!, made.slice(1), caller.projectId) })
}

function groupWish(call: Call): { readonly name: string; readonly description: string } | Reply {
  const group = bodyOf(call, 'security_group')
  const { name, description = '' } = group ?? {}
  return isText(name, 64) && name !== '' && isText(description, 255) ? { name, description } : nova(400, 'security_group needs a name of 1 to 64 characters and a description of at most 255.')
}

async function createRule(records: Records, call: Call, caller: Caller): Promise<Reply> {
  const rule = bodyOf(call, 'security_group_rule')
  const { parent_group_id: groupId, ip_protocol: protocol, from_port: low, to_port: high, cidr, group_id: remote } = rule ?? {}
  const any = low === -1 && high === -1
  const fields = ruleFields({ direction: 'ingress', protocol, ...(any ? {} : { port_range_min: low, port_range_max: high }), remote_ip_prefix: cidr, remote_group_id: remote } as Body)
  if (!rule || typeof fields === 'string') return nova(400, `security_group_rule: ${typeof fields === 'string' ? fields : 'missing'}.`)
  const group = uuid(groupId) && await records.get(caller.projectId, 'security_group', String(groupId))
  if (!group) return nova(404, 'The security group could not be found.')
  const [made] = (await records.create(caller, [{ id: randomUUID(), kind: 'rule', parent: group.id, name: '', fields }]))!
  return ok({ security_group_rule: ruleBody(made!) })
}

async function shown(records: Records, projectId: string, group: NetworkRecord | null): Promise<Reply> {
  return group ? ok({ security_group: groupBody(group, await records.list(projectId, 'rule'), projectId) }) : nova(404, 'The security group could not be found.')
}

function bodyOf(call: Call, name: string): Body | null {
  const body = readJson(call.body, call.headers['content-type'] as string | undefined)
  const value = typeof body === 'string' ? null : body[name]
  return isObject(value) ? value : null
}

/** Nova knows of what comes in only. */
function groupBody({ id, name, fields }: NetworkRecord, rules: readonly NetworkRecord[], projectId: string): object {
  return { id, name, description: fields['description'] ?? '', tenant_id: projectId, rules: rules.filter((rule) => rule.parent === id && rule.fields['direction'] === 'ingress' && rule.fields['ethertype'] === 'IPv4').map(ruleBody) }
}

function ruleBody({ id, parent, fields }: NetworkRecord): object {
  const prefix = fields['remote_ip_prefix']
  return { id, parent_group_id: parent, ip_protocol: fields['protocol'] ?? null, from_port: fields['port_range_min'] ?? null, to_port: fields['port_range_max'] ?? null, ip_range: prefix ? { cidr: prefix } : {}, group: {} }
}

/** Nova's envelope: one key that tells the kind of error. */
function nova(status: number, message: string): Reply {
  const kind = { 400: 'badRequest', 401: 'unauthorized', 403: 'forbidden', 404: 'itemNotFound', 405: 'badMethod', 413: 'overLimit', 429: 'overLimit', 503: 'serviceUnavailable' }[status] ?? 'computeFault'
  return { status, body: { [kind]: { code: status, message } } }
}

function refuseCompute(problem: Problem, _path: string, action?: string): Reply {
  if (action !== undefined) return nova(403, `Policy doesn't allow ${action} to be performed.`)
  const row = {
    'no route': gateway.noRoute, 'wrong method': gateway.wrongMethod, 'too large': gateway.tooLarge, malformed: gateway.malformed, 'unsigned host': gateway.unsignedHost, 'stale signature': gateway.staleSignature,
    fault: gateway.fault, unavailable: gateway.unavailable, 'too many': gateway.tooMany, 'bad project id': { status: 400, message: 'Invalid project ID format.' },
  }[problem as string] ?? gateway.signature
  return nova(row.status, row.message)
}
