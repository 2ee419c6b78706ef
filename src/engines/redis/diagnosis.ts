/** Whether something about the nodes of a Redis is out of the ordinary, by what each says itself. */
import { all } from './client.ts'
import { closeAll, isLinked, meetAll, type Seen } from './seen.ts'
import { rolesOf } from './roles.ts'
import type { CommandStat, Finding, NodeDiagnosis, SurveyHow, SurveyResult } from '../../core/desk.ts'
import type { Ground } from './topology.ts'

/** From here on a figure is worth a look: parts of what there is, and hits among reads. */
const limits = { memory: 0.9, connections: 0.8, fragmentation: 1.5, hits: 0.5 } as const
/** Below this much memory or this many reads a ratio says nothing. */
const enough = { bytes: 64 * 1024 * 1024, reads: 1000 } as const

interface Said { readonly commands: string; readonly maxclients: number; readonly slow: readonly (readonly [number, number, number])[]; readonly latency: readonly (readonly [string, number, number, number])[] }
const nothing: Said = { commands: '', maxclients: 0, slow: [], latency: [] }

export async function diagnose(ground: Ground, { from = 0, to = Infinity, nodes }: SurveyHow): Promise<SurveyResult> {
  const asked = nodes ? { ...ground, nodes: ground.nodes.filter(({ id }) => nodes.includes(id)) } : ground
  const views = await meetAll<Said>(asked, nothing, async ({ redis }) => {
    const [commands, [, maxclients], slow, latency] = await all(redis, [['INFO', 'commandstats'], ['CONFIG', 'GET', 'maxclients'], ['SLOWLOG', 'GET', 1000], ['LATENCY', 'LATEST']]) as [string, [string, string], [number, number, number][], [string, number, number, number][]]
    return { commands, maxclients: Number(maxclients), slow, latency }
  })
  closeAll(views)
  const roles = rolesOf(ground.instance, ground.nodes)
  return {
    nodes: views.map((view): NodeDiagnosis => {
      const { role, shard } = roles.get(view.node.id)!
      const base = { nodeId: view.node.id, role, shard }
      return view.session
        ? { ...base, silence: null, findings: findingsOf(view, role, { from, to }), commands: statsOf(view.commands) }
        : { ...base, silence: view.silence, findings: {}, commands: [] }
    }),
  }
}

function findingsOf(view: Seen & Said, role: 'master' | 'replica', { from, to }: { readonly from: number; readonly to: number }): NodeDiagnosis['findings'] {
  const figure = (name: string): number => Number(view.info(name) ?? 0)
  const finding = (name: string, abnormal: boolean, reason: string): Finding => ({ name, abnormal, reason })
  const [used, limit] = [figure('used_memory'), figure('maxmemory')]
  const [hits, misses] = [figure('keyspace_hits'), figure('keyspace_misses')]
  const clients = figure('connected_clients')
  const fragmentation = figure('mem_fragmentation_ratio')
  const failing = ['aof_last_write_status', 'aof_last_bgrewrite_status', 'rdb_last_bgsave_status'].filter((name) => view.info(name) === 'err')
  const within = (seconds: number): boolean => seconds * 1000 >= from && seconds * 1000 <= to
  const slow = view.slow.filter(([, at]) => within(at))
  const late = view.latency.filter(([, at]) => within(at))
  const linked = role === 'master' || isLinked(view)
  return {
    network: [
      finding('connection_num', view.maxclients > 0 && clients >= limits.connections * view.maxclients, `${clients} of ${view.maxclients} connections; ${figure('rejected_connections')} were refused since the start`),
      finding('replication', !linked, linked ? `role ${view.info('role')}, ${figure('connected_slaves')} replicas` : `the link to its master is ${view.info('master_link_status') ?? 'not there'}`),
    ],
    storage: [
      finding('persistence', failing.length > 0, failing.length > 0 ? `${failing.join(', ')}: err` : `aof_enabled ${view.info('aof_enabled')}`),
      finding('memory_usage', limit > 0 && used >= limits.memory * limit, `${used} of ${limit} bytes; ${figure('evicted_keys')} keys were evicted since the start`),
      finding('inner_memory_fragmentation', used > enough.bytes && fragmentation > limits.fragmentation, `the server holds ${fragmentation} times what it uses`),
    ],
    load: [
      finding('time_consuming_commands', slow.length > 0, `${slow.length} calls in this span took long${slow.length > 0 ? `, the longest ${Math.max(...slow.map(([, , micros]) => micros))} µs` : ''}`),
      finding('latency', late.length > 0, late.length > 0 ? late.map(([event, , last, worst]) => `${event}: last ${last} ms, worst ${worst} ms`).join('; ') : 'no event in this span is on record'),
      finding('hit_ratio', hits + misses > enough.reads && hits < limits.hits * (hits + misses), `${hits} hits and ${misses} misses since the start`),
    ],
  }
}

/** INFO commandstats: "cmdstat_get:calls=1,usec=2,usec_per_call=2.00,…"; the most expensive first. */
function statsOf(text: string): CommandStat[] {
  return [...text.matchAll(/^cmdstat_(\S+?):calls=(\d+),usec=(\d+)/gm)]
    .map(([, name, calls, micros]): CommandStat => ({ name: name!, calls: Number(calls), micros: Number(micros) })).toSorted((a, b) => b.micros - a.micros)
}
