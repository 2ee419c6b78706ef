/** DCS's numbers and words for what may be set of a Redis; what each takes, the engine says. */
import { isAbsent, isObject, isText } from '../json.ts'
import { refused, type Refused } from './errors.ts'
import { takes, type Parameter, type Values } from '../../core/engine.ts'

/** By name: the number that DCS gave it, and what it does. */
const rows: Readonly<Record<string, readonly [id: number, description: string]>> = {
  timeout: [1, 'Seconds after which an idle connection is closed; 0: never.'],
  'maxmemory-policy': [2, 'Which keys go when memory is full.'],
  'hash-max-ziplist-entries': [3, 'Up to so many fields a hash is kept in its compact form.'],
  'hash-max-ziplist-value': [4, 'Up to so many bytes a field a hash is kept in its compact form.'],
  'set-max-intset-entries': [7, 'Up to so many members a set of integers is kept in its compact form.'],
  'zset-max-ziplist-entries': [8, 'Up to so many members a sorted set is kept in its compact form.'],
  'zset-max-ziplist-value': [9, 'Up to so many bytes a member a sorted set is kept in its compact form.'],
  'latency-monitor-threshold': [10, 'Milliseconds from which an event is noted as slow; 0: none is.'],
  maxclients: [11, 'How many clients may be connected at once.'],
  'reserved-memory': [12, 'Megabytes that are kept free of data; the rest is the maxmemory of each server.'],
  'notify-keyspace-events': [13, 'Which events about keys are published.'],
  'repl-backlog-size': [14, 'Bytes of writes that are kept for a replica that was away.'],
  'repl-backlog-ttl': [15, 'Seconds after which that is freed when there is no replica; 0: never.'],
  appendfsync: [16, 'When the append-only file is forced to disk.'],
  appendonly: [17, 'Whether what is written is kept on disk. With no, a restart loses all data.'],
  'slowlog-log-slower-than': [18, 'Microseconds from which a command is noted in the slow log.'],
  'slowlog-max-len': [19, 'How many commands the slow log keeps.'],
  'lua-time-limit': [20, 'Milliseconds after which others hear that a script keeps the server busy.'],
  'repl-timeout': [21, 'Seconds of silence after which master and replica give each other up.'],
  'proto-max-bulk-len': [22, 'Bytes that one element of a request may have.'],
  'master-read-only': [23, 'Whether writes of clients are refused.'],
  'client-output-buffer-slave-soft-limit': [24, 'Bytes waiting for a replica that end its connection when they stay too long; 0: none do.'],
  'client-output-buffer-slave-hard-limit': [25, 'Bytes waiting for a replica that end its connection at once; 0: none do.'],
  'client-output-buffer-limit-slave-soft-seconds': [26, 'Seconds that the soft limit may be exceeded.'],
  'reserved-memory-percent': [30, 'Per cent of the memory that are kept free of data.'],
  'active-expire-num': [35, 'Expired keys that are looked for in each round; Redis knows these ten numbers.'],
}

/** Documented, and nothing in the Redis that runs: lists are of one form since Redis 3.2. */
const gone: readonly string[] = ['list-max-ziplist-entries', 'list-max-ziplist-value']

/** In the order of their numbers. What the engine knows and DCS does not is left out. */
function numbered(parameters: readonly Parameter[]): (readonly [number, string, Parameter])[] {
  return parameters.flatMap((one) => rows[one.name] ? [[...rows[one.name]!, one] as const] : []).toSorted(([a], [b]) => a - b)
}

/** The `redis_config` of an answer. */
export function shown(parameters: readonly Parameter[]): object[] {
  return numbered(parameters).map(([id, description, one]) => ({
    param_id: String(id), param_name: one.name, param_value: one.value, default_value: one.default,
    value_type: { number: 'Interger', choice: 'Enum', text: 'Regular' }[one.takes.kind], value_range: range(one.takes), description, need_restart: false,
  }))
}

function range(values: Values): string {
  if (values.kind === 'number') return `${values.least}-${values.most}`
  // The form that DCS gives it; the rule behind it is stricter.
  return values.kind === 'choice' ? values.among.join() : '([KE]+([A]|[g$lshzxe]+)){0,11}'
}

/** The `redis_config` of a request: names and values that are offered, each in its one form. Ids may be left out, and must fit when they are not. */
export function readParameters(value: unknown, offered: readonly Parameter[]): Readonly<Record<string, string>> | Refused {
  if (!Array.isArray(value) || value.length === 0 || value.length > 100) return refused('DCS.4062', 'redis_config')
  const chosen: Record<string, string> = {}
  for (const item of value) {
    if (!isObject(item)) return refused('DCS.4062', 'redis_config')
    const [id, name, wanted] = [item['param_id'], item['param_name'], item['param_value']]
    const called = isAbsent(name) ? Object.keys(rows).find((one) => String(rows[one]![0]) === String(id)) ?? null : name
    if (!isText(called, 64) || typeof wanted !== 'string' && typeof wanted !== 'number') return refused('DCS.4066', isText(name, 64) ? name : 'redis_config')
    if (!isAbsent(id) && rows[called] && String(id) !== String(rows[called]![0])) return refused('DCS.4066', called, `its param_id is ${rows[called]![0]}`)
    if (Object.hasOwn(chosen, called)) return refused('DCS.4066', called, 'it is there twice')
    const problem = unfit(called, String(wanted), offered)
    if (problem) return problem
    chosen[called] = String(wanted)
  }
  return chosen
}

/** The `params` of a template: values by name. */
export function readParams(value: unknown, offered: readonly Parameter[]): Readonly<Record<string, string>> | Refused {
  if (!isObject(value) || Object.keys(value).length > 100) return refused('DCS.4062', 'params')
  for (const [name, wanted] of Object.entries(value)) {
    const problem = typeof wanted === 'string' ? unfit(name, wanted, offered) : refused('DCS.4066', name.slice(0, 64))
    if (problem) return problem
  }
  return value as Readonly<Record<string, string>>
}

function unfit(name: string, value: string, offered: readonly Parameter[]): Refused | null {
  if (gone.includes(name)) return refused('DCS.4066', name, 'the Redis that runs keeps lists in one form and knows no such limit')
  const parameter = rows[name] ? offered.find((one) => one.name === name) : undefined
  if (!parameter) return refused('DCS.4066', name.slice(0, 64), rows[name] ? 'instances of this version and type do not have it' : 'there is no such parameter')
  return takes(parameter, value) ? null : refused('DCS.4066', name, `it takes ${range(parameter.takes)}`)
}
