/** A replica takes its shard's slots: told by a script, so that what is true at that instant decides, and not when it was sent. */
import { fence } from '../../core/fence.ts'
import type { Redis } from 'ioredis'

/**
 * CLUSTER FAILOVER for a replica that has at least this much of its master's stream. Answers whether it was obeyed. One
 * that was frozen finds the script in its socket when it wakes, and by then its master may serve again: after `until`,
 * epoch ms on the clock of this machine, it refuses.
 */
export async function takeSlots(redis: Redis, how: 'TAKEOVER' | 'FORCE', offset: number, until: number): Promise<boolean> {
  fence()
  return await redis.eval(script, 0, how, offset, until) === 1
}

const script = `
local info = redis.call('INFO', 'replication')
if not string.find(info, 'role:slave') or tonumber(string.match(info, 'slave_repl_offset:(%d+)')) < tonumber(ARGV[2]) then return 0 end
local now = redis.call('TIME')
if now[1] * 1000 + now[2] / 1000 > tonumber(ARGV[3]) then return redis.error_reply('ERR this comes too late') end
redis.call('CLUSTER', 'FAILOVER', ARGV[1])
return 1`
