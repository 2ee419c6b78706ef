/** What servers of an instance remember of calls and know of connections, and their logs. */
import { Readable } from 'node:stream'
import { bodyOf, instanceOf, type FreeRow, type Row, type Site } from './call.ts'
import { isRefused, refused, refuseDcs, type Refused } from './errors.ts'
import { nodeId, replicationId } from './nodes.ts'
import { readPage } from './queries.ts'
import { refusalCode } from './batch.ts'
import { surveyRefusal } from './surveys.ts'
import { isAbsent, isText, uuid, type Body } from '../json.ts'
import { noContent, ok, type Call, type Caller, type Reply } from '../http.ts'
import type { ControlPlane, View } from '../../core/control-plane.ts'
import type { NodeRecord } from '../../core/instance.ts'
import type { Refusal } from '../../core/refusal.ts'
import type { Session, SlowCall } from '../../core/desk.ts'

const instance = '/v2/:project_id/instances/:instance_id'

export const sessionRows: readonly Row[] = [
  ['GET', `${instance}/slowlog`, 'dcs:slowlog:list', slowLog],
  ['GET', `${instance}/clients`, 'dcs:clients:list', listClients],
  ['POST', `${instance}/clients`, 'dcs:clients:list', scanClients],
  ['POST', `${instance}/clients/kill`, 'dcs:clients:kill', killClients],
  ['POST', `${instance}/clients/kill-all`, 'dcs:clients:kill', killAll],
  ['GET', `${instance}/redislog`, 'dcs:instance:get', listLogs],
  ['POST', `${instance}/redislog`, 'dcs:instance:get', collectLog],
  ['POST', `${instance}/redislog/:log_id/links`, 'dcs:instance:get', linkLog],
]

/** What signed links lead to. */
export const logFileRows: readonly FreeRow[] = [['GET', `${instance}/redislog/:log_id/file`, 'open', downloadLog]]

/** Servers that cannot be asked, now or from here. */
function told(answer: Refusal | string): Refused { return typeof answer === 'string' ? refused('DCS.4027', undefined, answer) : surveyRefusal(answer) }

/** An instant in epoch ms, as text. */
function instant(text: string | null): number | null { return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null }

async function slowLog(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const page = readPage(call.query)
  if (isRefused(page)) return page
  const [from, to] = [instant(call.query.get('start_time')), instant(call.query.get('end_time'))]
  if (from === null) return refused('DCS.4062', 'start_time')
  if (to === null) return refused('DCS.4062', 'end_time')
  if (to < from) return refused('DCS.4025')
  const [key, dir, role] = [call.query.get('sort_key') || 'start_time', call.query.get('sort_dir') || 'desc', call.query.get('role') || 'server']
  if (key !== 'start_time' && key !== 'duration') return refused('DCS.4062', 'sort_key')
  if (dir !== 'asc' && dir !== 'desc') return refused('DCS.4062', 'sort_dir')
  if (role !== 'server' && role !== 'proxy') return refused('DCS.4062', 'role')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  // There are no proxies.
  const found = role === 'proxy' ? [] : await plane.questions.slowCalls(caller.projectId, view.instance.id)
  if (!Array.isArray(found)) return told(found as Refusal | string)
  const rank = (one: SlowCall): number => key === 'duration' ? one.micros : one.at
  const sorted = (found as SlowCall[]).filter((one) => one.at >= from && one.at <= to).toSorted((a, b) => (dir === 'asc' ? 1 : -1) * (rank(a) - rank(b) || a.id - b.id))
  const slowlogs = sorted.slice(page.offset, page.offset + page.limit).map((one) => slowItem(one, view))
  return ok({ total_num: sorted.length, count: slowlogs.length, slowlogs })
}

