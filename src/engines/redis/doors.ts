/** How an address of the instance comes to a node and leaves it: the server listens there itself, or what leads there is turned. */
import { setTimeout as sleep } from 'node:timers/promises'
import { all, openSession } from './client.ts'
import { cut, leave, move, take, type NodeView } from './views.ts'
import type { NodeHealth } from '../../core/engine.ts'
import type { Endpoint } from '../../core/instance.ts'
import type { Ground } from './topology.ts'

/** The machines of a cluster hear of it within a second; one that is starved later. */
const arrivesWithinMs = 5000
const askAgainMs = 5

/** The address leads to this node from now on; clients that came by it to one of `from` are cut. */
export async function occupy(ground: Ground, view: NodeView, endpoint: 'service' | 'readonly', from: readonly NodeView[]): Promise<void> {
  const { address, port } = ground.instance.endpoints[endpoint]!
  if (!ground.give) return move(view, take(view, { address, port }))
  await ground.give(endpoint, view.node)
  await arrives(ground, view, endpoint)
  await Promise.all(from.filter((other) => other !== view && other.session).map((other) => all(other.session!.redis, cut)))
  for (const other of from) other.places = other.places.filter((place) => place !== `${address}:${port}`)
  view.places = [...view.places, `${address}:${port}`]
}

/** It leads there no more. */
export async function vacateDoor(ground: Ground, view: NodeView, endpoint: 'service' | 'readonly'): Promise<void> {
  const { address, port } = ground.instance.endpoints[endpoint]!
  if (!ground.give) return move(view, leave(view, { address, port }))
  await ground.give(endpoint, null)
  await all(view.session!.redis, cut)
  view.places = view.places.filter((place) => place !== `${address}:${port}`)
}

/** Whether who knocks at the address comes to this node, now or soon. */
export async function arrives(ground: Ground, view: NodeView, endpoint: 'service' | 'readonly'): Promise<boolean> {
  for (const giveUp = performance.now() + arrivesWithinMs; performance.now() < giveUp; await sleep(askAgainMs)) {
    if (await answersAt(ground, view, ground.instance.endpoints[endpoint]!)) return true
  }
  return false
}

/** Whether every address that clients are told leads to its node: the instance's to the master, or each node's own where the instance has none. */
export async function arrived(ground: Ground): Promise<NodeHealth> {
  const { instance: { endpoints, grants }, nodes, states } = ground
  for (const [n, node] of nodes.entries()) {
    if (endpoints['service'] && node.id !== grants['master']) continue
    const door = endpoints['service'] ?? { address: node.address, port: node.ports['service']! }
    if (!await answersAt(ground, { node, state: states[n]! }, door)) return { ok: false, reason: `${door.address}:${door.port} does not lead to node ${node.ordinal} yet` }
  }
  return { ok: true }
}

async function answersAt(ground: Ground, { node, state }: Pick<NodeView, 'node' | 'state'>, door: Endpoint): Promise<boolean> {
  const session = await openSession({ ...ground.reach(node, state), doors: [door] }).catch(() => null)
  session?.redis.disconnect()
  return session !== null
}
