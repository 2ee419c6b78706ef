/** One master hands its role to a replica while clients write; they see a pause and a reconnect. */
import { checkpoint } from '../../core/checkpoint.ts'
import { all, readInfo } from './client.ts'
import { copyFrom, cut, holds, isForked, isMaster, leave, lookAgain, offsetOf, reaches, relisten, take, whereIs, type NodeView } from './views.ts'
import { handOverTurned } from './handover-turned.ts'
import { isLinked } from './seen.ts'
import { admitting, nobody, obeying } from './replication.ts'
import type { NodeHealth } from '../../core/engine.ts'
import type { Endpoint } from '../../core/instance.ts'
import type { Ground } from './topology.ts'

/** Longer than a handover ever takes. When its control plane dies in the middle, the old master goes on by itself after this. */
const pauseMs = 3000
/** What is looked at this long after the pause began is looked at again: writes may have begun anew. */
const freshForMs = pauseMs / 2

/**
 * After each step at most one of the two can take a write: the old one leaves the address, loses its clients and is a
 * replica before the new one is promoted. What keeps every acknowledged write is the look at the offsets when nobody can
 * reach the old one any more. The pause is for clients that found its own address. Four round trips, and while they last
 * nobody listens.
 */
export async function handOver(ground: Ground, old: NodeView, next: NodeView): Promise<NodeHealth> {
  const { service, readonly } = ground.instance.endpoints as { readonly service: Endpoint; readonly readonly: Endpoint }
  const [from, to] = [old.session!.redis, next.session!.redis]
  const lags = { ok: false, reason: `node ${next.node.ordinal} lags behind the master` }
  if (!isMaster(next)) {
    // Nobody would notice: a child has all connections that its server had, and until it ends clients wait for answers of a closed one.
    if (isForked(old)) return { ok: false, reason: `the master, node ${old.node.ordinal}, is writing its data to disk; it hands over afterwards` }
    if (!isLinked(next) || next.info('master_replid') !== old.info('master_replid')) {
      // It copies from somebody else, or not yet.
      const { address, port } = copyFromOld(ground, old)
      if (next.info('master_host') !== address || next.info('master_port') !== String(port)) {
        await all(from, [admitting(ground.password)])
        await all(to, [...obeying(ground.password), ['REPLICAOF', address, port]])
      }
      return { ok: false, reason: `node ${next.node.ordinal} does not have all data of the master, node ${old.node.ordinal}, yet` }
    }
    // While clients still write. One that just copied everything hears the rest only when its master has noticed the end of the copy.
    await lookAgain(old)
    if (!await reaches(next, offsetOf(old))) return lags
  }
  if (ground.give) return handOverTurned(ground, old, next, { pauseMs, freshForMs })
  const begun = performance.now()
  const answers = await relisten(old, [['CLIENT', 'PAUSE', pauseMs, 'WRITE']], leave(old, service), [...cut, ['INFO', 'replication']])
  checkpoint('engine.unbound')
  if (!isMaster(next)) {
    old.info = readInfo(`\n${String(answers.at(-1))}`)
    // Whatever went wrong, the new one has not heard of its role, so the old one may go on.
    const level = await reaches(next, offsetOf(old)).catch(() => false)
    if (!level || performance.now() - begun > freshForMs) {
      await relisten(old, [], take(old, service), [['CLIENT', 'UNPAUSE']])
      return lags
    }
  }
  // Of nobody yet: the new one would refuse it until it is promoted, and it would ask again only after a second.
  await all(from, [...obeying(ground.password), ['REPLICAOF', ...nobody(old.node)]])
  checkpoint('engine.demoted')
  // It leaves the readers' address for this one; those that read there are cut, for the address will be another's.
  await relisten(next, [admitting(ground.password), ['REPLICAOF', 'NO', 'ONE'], ...holds(next, readonly) ? cut : []], take(next, service), [])
  checkpoint('engine.promoted')
  const master = copyFrom(ground, next)
  await all(from, [['REPLICAOF', master.address, master.port], ['CLIENT', 'UNPAUSE']])
  await Promise.all([lookAgain(old), lookAgain(next)])
  await Promise.all([whereIs(old), whereIs(next)])
  return { ok: true }
}

/** The old master's own address, which it listens on until the end; on a shared host the instance's, unless it left that already. */
function copyFromOld(ground: Ground, old: NodeView): { readonly address: string; readonly port: number } {
  const service = ground.instance.endpoints['service']!
  return holds(old, service) ? copyFrom(ground, old) : { address: old.node.address, port: old.node.ports['service']! }
}
