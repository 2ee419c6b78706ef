/** Security groups and their rules, in Neutron's shape and under the same names on v1: records. */
import { randomUUID } from 'node:crypto'
import { bodyOf, filtered, isCidr, isDescription, isName, paged, type Handle, type Row } from './call.ts'
import { badRequest, notFound } from './errors.ts'
import { noContent, ok, type Call, type Caller, type Reply } from '../http.ts'
import { isAbsent, numberIn, uuid, type Body } from '../json.ts'
import type { Fields, NetworkRecord, NewRecord, Records } from '../records.ts'

export const groupRows: readonly Row[] = ['/v2.0', '/v1/:project_id'].flatMap((prefix): Row[] => [
  ['POST', `${prefix}/security-groups`, 'vpc:securityGroups:create', createGroup],
  ['GET', `${prefix}/security-groups`, 'vpc:securityGroups:list', listGroups],
  ['GET', `${prefix}/security-groups/:id`, 'vpc:securityGroups:get', showGroup],
  ['PUT', `${prefix}/security-groups/:id`, 'vpc:securityGroups:update', updateGroup],
  ['DELETE', `${prefix}/security-groups/:id`, 'vpc:securityGroups:delete', removing('security_group', 'Security group')],
  ['POST', `${prefix}/security-group-rules`, 'vpc:securityGroupRules:create', createRule],
  ['GET', `${prefix}/security-group-rules`, 'vpc:securityGroupRules:list', async (records, call, caller) => ok({ security_group_rules: filtered(call, paged(call, await records.list(caller.projectId, 'rule')).map((rule) => ruleBody(rule, caller.projectId)), ['id', 'security_group_id', 'direction', 'protocol', 'ethertype', 'remote_group_id', 'remote_ip_prefix', 'port_range_min', 'port_range_max', 'description']) })],
  ['GET', `${prefix}/security-group-rules/:id`, 'vpc:securityGroupRules:get', async (records, call, caller) => {
    const rule = await records.get(caller.projectId, 'rule', call.params['id']!)
    return rule ? ok({ security_group_rule: ruleBody(rule, caller.projectId) }) : notFound(call.path, 'Security group rule', call.params['id']!)
  }],
  ['DELETE', `${prefix}/security-group-rules/:id`, 'vpc:securityGroupRules:delete', removing('rule', 'Security group rule')],
])

/** A group as it comes into being: whatever goes out, and what its members send each other. */
export function newGroup(id: string, name: string, description: string): NewRecord[] {
  const rule = (fields: Fields): NewRecord => ({ id: randomUUID(), kind: 'rule', parent: id, name: '', fields })
  return [
    { id, kind: 'security_group', parent: '', name, fields: { description } },
    ...['IPv4', 'IPv6'].flatMap((ethertype) => [rule({ direction: 'egress', ethertype }), rule({ direction: 'ingress', ethertype, remote_group_id: id })]),
  ]
}

export function groupBody(group: NetworkRecord, rules: readonly NetworkRecord[], projectId: string): object {
  return {
    id: group.id, name: group.name, description: group.fields['description'] ?? '', tenant_id: projectId, project_id: projectId, enterprise_project_id: '0', vpc_id: '',
    security_group_rules: rules.filter((rule) => rule.parent === group.id).map((rule) => ruleBody(rule, projectId)), created_at: moment(group.createdAt), updated_at: moment(group.createdAt), revision_number: 1, tags: [], stateful: true,
  }
}

function ruleBody({ id, parent, fields, createdAt }: NetworkRecord, projectId: string): object {
  return {
    id, security_group_id: parent, direction: fields['direction'], ethertype: fields['ethertype'], protocol: fields['protocol'] ?? null, port_range_min: fields['port_range_min'] ?? null, port_range_max: fields['port_range_max'] ?? null,
    remote_ip_prefix: fields['remote_ip_prefix'] ?? null, remote_group_id: fields['remote_group_id'] ?? null, remote_address_group_id: null, description: fields['description'] ?? '',
    tenant_id: projectId, project_id: projectId, created_at: moment(createdAt), updated_at: moment(createdAt), revision_number: 0,
  }
}

async function listGroups(records: Records, call: Call, { projectId }: Caller): Promise<Reply> {
  const [groups, rules] = [await records.list(projectId, 'security_group'), await records.list(projectId, 'rule')]
  return ok({ security_groups: filtered(call, paged(call, groups).map((group) => groupBody(group, rules, projectId)), ['id', 'name', 'description']) })
}

async function showGroup(records: Records, call: Call, { projectId }: Caller): Promise<Reply> {
  const group = await records.get(projectId, 'security_group', call.params['id']!)
  return group ? ok({ security_group: groupBody(group, await records.list(projectId, 'rule'), projectId) }) : notFound(call.path, 'Security group', call.params['id']!)
}

