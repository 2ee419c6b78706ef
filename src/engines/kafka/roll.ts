/**
 * Which broker of a rolling restart may stop next. As Strimzi's roller has it: whoever keeps a partition from falling
 * below what its producers need stays, everybody is caught up before the next one stops, the active controller is last.
 * It differs in one thing: a partition that nothing can save, for it has no replica to spare, is named and not waited for.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { describeCluster, describeQuorum, leastInSync, type ClusterView, type Partition, type Quorum } from './admin.ts'
import { clusterId, nodeId, votersOf } from './layout.ts'
import type { NodeRecord } from '../../core/instance.ts'
import type { World } from '../../core/engine.ts'
import type { Plan, PlannedNode } from '../../core/plan.ts'

/**
 * For how long every replica of everything is waited for. Somebody may be moving partitions, or one replica's disk may be
 * broken: after this only the messages' safety counts, which is waited for without an end but the operation's.
 */
const patienceMs = 60_000
/** Without an own setting or an answer: what the layout gives to clusters. */
const usualLeast = 2
/** A voter that has not had everything for this long is not counted on: Kafka's own bound for a follower that lost its leader. */
const voterLagMs = 2000
/** Three brokers are asked at each look, and they need the processor to catch up. */
const lookAgainMs = 50

/** Since when an instance has waited to be fully replicated, by its id. */
const waitingSince = new Map<string, number>()

export async function choose(world: World, behind: readonly NodeRecord[]): Promise<NodeRecord | string> {
  const chosen = await decide(world, behind)
  if (typeof chosen === 'string') await sleep(lookAgainMs)
  else waitingSince.delete(world.instance.id)
  return chosen
}

/** The brokers of a roll in their order, as it would be now: whoever is the active controller comes last. */
export async function inOrder(plan: Plan): Promise<Plan> {
  const controller = await Promise.any(plan.nodes.map(async ({ node }) => {
    const [{ leader }, { clusterId: cluster }] = await Promise.all([describeQuorum, describeCluster].map((ask) => ask(node.address, node.ports['service']!))) as [Quorum, ClusterView]
    return leader < 0 || cluster !== clusterId(node.instanceId) ? Promise.reject(new Error('no leader of these brokers')) : leader
  })).catch(() => null)
  if (controller === null) return { ...plan, gap: { ...plan.gap, why: `${plan.gap.why} The active controller comes last; no broker says now who that is.` } }
  const last = (one: PlannedNode): boolean => nodeId(one.node) === controller
  return { ...plan, nodes: [...plan.nodes.filter((one) => !last(one)).map((one) => ({ ...one, role: 'broker' })), ...plan.nodes.filter(last).map((one) => ({ ...one, role: 'controller', what: 'stopped and started last, as the active controller' }))] }
}

async function decide({ instance, nodes, progress }: World, behind: readonly NodeRecord[]): Promise<NodeRecord | string> {
  const [host, port] = [nodes[0]!.address, nodes[0]!.ports['service']!]
  const partitions = inEverybodysView((await Promise.all(nodes.map((node) => describeCluster(node.address, node.ports['service']!)))).map((view) => view.partitions))
  const lagging = partitions.filter((one) => one.inSync.length < one.replicas.length)
  if (lagging.length === 0) waitingSince.delete(instance.id)
  else {
    const since = waitingSince.get(instance.id) ?? Date.now()
    waitingSince.set(instance.id, since)
    const out = [...new Set(lagging.flatMap((one) => one.replicas.filter((id) => !one.inSync.includes(id))))].toSorted((a, b) => a - b)
    if (Date.now() - since < patienceMs) return `broker ${out.join(', ')} is catching up: ${lagging.length} partitions are not fully replicated, ${lagging[0]!.name} among them`
  }
  const [quorum, least] = [await describeQuorum(host, port), await leastInSync(host, port, [...new Set(partitions.map((one) => one.topic))])]
  if (quorum.leader < 0) return 'the controllers are electing a leader'
  const others = behind.filter((node) => nodeId(node) !== quorum.leader)
  let reason = ''
  for (const node of others.length > 0 ? others : behind) {
    const held = holdsBack(nodeId(node), partitions, least) ?? breaksQuorum(nodeId(node), votersOf(nodes).map(nodeId), quorum)
    if (held === null) {
      const lost = unsaved(nodeId(node), partitions, least)
      if (lost) progress(lost)
      return node
    }
    reason ||= held
  }
  return reason
}

/** In sync is who is in sync for all of them: one that lags behind the controller still shows what was. */
function inEverybodysView(views: readonly (readonly Partition[])[]): Partition[] {
  const merged = new Map<string, Partition>()
  for (const one of views.flat()) {
    const known = merged.get(one.name)
    merged.set(one.name, known ? { ...known, replicas: [...new Set([...known.replicas, ...one.replicas])], inSync: known.inSync.filter((id) => one.inSync.includes(id)) } : one)
  }
  return [...merged.values()]
}

/** As many as its producers need, or as many as there can be without this one. */
function holdsBack(id: number, partitions: readonly Partition[], least: ReadonlyMap<string, number>): string | null {
  const short = partitions.filter(({ topic, replicas, inSync }) => inSync.includes(id) && inSync.length - 1 < Math.min(least.get(topic) ?? usualLeast, replicas.length - 1))
  return short.length === 0 ? null : `broker ${id} cannot stop yet: ${short.length} partitions would have too few replicas in sync, ${short[0]!.name} among them`
}

function breaksQuorum(id: number, voters: readonly number[], { leader, caughtUpAt }: Quorum): string | null {
  if (!voters.includes(id)) return null
  const newest = caughtUpAt.get(leader) ?? 0
  const left = voters.filter((voter) => voter !== id && newest - (caughtUpAt.get(voter) ?? 0) < voterLagMs)
  return left.length > voters.length / 2 ? null : `broker ${id} cannot stop yet: of the other controllers only ${left.length} are caught up`
}

/** What this restart interrupts whatever the order, as a sentence. */
function unsaved(id: number, partitions: readonly Partition[], least: ReadonlyMap<string, number>): string | null {
  const touched = partitions.filter(({ replicas }) => replicas.includes(id))
  const alone = touched.filter(({ replicas }) => replicas.length === 1)
  const tight = touched.filter(({ topic, replicas }) => replicas.length > 1 && (least.get(topic) ?? usualLeast) >= replicas.length)
  const some = (list: readonly Partition[]): string => `${list.length} partitions (${list.slice(0, 3).map((one) => one.name).join(', ')}${list.length > 3 ? ' …' : ''})`
  const said = [
    ...(alone.length > 0 ? [`${some(alone)} have no other replica and are offline`] : []),
    ...(tight.length > 0 ? [`${some(tight)} need every replica in sync and take no acks=all message`] : []),
  ]
  return said.length === 0 ? null : `while broker ${id} restarts, ${said.join('; ')}`
}
