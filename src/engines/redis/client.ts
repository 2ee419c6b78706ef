/** Short, proven connections to Redis processes, under the control plane's own account. */
import { createHash } from 'node:crypto'
import { connect, type NetConnectOpts, type Socket } from 'node:net'
import { fence } from '../../core/fence.ts'
import type { Endpoint } from '../../core/instance.ts'
import type { Identity } from '../../core/runtime.ts'
import type { AbstractConnector, Redis } from 'ioredis'

/** The account that only the control plane uses; customers keep `default`. */
export const account = 'sluice'
/**
 * The account by which nodes copy from each other. Whoever asks a node for its configuration reads this one's password, so
 * it may do nothing but copy, and the other one's does not follow from it.
 */
export const copier = 'sluice-copy'
export function copierPassword(accountPassword: string): string { return createHash('sha256').update(`copies ${accountPassword}`).digest('base64url') }

/** The hash form of a password that Redis keeps in its configuration. */
export function aclHash(password: string): string { return `#${createHash('sha256').update(password).digest('hex')}` }

/** One field of an INFO answer. */
export type Info = (field: string) => string | undefined

/** A process to talk to. */
export interface Target {
  /** Where it may be listening: a node that holds an address of its instance may have left its own for it. */
  readonly doors: readonly Endpoint[]
  readonly identity: Identity
  readonly password: string
  /** The address to connect from; absent: any. */
  readonly from?: string
  /** Both while its instance turns from one to the other. */
  readonly speaks: 'plain' | 'tls' | 'both'
}

/** Ways to try, in this order: a server that speaks TLS hangs up on plain text at once, and the other one would wait for the end of a line. */
export const waysTo = ({ speaks }: Pick<Target, 'speaks'>): readonly ('plain' | 'tls')[] => speaks === 'both' ? ['plain', 'tls'] : [speaks]

/** Whose process answers is proven by what it says of itself, as without TLS; so one whose certificate has run out can still be given a new one. */
const anyCertificate = { rejectUnauthorized: false } as const

export interface Session {
  readonly redis: Redis
  readonly identity: Identity
  /** INFO at the start of the session. */
  readonly info: Info
  /** The error that PING was answered with: loading, or a disk that takes no writes. */
  readonly refusal: Error | null
}

export interface SessionOptions { /** Of the connection, for CLIENT LIST. */ readonly name?: string; readonly patienceMs?: number }

/** A local server answers within a millisecond; one that is busy with a long command needs patience, not a hang. */
const answerWithinMs = 2000

/**
 * Runs `work` on a connection that is proven to end at the process of the target. Throws a sentence when nobody or
 * somebody else answers; nothing but the account's own password has been sent by then.
 */
export async function withSession<T>(target: Target, work: (session: Session) => Promise<T>, options: SessionOptions = {}): Promise<T> {
  const session = await openSession(target, options)
  try { return await work(session) } finally { session.redis.disconnect() }
}

/** The same without an end: whoever opens it disconnects it. */
export async function openSession(target: Target, options: SessionOptions = {}): Promise<Session> {
  let failure: unknown
  for (const way of waysTo(target)) {
    for (const door of target.doors) {
      try { return await knock(door, way, target, options) } catch (error) { failure ??= error }
    }
  }
  throw failure
}

/** Loaded when the first server is asked: a control plane without any starts without it. */
let client: Promise<{ readonly Redis: typeof Redis; readonly AbstractConnector: typeof AbstractConnector }> | undefined

async function knock(door: Endpoint, way: 'plain' | 'tls', { identity, password, from }: Target, options: SessionOptions): Promise<Session> {
  const { Redis, AbstractConnector } = await (client ??= import('ioredis'))
  const redis = new Redis({
    host: door.address, port: door.port, username: account, password,
    lazyConnect: true, enableReadyCheck: false, enableOfflineQueue: true, protocol: 2,
    retryStrategy: () => null, maxRetriesPerRequest: 0, disableClientInfo: true,
    connectTimeout: answerWithinMs, commandTimeout: options.patienceMs ?? answerWithinMs,
    ...(options.name ? { connectionName: options.name } : {}), ...(way === 'tls' ? { tls: anyCertificate } : {}),
    ...from === undefined ? {} : { Connector: connecting(AbstractConnector, await dialing(way), door, from) },
  })
  let failure: Error | undefined
  redis.on('error', (error) => { failure ??= error })
  try {
    await redis.connect()
    const { info, refusal } = await greet(redis)
    if (identity.token !== undefined) await recognise(redis, identity.token, door)
    if (Number(info('process_id')) !== identity.pid) throw new Error(`another server (process ${info('process_id')}) answers on ${door.address}:${door.port}, ours is process ${identity.pid}`)
    return { redis, identity, info, refusal }
  } catch (error) {
    redis.disconnect()
    throw failure ?? error
  }
}