/** Which database and which user it was, servers do not keep. */
function slowItem({ node, id, at, micros, command, client }: SlowCall, view: View): object {
  return {
    id, command, start_time: new Date(at).toISOString(), duration: String(micros / 1000), shard_name: view.instance.spec.shards > 1 ? `group-${view.roles.get(node.id)?.shard ?? 0}` : null,
    database_id: null, username: null, node_role: view.roles.get(node.id)?.role === 'replica' ? 'slave' : 'master', client_ip: client.replace(/:\d+$/, '') || null,
  }
}

/** By a node id of ours; null when there is none such. */
function nodeBy(view: View, id: unknown): NodeRecord | null { return typeof id === 'string' ? view.nodes.find((node) => nodeId(node) === id.toLowerCase()) ?? null : null }

const numbers = ['age', 'idle', 'sub', 'psub', 'multi', 'qbuf', 'qbuf-free', 'obl', 'oll', 'omem'] as const
const texts = ['id', 'addr', 'fd', 'name', 'cmd', 'db', 'flags', 'events', 'user'] as const

function client(session: Session): Record<string, string | number | null> {
  return {
    ...Object.fromEntries(texts.map((name) => [name, session[name] ?? ''])), ...Object.fromEntries(numbers.map((name) => [name.replace('-', '_'), Number(session[name] ?? 0)])),
    network: null, peer: null,
  }
}

async function sessionsOf(plane: ControlPlane, caller: Caller, view: View, nodes: readonly NodeRecord[]): Promise<Session[] | Refused> {
  const found: Session[] = []
  for (const node of nodes) {
    const answer = await plane.questions.sessions(caller.projectId, view.instance.id, node.id)
    if (!Array.isArray(answer)) return told(answer as Refusal | string)
    found.push(...answer as Session[])
  }
  return found
}

/** As they are at this moment, of one node or of all; a scan before is not needed. */
async function listClients(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const page = readPage(call.query)
  if (isRefused(page)) return page
  const [sort, order, addr] = [call.query.get('sort') || 'age', call.query.get('order') || 'desc', call.query.get('addr') ?? '']
  if (![...texts, ...numbers].some((name) => name.replace('-', '_') === sort)) return refused('DCS.4062', 'sort')
  if (order !== 'asc' && order !== 'desc') return refused('DCS.4062', 'order')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const wanted = call.query.get('node_id')
  const node = wanted ? nodeBy(view, wanted) : null
  if (wanted && !node) return refused('DCS.3053')
  const sessions = await sessionsOf(plane, caller, view, node ? [node] : view.nodes)
  if (isRefused(sessions)) return sessions
  const clients = sessions.map(client).filter((one) => String(one['addr']).includes(addr))
  const compare = (a: string | number, b: string | number): number => typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), 'en', { numeric: true })
  const sorted = clients.toSorted((a, b) => (order === 'asc' ? 1 : -1) * compare(a[sort]!, b[sort]!))
  return ok({ time: new Date().toISOString(), count: sorted.length, clients: sorted.slice(page.offset, page.offset + page.limit) })
}

/** Nothing is kept of it, for a list is always as of now; it says whether the node can be asked. */
async function scanClients(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const body = bodyOf(call) as Body | Refused
  if (isRefused(body)) return body
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const node = isAbsent(body['node_id']) && view.nodes.length === 1 ? view.nodes[0]! : nodeBy(view, body['node_id'])
  if (!node) return refused('DCS.3053')
  const sessions = await sessionsOf(plane, caller, view, [node])
  return isRefused(sessions) ? sessions : ok({})
}

const mostKilled = 1000

async function killClients(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const body = bodyOf(call) as Body | Refused
  if (isRefused(body)) return body
  const addresses = body['client_addrs']
  if (!Array.isArray(addresses) || addresses.length === 0 || addresses.length > mostKilled || !addresses.every((one) => isText(one, 64) && one !== '')) return refused('DCS.4062', 'client_addrs')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const node = nodeBy(view, body['node_id'])
  if (!node) return refused('DCS.3053')
  // Who has gone meanwhile need not be hung up on.
  const answer = await plane.questions.hangUp({ caller, id: view.instance.id, nodeId: node.id, addresses: addresses as string[] })
  return typeof answer === 'number' ? noContent : told(answer)
}

