/** The handover where an address is turned from one node to the other by somebody else, and not at one instant. */
import { checkpoint } from '../../core/checkpoint.ts'
import { all, readInfo } from './client.ts'
import { arrives } from './doors.ts'
import { admitting, nobody, obeying } from './replication.ts'
import { cut, isMaster, lookAgain, offsetOf, reaches, type NodeView } from './views.ts'
import type { NodeHealth } from '../../core/engine.ts'
import type { Ground } from './topology.ts'

/**
 * The address leads to the next master first, while those who have a connection go on writing to the old one: turning it
 * takes up to a second, and so nobody waits for that. Who comes meanwhile finds a replica, which takes no write. Then the
 * old one pauses and becomes a replica, the next one a master, and only then the clients are cut: they find the new one.
 */
export async function handOverTurned(ground: Ground, old: NodeView, next: NodeView, { pauseMs, freshForMs }: { readonly pauseMs: number; readonly freshForMs: number }): Promise<NodeHealth> {
  const [from, to, give] = [old.session!.redis, next.session!.redis, ground.give!]
  ground.progress('turning the address', next.node.id)
  await give('service', next.node)
  if (!await arrives(ground, next, 'service')) {
    await give('service', old.node)
    return { ok: false, reason: `the address of the instance does not lead to node ${next.node.ordinal} yet` }
  }
  if (!isMaster(next)) {
    const begun = performance.now()
    const answers = await all(from, [['CLIENT', 'PAUSE', pauseMs, 'WRITE'], ['INFO', 'replication']])
    checkpoint('engine.paused')
    old.info = readInfo(`\n${String(answers.at(-1))}`)
    const level = await reaches(next, offsetOf(old)).catch(() => false)
    if (!level || performance.now() - begun > freshForMs) {
      await all(from, [['CLIENT', 'UNPAUSE']])
      await give('service', old.node)
      return { ok: false, reason: `node ${next.node.ordinal} lags behind the master` }
    }
  }
  // Of nobody yet, as in the other handover.
  await all(from, [...obeying(ground.password), ['REPLICAOF', ...nobody(old.node)]])
  checkpoint('engine.demoted')
  await all(to, [admitting(ground.password), ['REPLICAOF', 'NO', 'ONE']])
  checkpoint('engine.promoted')
  // Cut before they are let go on: what they have sent and was not done is theirs to send again, to the new one.
  await all(from, [...cut, ['REPLICAOF', next.node.address, next.node.ports['service']!], ['CLIENT', 'UNPAUSE']])
  await Promise.all([lookAgain(old), lookAgain(next)])
  const { address, port } = ground.instance.endpoints['service']!
  old.places = old.places.filter((place) => place !== `${address}:${port}`)
  next.places = [...next.places, `${address}:${port}`]
  return { ok: true }
}