async function createGroup(records: Records, call: Call, caller: Caller): Promise<Reply> {
  const body = bodyOf(call, 'security_group')
  if ('reply' in body) return body.reply
  const { name, description } = body.value
  if (!isName(name)) return badRequest(call.path, 'security_group.name must be 1 to 64 characters')
  if (!isDescription(description)) return badRequest(call.path, 'security_group.description must be at most 255 characters')
  const [group, ...rules] = (await records.create(caller, newGroup(randomUUID(), name, description ?? '')))!
  return { status: call.path.startsWith('/v1/') ? 200 : 201, body: { security_group: groupBody(group!, rules, caller.projectId) } }
}

async function updateGroup(records: Records, call: Call, caller: Caller): Promise<Reply> {
  const body = bodyOf(call, 'security_group')
  if ('reply' in body) return body.reply
  const { name, description } = body.value
  if (name !== undefined && !isName(name)) return badRequest(call.path, 'security_group.name must be 1 to 64 characters')
  if (!isDescription(description)) return badRequest(call.path, 'security_group.description must be at most 255 characters')
  const group = await records.update(caller, 'security_group', call.params['id']!, { ...(name === undefined ? {} : { name }), fields: description === undefined ? {} : { description } })
  return group ? ok({ security_group: groupBody(group, await records.list(caller.projectId, 'rule'), caller.projectId) }) : notFound(call.path, 'Security group', call.params['id']!)
}

async function createRule(records: Records, call: Call, caller: Caller): Promise<Reply> {
  const body = bodyOf(call, 'security_group_rule')
  if ('reply' in body) return body.reply
  const fields = ruleFields(body.value)
  if (typeof fields === 'string') return badRequest(call.path, fields)
  const groupId = uuid(body.value['security_group_id'])
  const group = groupId && await records.get(caller.projectId, 'security_group', groupId)
  if (!group) return notFound(call.path, 'Security group', String(body.value['security_group_id']))
  const [rule] = (await records.create(caller, [{ id: randomUUID(), kind: 'rule', parent: group.id, name: '', fields }]))!
  return { status: call.path.startsWith('/v1/') ? 200 : 201, body: { security_group_rule: ruleBody(rule!, caller.projectId) } }
}

/** What is kept of a rule, or what is wrong with it. */
export function ruleFields(body: Body): Fields | string {
  const { direction, ethertype = 'IPv4', protocol, port_range_min: low, port_range_max: high, remote_ip_prefix: prefix, remote_group_id: remote, description } = body
  if (direction !== 'ingress' && direction !== 'egress') return 'direction must be ingress or egress'
  if (ethertype !== 'IPv4' && ethertype !== 'IPv6') return 'ethertype must be IPv4 or IPv6'
  if (!isAbsent(protocol) && !(typeof protocol === 'string' && /^[a-z0-9-]{1,20}$/i.test(protocol)) && typeof protocol !== 'number') return 'protocol must be tcp, udp, icmp or a number'
  const ports = [low, high].map((port) => isAbsent(port) ? null : numberIn(port, 0, 65_535) ?? 'bad')
  if (ports.includes('bad') || (typeof ports[0] === 'number' && typeof ports[1] === 'number' && ports[0] > ports[1] && !/icmp/.test(String(protocol)))) return 'port_range_min and port_range_max must be a range of ports'
  if (!isAbsent(prefix) && !(typeof prefix === 'string' && (isCidr(prefix) || (ethertype === 'IPv6' && /^[0-9a-f:]+\/\d{1,3}$/i.test(prefix))))) return 'remote_ip_prefix must be a network'
  if (!isAbsent(remote) && uuid(remote) === null) return 'remote_group_id must be the id of a security group'
  if (!isAbsent(prefix) && !isAbsent(remote)) return 'remote_ip_prefix and remote_group_id exclude each other'
  if (!isDescription(description ?? undefined)) return 'description must be at most 255 characters'
  return {
    direction, ethertype, ...(isAbsent(protocol) ? {} : { protocol: String(protocol) }), ...(ports[0] === null ? {} : { port_range_min: ports[0] }), ...(ports[1] === null ? {} : { port_range_max: ports[1] }),
    ...(isAbsent(prefix) ? {} : { remote_ip_prefix: prefix }), ...(isAbsent(remote) ? {} : { remote_group_id: remote }), ...(isAbsent(description) ? {} : { description }),
  }
}

function removing(kind: 'security_group' | 'rule', what: string): Handle {
  return async (records, call, caller) => await records.remove(caller, kind, call.params['id']!) === 'unknown' ? notFound(call.path, what, call.params['id']!) : noContent
}

function moment(at: number): string { return new Date(at).toISOString().slice(0, 19) }
