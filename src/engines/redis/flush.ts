/** Emptying Redis exactly once, although the control plane may be killed at any instant of it. */
import { fence } from '../../core/fence.ts'
import { withSession, type Target } from './client.ts'
import type { Spec } from '../../core/instance.ts'

/** Freeing happens in the background; only the command itself has to be waited for, behind a slow script at worst. */
const patienceMs = 30_000
/** Replicas get the command with the next packet; one that copies all of the data from its master takes longer, and is asked again. */
const confirmWithinMs = 5000

/** How this instance's servers call it. */
export function flushallOf({ renamedCommands }: Pick<Spec, 'renamedCommands'>): string { return renamedCommands['flushall'] ?? 'FLUSHALL' }

export interface FlushTarget extends Target {
  readonly flushall: string
  /** A key that this node may hold; the evidence. */
  readonly marker: string
  /** How many replicas must have it too. */
  readonly replicas: number
}

/**
 * Flushes unless an earlier call with this key did. The key itself, written in the same atomic script, is the evidence;
 * counters would not do, for CONFIG RESETSTAT and a restart reset them. Throws when a replica does not confirm: call again.
 */
export async function flushOnce(target: FlushTarget, key: string): Promise<void> {
  const name = `sluice-flush-${key}`
  await withSession(target, async ({ redis }) => {
    // A predecessor named its connection before it sent anything, and its flush may still sit in the socket: cut it
    // first, or it would empty what clients write after ours.
    for (const line of String(await redis.client('LIST')).split('\n')) {
      const other = /^id=(\d+) .* name=(\S*) /.exec(line)
      if (other && other[2] === name && Number(other[1]) !== await redis.client('ID')) await redis.client('KILL', 'ID', Number(other[1]))
    }
    fence()
    // A script, not MULTI: SET would be refused while memory is full, but after the script's first write it is not. It
    // always writes, for what is waited for below is this connection's last write.
    await redis.eval(
      `if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('${target.flushall}', 'ASYNC') end redis.call('SET', KEYS[1], '1') return 1`,
      1, target.marker,
    )
    if (target.replicas === 0) return
    const confirmed = await redis.wait(target.replicas, confirmWithinMs)
    if (confirmed < target.replicas) throw new Error(`${target.replicas - confirmed} of ${target.replicas} replicas have not confirmed that they are empty`)
  }, { name, patienceMs })
}

/** Removes the evidence, and lets the append-only file forget the flushed data as well. */
export async function forgetFlush(target: FlushTarget): Promise<void> {
  await withSession(target, async ({ redis }) => {
    fence()
    await redis.del(target.marker)
    // Refused while one is running or the file is off; the next rewrite does the same.
    await redis.bgrewriteaof().catch(() => {})
  }, { patienceMs })
}
