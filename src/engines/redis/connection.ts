/** What a client of a Redis needs to connect. */
import type { Instance, NodeRecord } from '../../core/instance.ts'
import type { RedisSecrets } from './layout.ts'

/** The address that follows the master, or the first node's; of a cluster also all the others. */
export function connectionOf(instance: Instance, nodes: readonly NodeRecord[], secrets: Pick<RedisSecrets, 'customer'>): Record<string, string> {
  const [first] = nodes as readonly [NodeRecord]
  const { address: host, port } = instance.endpoints['service'] ?? { address: first.address, port: first.ports['service']! }
  const password = secrets.customer(instance)
  const readers = instance.endpoints['readonly']
  const inUri = host.includes(':') ? `[${host}]` : host
  return {
    type: 'redis', provider: 'sluice', host, port: String(port), uri: `redis${instance.spec.tls ? 's' : ''}://${password === null ? '' : `:${encodeURIComponent(password)}@`}${inUri}:${port}`,
    ...password === null ? {} : { password },
    ...instance.spec.tls ? { 'ca.crt': instance.spec.tls.authority } : {},
    ...readers ? { 'readonly-host': readers.address, 'readonly-port': String(readers.port) } : {},
    ...instance.spec.topology === 'cluster' ? { nodes: nodes.map((node) => `${node.address}:${node.ports['service']}`).join(',') } : {},
  }
}
