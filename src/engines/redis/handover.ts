/** One master hands its role to a replica while clients write; they see a pause and a reconnect. */
import { setTimeout as sleep } from 'node:timers/promises'
import { checkpoint } from '../../core/checkpoint.ts'
import { account, all } from './client.ts'
import { copyFrom, holds, isLinked, isMaster, leave, lookAgain, offsetOf, take, whereIs, type NodeView } from './views.ts'
import type { NodeHealth } from '../../core/engine.ts'
import type { Ground } from './topology.ts'

/** Longer than a handover ever takes. When its control plane dies in the middle, the old master goes on by itself after this. */
const pauseMs = 3000
/** A replica that is linked has everything within a millisecond or two; one that has not goes on lagging while clients wait. */
const levelWithinMs = 500

/**
 * After each step at most one of the two can take a write: the old one pauses, leaves the address and loses its clients,
 * and is a replica before the new one is promoted. The pause only shortens the gap; what keeps every acknowledged write is
 * the second look at the offsets, when nobody can reach the old one any more.
 */
export async function handOver(ground: Ground, old: NodeView, next: NodeView): Promise<NodeHealth> {
  const service = ground.instance.endpoints['service']!
  const [from, to] = [old.session!.redis, next.session!.redis]
  if (!isMaster(next)) {
    if (!isLinked(next) || next.info('master_replid') !== old.info('master_replid')) {
      // It copies from somebody else, or not yet.
      const { address, port } = copyFromOld(ground, old)
      if (next.info('master_host') !== address || next.info('master_port') !== String(port)) await all(to, [['CONFIG', 'SET', 'masteruser', account], ['CONFIG', 'SET', 'masterauth', ground.password], ['REPLICAOF', address, port]])
      return { ok: false, reason: `node ${next.node.ordinal} does not have all data of the master, node ${old.node.ordinal}, yet` }
    }
    await all(from, [['CLIENT', 'PAUSE', pauseMs, 'WRITE']])
    checkpoint('engine.paused')
    if (!await level(old, next)) {
      await all(from, [['CLIENT', 'UNPAUSE']])
      return { ok: false, reason: `node ${next.node.ordinal} lags behind the master` }
    }
  }
  await all(from, [leave(old, service), ['CLIENT', 'KILL', 'TYPE', 'normal'], ['CLIENT', 'KILL', 'TYPE', 'pubsub']])
  checkpoint('engine.unbound')
  if (!isMaster(next) && !await level(old, next)) {
    await all(from, [take(old, service), ['CLIENT', 'UNPAUSE']])
    return { ok: false, reason: `node ${next.node.ordinal} lags behind the master` }
  }
  const master = copyFrom(ground, next)
  await all(from, [['CONFIG', 'SET', 'masteruser', account], ['CONFIG', 'SET', 'masterauth', ground.password], ['REPLICAOF', master.address, master.port]])
  checkpoint('engine.demoted')
  await all(to, [...holdsReaders(ground, next) ? [leave(next, ground.instance.endpoints['readonly']!)] : [], ['REPLICAOF', 'NO', 'ONE'], take(next, service)])
  checkpoint('engine.promoted')
  await all(from, [['CLIENT', 'UNPAUSE']])
  await Promise.all([lookAgain(old), lookAgain(next)])
  await Promise.all([whereIs(old), whereIs(next)])
  return { ok: true }
}

function holdsReaders({ instance }: Ground, view: NodeView): boolean { return holds(view, instance.endpoints['readonly']!) }

/** The old master's own address, which it listens on until the end; on a shared host the instance's, unless it left that already. */
function copyFromOld(ground: Ground, old: NodeView): { readonly address: string; readonly port: number } {
  const service = ground.instance.endpoints['service']!
  return holds(old, service) ? copyFrom(ground, old) : { address: old.node.address, port: old.node.ports['service']! }
}

/** Whether the replica comes to have every byte that the master has sent. */
async function level(old: NodeView, next: NodeView): Promise<boolean> {
  const giveUp = performance.now() + levelWithinMs
  for (;;) {
    // The master first: what it has now, the replica must have after.
    await lookAgain(old)
    await lookAgain(next)
    if (!isLinked(next)) return false
    if (offsetOf(next) >= offsetOf(old)) return true
    if (performance.now() > giveUp) return false
    await sleep(1)
  }
}
