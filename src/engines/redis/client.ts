/** One short, proven connection to one Redis process, under the control plane's own account. */
import { createHash } from 'node:crypto'
import { Redis } from 'ioredis'
import type { NodeRecord } from '../../core/instance.ts'
import type { Identity } from '../../core/runtime.ts'

/** The account that only the control plane uses; customers keep `default`. */
export const account = 'sluice'

/** The hash form of a password that Redis keeps in its configuration. */
export function aclHash(password: string): string { return `#${createHash('sha256').update(password).digest('hex')}` }

/** One field of an INFO answer. */
export type Info = (field: string) => string | undefined
export interface Session { readonly redis: Redis; /** INFO at the start of the session. */ readonly info: Info; /** The error that PING was answered with: loading, or a disk that takes no writes. */ readonly refusal: Error | null }

/** A local server answers within a millisecond; one that is busy with a long command needs patience, not a hang. */
const answerWithinMs = 2000

/**
 * Runs `work` on a connection that is proven to end at the process `identity`. Throws a sentence when nobody or
 * somebody else answers; nothing but the account's own password has been sent by then.
 */
export async function withSession<T>(
  node: NodeRecord, password: string, identity: Identity, work: (session: Session) => Promise<T>,
  options: { readonly name?: string; readonly patienceMs?: number } = {},
): Promise<T> {
  const redis = new Redis({
    host: node.address, port: node.ports['service']!, username: account, password,
    lazyConnect: true, enableReadyCheck: false, enableOfflineQueue: true, protocol: 2,
    retryStrategy: () => null, maxRetriesPerRequest: 0, disableClientInfo: true,
    connectTimeout: answerWithinMs, commandTimeout: options.patienceMs ?? answerWithinMs,
    ...(options.name ? { connectionName: options.name } : {}),
  })
  let failure: Error | undefined
  redis.on('error', (error) => { failure ??= error })
  try {
    await redis.connect()
    // Together: every answer costs both sides a turn.
    const [[failed, text], [refusal]] = await redis.pipeline().info().ping().exec() as [[Error | null, string], [Error | null]]
    if (failed) throw failed
    const info = readInfo(text)
    if (Number(info('process_id')) !== identity.pid) throw new Error(`another server (process ${info('process_id')}) answers on ${node.address}:${node.ports['service']}, ours is process ${identity.pid}`)
    return await work({ redis, info, refusal })
  } catch (error) {
    throw failure ?? error
  } finally { redis.disconnect() }
}

/** Looks up single fields: an answer has some two hundred, and a probe wants three. */
export function readInfo(text: string): Info {
  return (field) => {
    const from = text.indexOf(`\n${field}:`)
    return from < 0 ? undefined : text.slice(from + field.length + 2, text.indexOf('\r', from + 1))
  }
}
