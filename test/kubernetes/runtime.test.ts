/** The runtime contract, by pods of a real cluster. */
import { containKafka } from '../../src/engines/kafka/container.ts'
import { containRedis } from '../../src/engines/redis/container.ts'
import { kubernetesRuntime, type KubernetesRuntime } from '../../src/runtimes/kubernetes/index.ts'
import { connectedTo, runtimeContract } from '../contracts/runtime.ts'
import { instanceFor } from '../contracts/engine.ts'
import { inCluster } from './cluster.ts'
import type { Engine } from '../../src/core/engine.ts'

runtimeContract('kubernetes runtime', async () => {
  const cluster = await inCluster()
  const made: KubernetesRuntime[] = []
  const again = (): KubernetesRuntime => {
    const runtime = kubernetesRuntime(cluster.config, { redis: containRedis(cluster.config.images.redis), kafka: containKafka(cluster.config.images.kafka, 2 ** 30) }, async () => null)
    made.push(runtime)
    return runtime
  }
  const runtime = again()
  const used: string[] = []
  return {
    runtime, again,
    async place(instanceId, nodeId, place) {
      used.push(instanceId)
      const listen = { address: '0.0.0.0', ports: { service: 6379 } }
      const { nodes: [node] } = await runtime.provide!(instanceFor({ name: 'redis' } as Engine, '7.0', 'f', 1, instanceId), [{ id: nodeId, instanceId, ordinal: 0, host: 'h', address: place?.address ?? '', ports: place ? { service: place.port } : { service: 6379 }, listen }])
      return { address: node!.address, port: node!.ports['service']!, listen }
    },
    alive: async () => (await cluster.kubectl('get', 'pods', '-l', 'app.kubernetes.io/managed-by=sluice', '-o', 'name')).split('\n').filter(Boolean).length,
    async sizeOf({ id }, path) { return Number(await cluster.kubectl('exec', `redis-${id}-0`, '--', 'sh', '-c', `[ ! -e ${path} ] || wc -c < ${path}`)) || null },
    async crash({ address, ports }) {
      const redis = await connectedTo(address, ports['service']!)
      redis.options.retryStrategy = () => null
      await redis.call('SHUTDOWN', 'NOSAVE').catch(() => {})
      redis.disconnect()
    },
    async destroy() {
      await Promise.all([...new Set(used)].map((id) => runtime.remove(id, [], { all: true })))
      for (const one of made) one.close()
      await cluster.destroy()
    },
  }
})
