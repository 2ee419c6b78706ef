/**
 * What customers may set of a Redis, in DCS's names, and what that means for the Redis that really runs. Pure. A name that
 * Redis has today under another one is known to it under the old one as well.
 */
import { takes, type Parameter, type Values } from '../../core/engine.ts'
import type { Instance, Spec } from '../../core/instance.ts'

type Of = Pick<Instance, 'version' | 'spec'>
type Kind = 'old single' | 'old ha' | 'single' | 'ha' | 'cluster'

interface Row {
  readonly name: string
  readonly default: string | ((of: Of) => string)
  readonly takes: Values | ((of: Of) => Values)
  /** For which it is documented. */
  readonly of: readonly Kind[]
  /** Redis has it by this name, one value for one value. Absent: `combined` says what becomes of it. */
  readonly own?: true
}

const mib = 1024 * 1024
const number = (least: number, most: number): Values => ({ kind: 'number', least, most })
const choice = (...among: string[]): Values => ({ kind: 'choice', among })
const current: readonly Kind[] = ['single', 'ha', 'cluster']
const replicated: readonly Kind[] = ['ha', 'cluster']
const all: readonly Kind[] = ['old single', 'old ha', ...current]
const withOld: readonly Kind[] = ['old ha', ...replicated]

const oldPolicies = ['volatile-lru', 'allkeys-lru', 'volatile-random', 'allkeys-random', 'volatile-ttl', 'noeviction']
/** Redis looks at 20 keys in each round, and at a quarter of that more for each degree of effort above the first, up to the tenth. */
const expireNumbers = Array.from({ length: 10 }, (_, n) => String(20 + 5 * n))

const rows: readonly Row[] = [
  { name: 'timeout', default: '0', takes: number(0, 7200), of: all, own: true },
  { name: 'maxmemory-policy', default: (of) => isOld(of) ? 'noeviction' : 'volatile-lru', takes: (of) => choice(...oldPolicies, ...isOld(of) ? [] : ['volatile-lfu', 'allkeys-lfu']), of: all, own: true },
  { name: 'hash-max-ziplist-entries', default: '512', takes: number(1, 10_000), of: all, own: true },
  { name: 'hash-max-ziplist-value', default: '64', takes: number(1, 10_000), of: all, own: true },
  { name: 'set-max-intset-entries', default: '512', takes: number(1, 10_000), of: all, own: true },
  { name: 'zset-max-ziplist-entries', default: '128', takes: number(1, 10_000), of: all, own: true },
  { name: 'zset-max-ziplist-value', default: '64', takes: number(1, 10_000), of: all, own: true },
  { name: 'latency-monitor-threshold', default: '0', takes: number(0, 86_400_000), of: all, own: true },
  { name: 'maxclients', default: '10000', takes: number(1000, 50_000), of: current, own: true },
  { name: 'reserved-memory', default: '0', takes: ({ spec }) => number(0, Math.floor(shareOf(spec) / mib / 2)), of: ['ha'] },
  { name: 'notify-keyspace-events', default: 'Ex', takes: { kind: 'text', pattern: '(?=.*[KE])(?!.*(.).*\\1)(?:[KE]*A[KE]*|[KEg$lshzxe]*)' }, of: all, own: true },
  // A replica that was away for a moment goes on where it was, instead of copying everything.
  { name: 'repl-backlog-size', default: ({ spec }) => String(Math.max(mib, Math.min(64 * mib, Math.floor(spec.memoryBytes / 16)))), takes: number(16_384, 1_073_741_824), of: withOld, own: true },
  { name: 'repl-backlog-ttl', default: '3600', takes: number(0, 604_800), of: withOld, own: true },
  { name: 'appendfsync', default: 'everysec', takes: choice('no', 'always', 'everysec'), of: withOld, own: true },
  // Not among Redis's own: how it is turned on depends on what the node has.
  { name: 'appendonly', default: 'yes', takes: choice('yes', 'no'), of: withOld },
  { name: 'slowlog-log-slower-than', default: '10000', takes: number(0, 1_000_000), of: all, own: true },
  { name: 'slowlog-max-len', default: '128', takes: number(0, 1000), of: all, own: true },
  { name: 'lua-time-limit', default: '5000', takes: number(100, 5000), of: current, own: true },
  { name: 'repl-timeout', default: '60', takes: number(30, 3600), of: replicated, own: true },
  { name: 'proto-max-bulk-len', default: '536870912', takes: number(1_048_576, 536_870_912), of: current, own: true },
  { name: 'master-read-only', default: 'no', takes: choice('yes', 'no'), of: current },
  { name: 'client-output-buffer-slave-soft-limit', default: '67108864', takes: number(0, 134_217_728), of: replicated },
  { name: 'client-output-buffer-slave-hard-limit', default: '134217728', takes: number(0, 134_217_728), of: replicated },
  { name: 'client-output-buffer-limit-slave-soft-seconds', default: '60', takes: number(0, 60), of: replicated },
  { name: 'reserved-memory-percent', default: '0', takes: number(0, 80), of: ['old single', 'old ha'] },
  { name: 'active-expire-num', default: '20', takes: choice(...expireNumbers), of: current },
]

