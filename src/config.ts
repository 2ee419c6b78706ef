/** The environment as one frozen, validated object. Everything wrong with it is said before anything starts. */
import { homedir, platform } from 'node:os'
import { isIP } from 'node:net'
import { join, resolve } from 'node:path'
import { readKubernetesConfig, type KubernetesConfig } from './config-kubernetes.ts'

export interface Config {
  readonly home: string
  readonly host: string
  /** Base of the listener ports: +0 IAM, +1 DCS, +2 DMS, +3 network, +4 compute, +5 console, health and administration. */
  readonly port: number
  readonly publicHost: string
  /** The files of the certificate and key that every listener shows; null: plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | null
  /** What a scraper must show at /metrics and /v1/discovery; null: they are open. */
  readonly metricsToken: string | null
  /** How nodes are addressed: an own 127.x.y.z each (`own`), or one host with a range of ports. */
  readonly nodes: { readonly kind: 'own' } | { readonly kind: 'shared'; readonly host: string; readonly firstPort: number; readonly lastPort: number }
  readonly onExit: 'keep' | 'stop' | 'remove'
  readonly ephemeral: boolean
  /** Whether a small process stays behind when this one is gone, and has dead masters replaced. */
  readonly guard: boolean
  /** The first user; what is null is generated and kept in credentials.json. */
  readonly identity: {
    readonly user: string; readonly password: string | null; readonly domain: string
    readonly region: string; readonly project: string; readonly projectId: string | null
    readonly accessKey: string | null; readonly secretKey: string | null
  }
  /** What the network facade calls each project's first subnet. */
  readonly subnet: string
  /** After how many days rows of the audit, and records of ended operations, are dropped; 0: never. */
  readonly keep: { readonly auditDays: number; readonly taskDays: number }
  /** Requests a second of one token or access key; bursts may be ten times as many. 0: any number. */
  readonly rateLimit: number
  readonly masterKey: string | null
  /** Of a PostgreSQL, password included; null: SQLite in the home. Never logged. */
  readonly databaseUrl: string | null
  readonly programs: { readonly redisServer: string | null; readonly kafkaHome: string | null; readonly java: string | null; readonly engineFolder: string }
  /** What runs the nodes of new instances. */
  readonly runtime: 'process' | 'kubernetes'
  readonly kubernetes: KubernetesConfig
  readonly logLevel: string
}