async function killAll(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const body = bodyOf(call) as Body | Refused
  if (isRefused(body)) return body
  const everywhere = body['kill_all_nodes']
  if (!isAbsent(everywhere) && typeof everywhere !== 'boolean') return refused('DCS.4062', 'kill_all_nodes')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const node = everywhere === true ? null : nodeBy(view, body['node_id'])
  if (everywhere !== true && !node) return refused('DCS.3053')
  const [answer] = await plane.submit({ caller, engine: 'redis', action: 'hang_up', ids: [view.instance.id], ...node ? { memo: { node: node.id } } : {} })
  if (answer && 'operation' in answer) return ok({ job_id: answer.operation.id })
  return answer && 'refusal' in answer ? refused(refusalCode('survey', answer.refusal)) : refused('DCS.3022')
}

/** One file a node: the log that its server writes, as it is when it is asked for. */
async function listLogs(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const page = readPage(call.query)
  if (isRefused(page)) return page
  if (call.query.get('log_type') !== 'run') return refused('DCS.4062', 'log_type')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  return ok({ total_num: view.nodes.length, file_list: view.nodes.slice(page.offset, page.offset + page.limit).map((node) => logItem(node, view)) })
}

const fileName = (node: NodeRecord): string => `redis-${node.id}.log`

function logItem(node: NodeRecord, view: View): object {
  const { shard, at } = view.roles.get(node.id) ?? { shard: 0, at: null }
  return { id: replicationId({ node }), file_name: fileName(node), group_name: `group-${shard}`, replication_ip: at?.address ?? node.address, status: 'succeed', time: new Date().toISOString().slice(0, 10), backup_id: null }
}

/** There is nothing to collect: the logs are where they are written. */
async function collectLog(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  if (call.query.get('log_type') !== 'run') return refused('DCS.4062', 'log_type')
  if (!['0', '1', '3', '7'].includes(call.query.get('query_time') ?? '')) return refused('DCS.4062', 'query_time')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const wanted = call.query.get('replication_id')
  if (wanted ? !logOf(view, wanted) : view.nodes.length > 1) return refused('DCS.4062', 'replication_id')
  return noContent
}

function logOf(view: View, id: string | undefined): NodeRecord | null { const wanted = uuid(id); return view.nodes.find((node) => replicationId({ node }) === wanted) ?? null }

/** As long as in the clouds. */
const linkMs = 24 * 3600_000

async function linkLog(plane: ControlPlane, call: Call, caller: Caller, { links }: Site): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const node = logOf(view, call.params['log_id'])
  if (!node) return refused('DCS.4062', 'id', 'this instance has no such log')
  const id = replicationId({ node })
  return ok({ id, backup_id: null, link: links.link(`/v2/${caller.projectId}/instances/${view.instance.id}/redislog/${id}/file`, Date.now() + linkMs) })
}

/** All that is kept of it. */
const mostLines = 1_000_000

async function downloadLog(call: Call, { links }: Site, plane: ControlPlane): Promise<Reply | Refused> {
  if (!links.check(call.path, call.query)) return refuseDcs('bad signature', call.path)
  const [projectId, id] = [call.params['project_id']!, uuid(call.params['instance_id'])]
  const view = id ? await plane.get(projectId, 'redis', id) : null
  const node = view ? logOf(view, call.params['log_id']) : null
  const over = new AbortController()
  const lines = node ? await plane.logs(projectId, id!, { lines: mostLines, follow: false, signal: over.signal }, node.id) : null
  if (lines === 'elsewhere') return refused('DCS.4027', undefined, 'another machine has this log: ask the control plane there')
  if (!node || !lines) return refused('DCS.4001', undefined, 'there is no such log any more')
  const stream = Readable.from(lines)
  stream.once('close', () => over.abort())
  return { status: 200, stream, headers: { 'content-type': 'text/plain; charset=utf-8', 'content-disposition': `attachment; filename="${fileName(node)}"` } }
}
