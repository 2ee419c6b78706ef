/** What stands for an instance besides its pods: the addresses of its nodes and its own, and what belongs to all of them. */
import { away } from '../../core/away.ts'
import { checkpoint } from '../../core/checkpoint.ts'
import { listening, type Endpoint, type Instance, type NodeRecord } from '../../core/instance.ts'
import { connectionName, connectionSecret, disruptionBudget, endpointName, endpointService, isAsMade, nodeLabel, nodeName, nodeService, ofInstance, owner, ownerName, screenName, type Owner } from './manifests.ts'
import { screen } from './screen.ts'
import type { V1Service } from '@kubernetes/client-node'
import type { Provision } from '../../core/runtime.ts'
import type { Ground } from './index.ts'

export async function provide({ cluster, config, space }: Ground, instance: Instance, nodes: readonly NodeRecord[]): Promise<Provision> {
  // Who may not see namespaces was given one.
  const there = await cluster.read('Namespace', cluster.namespace).catch((error: { code?: number }) => { if (error.code === 403) return undefined; throw error })
  if (there?.metadata?.deletionTimestamp) throw away(`the namespace ${cluster.namespace} is being deleted`, null)
  if (there === null) await cluster.put(space)
  const by = ownerIn(await cluster.put(owner(instance.engine, instance.id)))
  // Before a pod can be reached.
  await screen({ cluster, config }, instance, by)
  const machine = config.exposure === 'NodePort' ? await machineAddress({ cluster, config }) : null
  const reached = (service: V1Service): string => machine ?? (config.exposure === 'LoadBalancer' ? balanced(service) : service.spec!.clusterIP!)
  const portsOf = (service: V1Service): Record<string, number> => Object.fromEntries(service.spec!.ports!.map((port) => [port.name!, machine ? port.nodePort! : port.port]))
  const placed = Promise.all(nodes.map(async (node): Promise<NodeRecord> => {
    const service = await cluster.put(nodeService(instance, node, by, config))
    return node.address === '' ? { ...node, address: reached(service), ports: portsOf(service), listen: listening(node) } : node
  }))
  const endpoints = Promise.all(Object.entries(instance.endpoints).map(async ([name, endpoint]): Promise<[string, Endpoint]> => {
    const found = await cluster.read('Service', endpointName(instance.engine, instance.id, name))
    const service = await cluster.put(endpointService(instance, name, found?.spec?.selector?.[nodeLabel] ?? null, by, config))
    return [name, endpoint.address === '' ? { address: reached(service), port: portsOf(service)['service']! } : endpoint]
  }))
  const budget = nodes.length > 1 ? cluster.put(disruptionBudget(instance, by)) : null
  // All at once, or one that fails while another is waited for would fail unheard.
  const [found, own] = await Promise.all([placed, endpoints, budget])
  checkpoint('runtime.provided')
  return { nodes: found, endpoints: Object.fromEntries(own) }
}

/** One request, by which the old and the new holder change places: there is no instant with two. */
export async function give({ cluster, config }: Ground, instance: Instance, endpoint: string, nodeId: string | null): Promise<void> {
  const by = ownerIn(await cluster.read('ConfigMap', ownerName(instance.engine, instance.id)) ?? await cluster.put(owner(instance.engine, instance.id)))
  await cluster.put(endpointService(instance, endpoint, nodeId, by, config))
  checkpoint('runtime.given')
}

/** A Secret that pods of clients can take their settings from. */
export async function publish({ cluster }: Ground, instance: Instance, connection: Readonly<Record<string, string>>): Promise<void> {
  const by = ownerIn(await cluster.read('ConfigMap', ownerName(instance.engine, instance.id)) ?? await cluster.put(owner(instance.engine, instance.id)))
  await cluster.put(connectionSecret(instance, connection, by))
  checkpoint('runtime.published')
}

/** Asks only when something happened since it was asked last. */
export async function drifted({ cluster, attention, config }: Ground, instance: Instance, nodes: readonly NodeRecord[]): Promise<string | null> {
  if (!attention.stirred(instance.id)) return null
  attention.looked(instance.id, 'objects')
  const listed = Boolean(instance.spec.sources && config.networkPolicies)
  const kinds = ['Service', 'StatefulSet', 'Secret', 'ConfigMap', ...listed ? ['NetworkPolicy'] as const : []] as const
  const found = new Map(await Promise.all(kinds.map(async (kind) => [kind, new Map((await cluster.list(kind, ofInstance(instance.id))).map((object) => [object.metadata!.name!, object]))] as const)))
  const settingsOf = (name: string): 'Secret' | 'ConfigMap' => found.get('Secret')!.has(name) ? 'Secret' : 'ConfigMap'
  const wanted = [
    ['ConfigMap', ownerName(instance.engine, instance.id)] as const, ['Secret', connectionName(instance.engine, instance.id)] as const,
    ...nodes.map((node) => nodeName(instance.engine, node.id)).flatMap((name) => [['Service', name], ['StatefulSet', name], [settingsOf(name), name]] as const),
    ...Object.keys(instance.endpoints).map((name) => ['Service', endpointName(instance.engine, instance.id, name)] as const),
    ...listed ? [['NetworkPolicy', screenName(instance.engine, instance.id)] as const] : [],
  ]
  const said = wanted.flatMap(([kind, name]) => {
    const object = found.get(kind)!.get(name)
    if (!object) return [kind === settingsOf(name) && kind === 'ConfigMap' ? `the configuration of ${name} is gone` : `the ${kind} ${name} is gone`]
    return isAsMade(object) && !object.metadata!.deletionTimestamp ? [] : [`the ${kind} ${name} was changed by somebody`]
  })
  if (said.length === 0) return null
  // Not calm before it is as it should be.
  attention.unsettle(instance.id)
  return said.join('; ')
}

function ownerIn({ metadata }: { metadata?: { name?: string; uid?: string } }): Owner { return { name: metadata!.name!, uid: metadata!.uid! } }

/** Clouds take their time, often half a minute. */
function balanced(service: V1Service): string {
  const address = service.status?.loadBalancer?.ingress?.[0]
  if (!address?.ip && !address?.hostname) throw away(`the load balancer of ${service.metadata!.name} has no address yet`, null)
  return address.ip ?? address.hostname!
}

async function machineAddress({ cluster, config }: Pick<Ground, 'cluster' | 'config'>): Promise<string> {
  if (config.machine) return config.machine
  const addresses = (await cluster.list('Node', {})).flatMap((node) => node.status?.addresses ?? [])
  const found = addresses.find(({ type }) => type === 'ExternalIP') ?? addresses.find(({ type }) => type === 'InternalIP')
  if (!found) throw new Error('no machine of the cluster tells its address: set SLUICE_KUBERNETES_MACHINE')
  return found.address
}