type Dial = (to: NetConnectOpts) => Socket

/** How a connection is opened in this way; TLS is loaded when the first server speaks it. */
export async function dialing(way: 'plain' | 'tls'): Promise<Dial> {
  if (way === 'plain') return connect
  const tls = await import('node:tls')
  return (to) => tls.connect({ ...to, ...anyCertificate })
}

/** From an address of our choice, which ioredis itself cannot. */
function connecting(Base: typeof AbstractConnector, dial: Dial, { address: host, port }: Endpoint, localAddress: string): new (options: unknown) => AbstractConnector {
  return class extends Base {
    constructor(_options: unknown) { super(answerWithinMs) }
    async connect(): Promise<AbstractConnector['stream']> {
      this.connecting = true
      this.stream = dial({ host, port, localAddress })
      this.stream.once('error', (error: Error) => { this.firstError = error })
      return this.stream
    }
  }
}

/** By the word that its runtime told it at its start. Nobody reads it: Sluice's servers do not write to a system log. */
async function recognise(redis: Redis, token: string, { address, port }: Endpoint): Promise<void> {
  const [, said] = await redis.config('GET', 'syslog-ident') as string[]
  if (said !== token) throw new Error(`another server (${said}) answers on ${address}:${port}, ours is ${token}`)
}

/** Together: every answer costs both sides a turn. */
async function greet(redis: Redis): Promise<Pick<Session, 'info' | 'refusal'>> {
  const [[failed, text], [refusal]] = await redis.pipeline().info().ping().exec() as [[Error | null, string], [Error | null]]
  if (failed) throw failed
  return { info: readInfo(text), refusal }
}

/** Long enough for the next look of whoever looks often; nobody's connection stands idle for longer. */
const keptMs = 500
/** By process: a connection ends at the process that it began at, whatever listens there by now. */
const kept = new Map<string, { readonly session: Session; readonly end: NodeJS.Timeout }>()
const keyOf = ({ pid, startedAt }: Identity): string => `${pid} ${startedAt}`

/** Like openSession, by a connection that was kept, where there is one: under load, opening one takes longer than what is asked on it. */
export async function resumeSession(target: Target): Promise<Session> {
  const key = keyOf(target.identity)
  const found = kept.get(key)
  if (!found) return openSession(target)
  kept.delete(key)
  clearTimeout(found.end)
  const { redis } = found.session
  if (redis.status !== 'ready') return openSession(target)
  try { return { ...found.session, ...await greet(redis) } } catch (error) {
    redis.disconnect()
    // Closed under our hands, by a CLIENT KILL say: the server may be as well as ever.
    if (/closed/i.test((error as Error).message)) return openSession(target)
    throw error
  }
}

/** Keeps the connection for the next look at the same process, or ends it. */
export function keepSession(session: Session): void {
  const key = keyOf(session.identity)
  if (session.redis.status !== 'ready' || kept.has(key)) return session.redis.disconnect()
  const end = setTimeout(() => {
    kept.delete(key)
    session.redis.disconnect()
  }, keptMs)
  kept.set(key, { session, end })
}

/** Sends commands in one write, in this order, and answers what each was answered; the first error is thrown. */
export async function all(redis: Redis, commands: readonly (readonly (string | number)[])[]): Promise<unknown[]> {
  fence()
  const pipeline = redis.pipeline()
  for (const [name, ...args] of commands) pipeline.call(String(name), ...args)
  const answers = await pipeline.exec()
  return (answers ?? []).map(([error, answer]) => { if (error) throw error; return answer })
}

/** Looks up single fields: an answer has some two hundred, and a probe wants three. */
export function readInfo(text: string): Info {
  return (field) => {
    const from = text.indexOf(`\n${field}:`)
    return from < 0 ? undefined : text.slice(from + field.length + 2, text.indexOf('\r', from + 1))
  }
}

/** Whether a server refuses something for good: one that is loading, or that a script keeps busy, says so, and can be asked again. */
export function isFinal(error: unknown): boolean { return (error as Error).name === 'ReplyError' && (error as Error).message.startsWith('ERR') }
