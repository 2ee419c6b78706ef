/** A Redis Cluster: shards that each own a part of the slots, each with a master and as many replicas as were ordered. */
import { choose, promote, vacate } from './cluster-roll.ts'
import { arrange } from './cluster-roles.ts'
import { answering, judgeCluster } from './cluster-judge.ts'
import { busPort, byShard, lookAtCluster, masterGrant, nodeTimeoutMs, ownerOf, shardsOf, slotCount } from './cluster-views.ts'
import { closeAll } from './seen.ts'
import { all } from './client.ts'
import { copying } from './replication.ts'
import { dataFolder, usualFolder } from './data-folder.ts'
import { listening, type Endpoint } from '../../core/instance.ts'
import type { ClusterView } from './cluster-views.ts'
import type { Topology } from './topology.ts'

/** What the standard bus port is above the service's; said only where it differs, for Redis 6.2 knows no other. */
const busAbove = 10_000

export const cluster: Topology = {
  ports: { service: 6379, bus: 16379 }, endpoints: {},
  doors: (_instance, node) => [{ address: node.address, port: node.ports['service']! }],
  readdress({ endpoints }, nodes, port) {
    if (nodes.some((node) => nodes.some((other) => other !== node && other.address === node.address))) return 'the nodes of a cluster share one address here, and only one of them could have that port'
    if (nodes.some((node) => busPort(node) === port)) return `port ${port} is the one of the cluster's own traffic`
    return { endpoints, ports: Object.fromEntries(nodes.map((node) => [node.id, { ...node.ports, bus: busPort(node), service: port }])) }
  },
  configuration: ({ grants, spec }, node) => [
    'databases 1',
    'cluster-enabled yes', `cluster-config-file ${dataFolder({ grants }) === usualFolder ? '' : `../${usualFolder}/`}nodes.conf`, `cluster-node-timeout ${nodeTimeoutMs}`,
    `cluster-announce-ip ${node.address}`, `cluster-announce-port ${node.ports['service']}`, `cluster-announce-bus-port ${busPort(node)}`,
    // Without a plain port Redis would count from 0.
    ...!spec.tls && busPort(listening(node)) === listening(node).ports['service']! + busAbove ? [] : [`cluster-port ${busPort(listening(node))}`],
    // A master knows its replicas by where they say they are, not by where they come from.
    ...node.listen ? [`replica-announce-ip ${node.address}`, `replica-announce-port ${node.ports['service']}`] : [],
    // A shard that is gone for a moment must not take the others with it.
    'cluster-require-full-coverage no',
    // Which replica belongs to which shard is ours to say.
    'cluster-allow-replica-migration no',
    ...copying(),
  ],
  // All of CLUSTER but what clients need to find their way; 6.2 can only be told so, not the other way around.
  withheld: `-cluster ${['slots', 'shards', 'nodes', 'info', 'myid', 'keyslot', 'countkeysinslot', 'getkeysinslot', 'replicas', 'slaves', 'links', 'count-failure-reports', 'help'].map((name) => `+cluster|${name}`).join(' ')}`,
  async probe(ground) {
    const views = await lookAtCluster(ground)
    try { return judgeCluster(ground, views) } finally { closeAll(views) }
  },
  roles({ spec, grants }, nodes) {
    const shards = shardsOf({ spec, grants }, nodes)
    return new Map(nodes.map((node): [string, { role: 'master' | 'replica'; shard: number; at: Endpoint }] => {
      const shard = shards.get(node.id)!
      // Before it was seen for the first time, the first node of each shard is about to be its master.
      const master = grants[masterGrant(shard)] ?? nodes.find((other) => shards.get(other.id) === shard)!.id
      return [node.id, { role: node.id === master ? 'master' : 'replica', shard, at: { address: node.address, port: node.ports['service']! } }]
    }))
  },
  arrange, choose, promote, vacate,
  resizes: ['replicas', 'shards'],
  async masters(ground, key) {
    const views = await lookAtCluster(ground)
    try {
      const silent = answering(views)
      if (silent) throw new Error(silent)
      return await Promise.all(byShard(views, shardsOf(ground.instance, ground.nodes)).map(async ([shard, members]) => {
        const owner = ownerOf(members)
        if (!owner) throw new Error(`nobody owns the slots of shard ${shard}`)
        return { node: owner.node, replicas: members.length - 1, key: await keyFor(owner, key) }
      }))
    } finally { closeAll(views) }
  },
}

/** How many tags are tried at once; with three shards the third fits on average. */
const tagsAtOnce = 64

/** The first of key{0}, key{1}, … that falls into a slot of this node: the same one whoever of the shard is its master. */
async function keyFor({ session, me }: ClusterView, key: string): Promise<string> {
  for (let from = 0; from < slotCount; from += tagsAtOnce) {
    const keys = Array.from({ length: tagsAtOnce }, (_, n) => `${key}{${from + n}}`)
    const slots = await all(session!.redis, keys.map((one) => ['CLUSTER', 'KEYSLOT', one])) as number[]
    const fits = slots.findIndex((slot) => me!.slots.some(([first, last]) => slot >= first && slot <= last))
    if (fits >= 0) return keys[fits]!
  }
  throw new Error('no key falls into the slots of a master')
}