const logLevels: readonly string[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

/** A configuration that cannot work; the message is for the person who set it. */
class ConfigError extends Error {}

export function readConfig(env: NodeJS.ProcessEnv, options: { readonly ephemeral?: boolean } = {}): Config {
  const text = (name: string): string | null => env[name]?.trim() ? env[name]!.trim() : null
  const port = wholeNumber('SLUICE_PORT', text('SLUICE_PORT') ?? '7480', 1, 65530)
  const host = text('SLUICE_HOST') ?? '127.0.0.1'
  const nodeHost = text('SLUICE_NODE_HOST')
  const range = /^(\d+)-(\d+)$/.exec(text('SLUICE_NODE_PORTS') ?? '7500-7999')
  if (!range) throw new ConfigError('SLUICE_NODE_PORTS must be two port numbers with a hyphen, like 7500-7999')
  const firstPort = wholeNumber('SLUICE_NODE_PORTS', range[1]!, 1, 65535)
  const lastPort = wholeNumber('SLUICE_NODE_PORTS', range[2]!, firstPort, 65535)
  // As the first process of a container it takes all others with it, so they are stopped well before.
  const onExit = text('SLUICE_ON_EXIT') ?? (options.ephemeral ? 'remove' : process.pid === 1 ? 'stop' : 'keep')
  if (onExit !== 'keep' && onExit !== 'stop' && onExit !== 'remove') throw new ConfigError('SLUICE_ON_EXIT must be keep, stop or remove')
  if (onExit === 'remove' && !options.ephemeral) throw new ConfigError('SLUICE_ON_EXIT=remove deletes every instance at exit, so it needs "sluice serve --ephemeral"')
  const guard = text('SLUICE_GUARD') ?? 'on'
  if (guard !== 'on' && guard !== 'off') throw new ConfigError('SLUICE_GUARD must be on or off')
  const projectId = text('SLUICE_PROJECT_ID')
  if (projectId && !/^[0-9a-f]{32}$/i.test(projectId)) throw new ConfigError('SLUICE_PROJECT_ID must be 32 hexadecimal digits')
  const databaseUrl = text('SLUICE_DATABASE_URL')
  // Never with the value: it holds a password.
  if (databaseUrl && !isPostgres(databaseUrl)) throw new ConfigError('SLUICE_DATABASE_URL must be the address of a PostgreSQL: postgres://USER:PASSWORD@HOST:PORT/DATABASE')
  if (databaseUrl && options.ephemeral) throw new ConfigError('an ephemeral server keeps nothing, so it has no use for SLUICE_DATABASE_URL: unset it')
  const region = text('SLUICE_REGION') ?? 'eu-de'
  // Own addresses need a loopback that answers on the whole of 127.0.0.0/8, which only Linux gives without set-up.
  const shared = nodeHost ?? (text('SLUICE_NODE_PORTS') || platform() !== 'linux' ? '127.0.0.1' : null)
  if (shared && !isIP(shared)) throw new ConfigError('SLUICE_NODE_HOST must be an IP address: clients are told it as the instance\'s "ip"')
  if (shared === '0.0.0.0' || shared === '::') throw new ConfigError(`SLUICE_NODE_HOST ${shared} is no address that clients can reach: name one of this machine's own`)
  const [cert, key] = [text('SLUICE_TLS_CERT'), text('SLUICE_TLS_KEY')]
  if ((cert === null) !== (key === null)) throw new ConfigError('SLUICE_TLS_CERT and SLUICE_TLS_KEY belong together: set both, or neither')
  const runtime = text('SLUICE_RUNTIME') ?? 'process'
  if (runtime !== 'process' && runtime !== 'kubernetes') throw new ConfigError('SLUICE_RUNTIME must be process or kubernetes')
  const logLevel = text('SLUICE_LOG_LEVEL') ?? 'info'
  if (!logLevels.includes(logLevel)) throw new ConfigError(`SLUICE_LOG_LEVEL must be one of ${logLevels.join(', ')}`)
  return Object.freeze<Config>({
    home: resolve(text('SLUICE_HOME') ?? dataFolder()),
    host, port,
    publicHost: text('SLUICE_PUBLIC_HOST') ?? (host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host),
    nodes: shared ? { kind: 'shared', host: shared, firstPort, lastPort } : { kind: 'own' },
    tls: cert === null ? null : { cert: resolve(cert), key: resolve(key!) },
    metricsToken: text('SLUICE_METRICS_TOKEN'),
    onExit, ephemeral: options.ephemeral ?? false, guard: guard === 'on' && !options.ephemeral,
    identity: {
      user: text('SLUICE_USER') ?? 'admin', password: env['SLUICE_PASSWORD'] || null, domain: text('SLUICE_DOMAIN') ?? 'sluice',
      region, project: text('SLUICE_PROJECT') ?? region, projectId: projectId?.toLowerCase() ?? null,
      accessKey: text('SLUICE_ACCESS_KEY'), secretKey: env['SLUICE_SECRET_KEY'] || null,
    },
    keep: { auditDays: wholeNumber('SLUICE_AUDIT_DAYS', text('SLUICE_AUDIT_DAYS') ?? '400', 0, 36_500), taskDays: wholeNumber('SLUICE_TASK_DAYS', text('SLUICE_TASK_DAYS') ?? '90', 0, 36_500) },
    rateLimit: wholeNumber('SLUICE_RATE_LIMIT', text('SLUICE_RATE_LIMIT') ?? '5000', 0, 1_000_000),
    subnet: text('SLUICE_SUBNET') ?? 'subnet-default',
    masterKey: text('SLUICE_MASTER_KEY'), databaseUrl,
    programs: {
      redisServer: text('SLUICE_REDIS_SERVER'), kafkaHome: text('SLUICE_KAFKA_HOME'), java: text('SLUICE_JAVA'),
      engineFolder: join(dataFolder(), 'engines'),
    },
    runtime, kubernetes: readKubernetesConfig(env), logLevel,
  })
}

/** Where this platform keeps a user's data; ../bin/compiled.js knows it too. */
function dataFolder(): string {
  if (platform() === 'darwin') return join(homedir(), 'Library', 'Application Support', 'sluice')
  return join(process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share'), 'sluice')
}

function isPostgres(url: string): boolean { return URL.canParse(url) && /^postgres(ql)?:$/.test(new URL(url).protocol) }

function wholeNumber(name: string, value: string, min: number, max: number): number {
  const number = Number(value)
  if (!/^\d+$/.test(value) || number < min || number > max) throw new ConfigError(`${name} must be a whole number from ${min} to ${max}, not "${value}"`)
  return number
}
