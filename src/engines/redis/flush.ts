/** Emptying a Redis exactly once, although the control plane may be killed at any instant of it. */
import { withSession } from './client.ts'
import type { NodeRecord } from '../../core/instance.ts'
import type { Identity } from '../../core/runtime.ts'

/** Freeing happens in the background; only the command itself has to be waited for, behind a slow script at worst. */
const patienceMs = 30_000

export interface FlushTarget { readonly node: NodeRecord; readonly identity: Identity; readonly password: string; readonly flushall: string }

/**
 * Flushes unless an earlier call with this key did. The key itself, written in the same atomic script, is the evidence;
 * counters would not do, for CONFIG RESETSTAT and a restart reset them.
 */
export async function flushOnce(target: FlushTarget, key: string): Promise<void> {
  await withSession(target.node, target.password, target.identity, async ({ redis }) => {
    // A predecessor named its connection before it sent anything, and its flush may still sit in the socket: cut it
    // first, or it would empty what clients write after ours.
    for (const line of String(await redis.client('LIST')).split('\n')) {
      const other = /^id=(\d+) .* name=(\S*) /.exec(line)
      if (other && other[2] === connectionName(key) && Number(other[1]) !== await redis.client('ID')) await redis.client('KILL', 'ID', Number(other[1]))
    }
    // A script, not MULTI: SET would be refused while memory is full, but after the script's first write it is not.
    await redis.eval(
      `if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('${target.flushall}', 'ASYNC') redis.call('SET', KEYS[1], '1') end return 1`,
      1, marker(key),
    )
  }, { name: connectionName(key), patienceMs })
}

/** Removes the evidence, and lets the append-only file forget the flushed data as well. */
export async function forgetFlush(target: FlushTarget, key: string): Promise<void> {
  await withSession(target.node, target.password, target.identity, async ({ redis }) => {
    await redis.del(marker(key))
    // Refused while one is running or the file is off; the next rewrite does the same.
    await redis.bgrewriteaof().catch(() => {})
  }, { patienceMs })
}

function marker(key: string): string { return `sluice:flushed:${key}` }
function connectionName(key: string): string { return `sluice-flush-${key}` }
