/** Redis Clusters for tests: how they are ordered, reached, and looked into. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Cluster, Redis } from 'ioredis'
import { password, type Server } from './server.ts'

/** Three shards of two nodes, the smallest that is sold with replicas. */
export const smallCluster = { spec_code: 'redis.cluster.xu1.large.r2.4', capacity: 4 }

export interface ClusterNode { readonly id: string; readonly ordinal: number; readonly address: string; readonly port: number; readonly pid: number }

/** A client as a customer has one; it learns of the other nodes by itself. */
export function clusterClient(instance: { ip: string; port: number }): Cluster {
  const cluster = new Cluster([{ host: instance.ip.split(',')[0]!, port: instance.port }], {
    redisOptions: { password, protocol: 2 }, slotsRefreshTimeout: 5000, clusterRetryStrategy: () => 20,
    // As often as it takes: the tests count what was acknowledged, and ask when it was.
    retryDelayOnFailover: 10, retryDelayOnClusterDown: 10, retryDelayOnTryAgain: 10, maxRedirections: 3000,
  })
  cluster.on('error', () => {})
  return cluster
}

export async function clusterNodes(server: Server, id: string): Promise<ClusterNode[]> {
  const { json } = await server.call('console', 'GET', '/v1/nodes')
  return json.nodes.filter((node: any) => node.instance_id === id)
    .map((node: any) => ({ id: node.id, ordinal: Number(node.id.split('-').at(-1)), address: node.address, port: node.ports.service, pid: node.pid }))
    .toSorted((a: ClusterNode, b: ClusterNode) => a.ordinal - b.ordinal)
}

/** One command to one node, by a customer. */
export async function tell<T = string>(node: Pick<ClusterNode, 'address' | 'port'>, ...command: [string, ...(string | number)[]]): Promise<T> {
  const redis = new Redis({ host: node.address, port: node.port, password, protocol: 2, retryStrategy: () => null, maxRetriesPerRequest: 0 })
  redis.on('error', () => {})
  try { return await redis.call(...command) as T } finally { redis.disconnect() }
}

/** A node's own line of CLUSTER NODES: id, flags, epoch and slots. */
export async function selfOf(node: ClusterNode): Promise<{ readonly id: string; readonly role: 'master' | 'slave'; readonly master: string; readonly epoch: number; readonly slots: string }> {
  const line = (await tell(node, 'CLUSTER', 'NODES')).split('\n').find((one) => one.includes('myself'))!.trim().split(' ')
  return { id: line[0]!, role: line[2]!.includes('master') ? 'master' : 'slave', master: line[3]!, epoch: Number(line[6]), slots: line.slice(8).join(' ') }
}

/** How often each node of an instance was started. */
export function clusterStarts(home: string, nodes: readonly Pick<ClusterNode, 'id'>[]): number[] {
  return nodes.map(({ id }) => {
    const path = join(home, 'nodes', id, 'log')
    return existsSync(path) ? [...readFileSync(path, 'utf8').matchAll(/Redis is starting/g)].length : 0
  })
}