const isOld = ({ version }: Pick<Instance, 'version'>): boolean => version === '3.0'
const kindOf = (of: Of): Kind => isOld(of) ? of.spec.topology === 'single' ? 'old single' : 'old ha' : of.spec.topology as Kind
/** Of one shard, in bytes. */
const shareOf = ({ memoryBytes, shards }: Pick<Spec, 'memoryBytes' | 'shards'>): number => Math.floor(memoryBytes / shards)

const known = (row: Row, of: Of): Parameter => {
  const standard = typeof row.default === 'string' ? row.default : row.default(of)
  const values = typeof row.takes === 'function' ? row.takes(of) : row.takes
  const set = of.spec.parameters[row.name]
  // What it took when it had more memory, say, it may not take any more.
  return { name: row.name, default: standard, takes: values, value: set !== undefined && takes({ takes: values }, set) ? set : standard }
}

/** What may be set for such an instance, and what is. */
export function parametersOf(of: Of): readonly Parameter[] { return rows.filter((row) => row.of.includes(kindOf(of))).map((row) => known(row, of)) }

/** One of them; null where it is not offered. */
function valueOf(of: Of, name: string): string | null {
  const row = rows.find((one) => one.name === name)!
  return row.of.includes(kindOf(of)) ? known(row, of).value : null
}

/** Whether writes of customers are refused. */
export function isReadOnly(of: Of): boolean { return valueOf(of, 'master-read-only') === 'yes' }

/** What one server may use for data: its shard's part of the memory, less what is reserved. Bytes. */
export function maxmemoryOf(of: Of): number {
  const share = shareOf(of.spec)
  const [megabytes, percent] = [Number(valueOf(of, 'reserved-memory') ?? 0), Number(valueOf(of, 'reserved-memory-percent') ?? 0)]
  return Math.floor(share * (100 - percent) / 100) - megabytes * mib
}

/** Redis's own settings and their values, as redis.conf and CONFIG SET take them: all that can be changed while it runs, but for who may log in. */
export function settingsOf(of: Of): ReadonlyMap<string, string> {
  const settings = new Map<string, string>([
    ['maxmemory', String(maxmemoryOf(of))],
    // Protected mode refuses remote clients of a Redis without a password, which is what password-free access asks for.
    ['protected-mode', of.spec.sealedPassword === null ? 'no' : 'yes'],
  ])
  for (const row of rows) if (row.own && row.of.includes(kindOf(of))) settings.set(row.name, known(row, of).value)
  // Documented for several nodes only, and kept by every node.
  if (!settings.has('appendfsync')) settings.set('appendfsync', of.spec.parameters['appendfsync'] ?? 'everysec')
  const [soft, hard, seconds] = ['client-output-buffer-slave-soft-limit', 'client-output-buffer-slave-hard-limit', 'client-output-buffer-limit-slave-soft-seconds'].map((name) => valueOf(of, name))
  if (hard !== null) settings.set('client-output-buffer-limit', `replica ${hard} ${soft} ${seconds}`)
  const expire = valueOf(of, 'active-expire-num')
  if (expire !== null) settings.set('active-expire-effort', String((Number(expire) - 20) / 5 + 1))
  return settings
}

const everyClass = [...'g$lshzxetd']

/** Whether what a server says is what it was told: it has its own order for some. */
export function isSet(name: string, wanted: string, said: string | undefined): boolean {
  if (said === undefined) return false
  if (name === 'notify-keyspace-events') return classes(wanted) === classes(said)
  // Of replicas alone; Redis tells of all kinds of clients.
  if (name === 'client-output-buffer-limit') return ['slave', 'replica'].some((kind) => `${said} `.includes(`${wanted.replace('replica', kind)} `))
  return wanted === said
}

function classes(text: string): string { return [...new Set([...text].flatMap((one) => one === 'A' ? everyClass : [one]))].toSorted().join('') }
