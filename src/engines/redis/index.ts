/** Redis caches: how they are laid out, asked, stopped and emptied. */
import { setTimeout as sleep } from 'node:timers/promises'
import { flushOnce, forgetFlush, type FlushTarget } from './flush.ts'
import { layout, type RedisSecrets } from './layout.ts'
import { listens } from '../../core/listens.ts'
import { readInfo, withSession, type Info } from './client.ts'
import { runnable } from './versions.ts'
import type { Engine, NodeHealth } from '../../core/engine.ts'
import type { Instance, NodeRecord } from '../../core/instance.ts'
import type { NodeState } from '../../core/runtime.ts'

/** How long a forced restart waits for what clients were already told is written. Redis acknowledges before it writes while an fsync is slow. */
const settleWithinMs = 100

export function redisEngine(secrets: RedisSecrets, installed: () => Promise<string>): Engine {
  return {
    name: 'redis',
    ports: { service: 6379 },
    // Measured: 8 to 13 MiB resident.
    leastMemoryBytes: 16 * 1024 * 1024,
    layout: (instance, nodes) => layout(instance, nodes, secrets),
    async probe(instance, nodes, states) {
      for (const node of nodes) {
        const health = await probeNode(node, states.find((state) => state.id === node.id), secrets.account(instance.id))
        if (!health.ok) return health
      }
      return { ok: true }
    },
    async drain(instance, node, state, { force }) {
      if (state.phase !== 'running') return true
      // A server that does not answer is stopped by signals; that is the runtime's part.
      await withSession(node, secrets.account(instance.id), state.identity!, async ({ redis, info }) => {
        if (!force) {
          await redis.call('SHUTDOWN', 'NOSAVE').catch(() => {})
          return
        }
        const giveUp = Date.now() + settleWithinMs
        const settled = (now: Info): boolean => now('aof_enabled') !== '1' || (now('aof_buffer_length') === '0' && now('aof_pending_bio_fsync') === '0')
        for (let now = info; !settled(now) && Date.now() < giveUp; await sleep(5)) now = readInfo(await redis.info('persistence'))
      }).catch(() => {})
      return true
    },
    flushable: (instance) => Number(instance.version.split('.')[0]) >= 4,
    flush: (instance, node, state, key) => flushOnce(target(instance, node, state), key),
    forgetFlush: (instance, node, state, key) => forgetFlush(target(instance, node, state), key),
    async runsOn(version) { return runnable(version, await installed()) },
  }

  function target(instance: Instance, node: NodeRecord, state: NodeState): FlushTarget {
    return { node, identity: state.identity!, password: secrets.account(instance.id), flushall: instance.spec.renamedCommands['flushall'] ?? 'FLUSHALL' }
  }
}

async function probeNode(node: NodeRecord, state: NodeState | undefined, password: string): Promise<NodeHealth> {
  if (state?.phase !== 'running') return { ok: false, reason: `node ${node.ordinal} does not run${state?.exit?.lastLines ? `; its last lines:\n${state.exit.lastLines}` : ''}` }
  const where = `${node.address}:${node.ports['service']}`
  // Cheaper than a client while the server is starting and this is asked every few milliseconds.
  if (!await listens(node.address, node.ports['service']!)) return { ok: false, reason: `nobody listens on ${where} yet` }
  try {
    return await withSession(node, password, state.identity!, async ({ info, refusal }) => {
      if (info('loading') !== '0') return { ok: false, reason: `node ${node.ordinal} is loading its data (${info('loading_loaded_perc') ?? '?'} %)` }
      if (info('role') !== 'master') return { ok: false, reason: `node ${node.ordinal} has the role ${info('role')}, not master` }
      return refusal ? { ok: false, reason: `node ${node.ordinal} answers ${refusal.message}` } : { ok: true }
    })
  } catch (error) { return { ok: false, reason: `${where}: ${(error as Error).message}` } }
}
