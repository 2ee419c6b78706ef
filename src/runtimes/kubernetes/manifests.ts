/** What stands for an instance and its nodes in a cluster. Pure. */
import { createHash } from 'node:crypto'
import { leftPorts, listening, type EngineName, type Instance, type NodeRecord } from '../../core/instance.ts'
import { addressOf, rangesOf } from '../../core/sources.ts'
import type { Container, NodeSpec } from '../../core/runtime.ts'
import type { KubernetesConfig } from '../../config-kubernetes.ts'
import type { Manifest } from './client.ts'

/** Of everything that is made here. */
export const ours = { 'app.kubernetes.io/managed-by': 'sluice' } as const
export const nodeLabel = 'sluice/node'
export const generationLabel = 'sluice/generation'
export const endpointLabel = 'sluice/endpoint'
/** Of a namespace that is made for a project. */
export const projectLabel = 'sluice/project'
export const projectNameLabel = 'sluice/project-name'
/** What it was made as, so that a change by somebody else shows. */
export const madeAs = 'sluice/made-as'
/** No node has this name: a selector that names it selects nobody. */
export const nobody = 'nobody'

/** The folder of a node in its container. */
const home = '/sluice'
/** What lasts: the volume's part that is the server's. */
const lasting = 'data'

/** Where in a container a path of a node's folder is that lasts: folders besides `data` are inside of it, so that who runs already reaches them. */
export function inVolume(path: string): string { return `${home}/${isUsual(path) ? path : `${lasting}/${path}`}` }
function isUsual(path: string): boolean { return path === lasting || path.startsWith(`${lasting}/`) }

export const ofInstance = (instanceId: string) => ({ ...ours, 'app.kubernetes.io/instance': instanceId })
const labels = (engine: EngineName, instanceId: string, component: string) => ({ 'app.kubernetes.io/name': engine, ...ofInstance(instanceId), 'app.kubernetes.io/component': component })

export interface Owner { readonly name: string; readonly uid: string }
const owned = ({ name, uid }: Owner): object[] => [{ apiVersion: 'v1', kind: 'ConfigMap', name, uid, controller: false, blockOwnerDeletion: false }]
export const ownerName = (engine: EngineName, instanceId: string): string => `${engine}-${instanceId}`
export const nodeName = (engine: EngineName, nodeId: string): string => `${engine}-${nodeId}`
export const endpointName = (engine: EngineName, instanceId: string, endpoint: string): string => `${engine}-${instanceId}-${endpoint}`

export const connectionName = (engine: EngineName, instanceId: string): string => `${engine}-${instanceId}-connection`

/** All else belongs to it and goes with it, but for the data. */
export function owner(engine: EngineName, instanceId: string): Manifest & { readonly kind: 'ConfigMap' } {
  return made({ kind: 'ConfigMap', metadata: { name: ownerName(engine, instanceId), labels: labels(engine, instanceId, 'instance') }, data: { engine, instance: instanceId } })
}

/** The address of one node, for as long as it exists. */
export function nodeService(instance: Instance, node: NodeRecord, by: Owner, { exposure }: KubernetesConfig): Manifest & { readonly kind: 'Service' } {
  const { ports } = listening(node)
  return made({
    kind: 'Service', metadata: { name: nodeName(instance.engine, node.id), labels: { ...labels(instance.engine, instance.id, 'node'), [nodeLabel]: node.id }, ownerReferences: owned(by) },
    spec: {
      type: exposure, selector: { [nodeLabel]: node.id }, publishNotReadyAddresses: true,
      ...exposure === 'ClusterIP' && node.address !== '' ? { clusterIP: node.address } : {},
      ports: [
        ...Object.entries(ports).map(([name, port]) => ({ name, port: exposure === 'NodePort' ? port : node.ports[name]!, targetPort: name, protocol: 'TCP', ...exposure === 'NodePort' && node.address !== '' ? { nodePort: node.ports[name] } : {} })),
        ...left(instance, node.ports['service']),
      ],
    },
  })
}

/** An address of the instance, that leads to one of its nodes or to nobody. */
export function endpointService(instance: Instance, endpoint: string, holder: string | null, by: Owner, { exposure }: KubernetesConfig): Manifest & { readonly kind: 'Service' } {
  const { address, port } = instance.endpoints[endpoint]!
  const { spec, ...rest } = made({
    kind: 'Service' as const, metadata: { name: endpointName(instance.engine, instance.id, endpoint), labels: { ...labels(instance.engine, instance.id, 'endpoint'), [endpointLabel]: endpoint }, ownerReferences: owned(by) },
    spec: {
      type: exposure, publishNotReadyAddresses: true,
      ...exposure === 'ClusterIP' && address !== '' ? { clusterIP: address } : {},
      ports: [
        { name: 'service', port: exposure === 'NodePort' || address === '' ? instance.spec.port ?? standardPort(instance, port) : port, targetPort: 'service', protocol: 'TCP', ...exposure === 'NodePort' && address !== '' ? { nodePort: port } : {} },
        ...left(instance, port),
      ],
    },
  })
  // Whom it leads to is not part of what it was made as.
  return { ...rest, spec: { ...spec, selector: { [nodeLabel]: holder ?? nobody } } }
}

/** While the service port changes, who comes by the other one is let in as well. */
function left({ grants }: Instance, port: number | undefined): object[] {
  const others = grants[leftPorts]?.split(' ').map(Number).filter((one) => one !== port) ?? []
  return others.map((one) => ({ name: `left-${one}`, port: one, targetPort: 'service', protocol: 'TCP' }))
}

/** With ports of machines, the endpoint's own number is one of those. */
function standardPort(instance: Instance, port: number): number { return instance.engine === 'redis' ? 6379 : port }

/** What clients in the cluster need, for who may read Secrets: the keys are those of the Service Binding specification. */
export function connectionSecret(instance: Instance, connection: Readonly<Record<string, string>>, by: Owner): Manifest & { readonly kind: 'Secret' } {
  return made({
    kind: 'Secret', metadata: { name: connectionName(instance.engine, instance.id), labels: labels(instance.engine, instance.id, 'connection'), ownerReferences: owned(by) },
    data: Object.fromEntries(Object.entries(connection).map(([name, value]) => [name, Buffer.from(value).toString('base64')])),
  })
}

/** Of several nodes one may be taken away at a time, by people who empty machines. */
export function disruptionBudget(instance: Instance, by: Owner): Manifest & { readonly kind: 'PodDisruptionBudget' } {
  return made({
    kind: 'PodDisruptionBudget', metadata: { name: ownerName(instance.engine, instance.id), labels: labels(instance.engine, instance.id, 'instance'), ownerReferences: owned(by) },
    spec: { maxUnavailable: 1, selector: { matchLabels: { ...ofInstance(instance.id), 'app.kubernetes.io/component': 'node' } } },
  })
}

export const screenName = (engine: EngineName, instanceId: string): string => `${engine}-${instanceId}-whitelist`

/** Lets the instance's own pods in, the control planes, and who is listed; `controlPlanes`: addresses, ranges, and `pods` for those of the chart. */
export function networkPolicy(instance: Instance, by: Owner, controlPlanes: readonly string[]): Manifest & { readonly kind: 'NetworkPolicy' } {
  // The first address of a range, as the API server wants it.
  const range = (source: string): object => ({ ipBlock: { cidr: `${addressOf(rangesOf([source])[0]![0])}/${source.split('/')[1] ?? 32}` } })
  return made({
    kind: 'NetworkPolicy', metadata: { name: screenName(instance.engine, instance.id), labels: labels(instance.engine, instance.id, 'whitelist'), ownerReferences: owned(by) },
    spec: {
      podSelector: { matchLabels: { ...ofInstance(instance.id), 'app.kubernetes.io/component': 'node' } }, policyTypes: ['Ingress'],
      // The client's own name for `from`; by that one it would send a rule that lets everybody in.
      ingress: [{ _from: [
        { podSelector: { matchLabels: ofInstance(instance.id) } },
        // In whatever namespace they are; who may label pods there could connect as well.
        ...controlPlanes.map((one) => one === 'pods' ? { namespaceSelector: {}, podSelector: { matchLabels: { 'app.kubernetes.io/name': 'sluice' } } } : range(one)),
        ...(instance.spec.sources ?? []).map(range),
      ] }],
    },
  })
}

const key = (path: string): string => path.replaceAll('/', '_')

/** The node's files, those with secrets in a Secret. */
export function files(spec: NodeSpec, { secret }: Container, by: Owner): Manifest & { readonly kind: 'Secret' | 'ConfigMap' } {
  const text = Object.entries(spec.files).map(([path, content]): [string, string] => [key(path), secret ? Buffer.from(content).toString('base64') : content])
  return made({
    kind: secret ? 'Secret' : 'ConfigMap',
    metadata: { name: nodeName(spec.software.name, spec.id), labels: { ...labels(spec.software.name, spec.instanceId, 'node'), [nodeLabel]: spec.id }, ownerReferences: owned(by) },
    data: Object.fromEntries(text),
  })
}

export function statefulSet(spec: NodeSpec, container: Container, by: Owner, config: KubernetesConfig): Manifest & { readonly kind: 'StatefulSet' } {
  const name = nodeName(spec.software.name, spec.id)
  const marks = { ...labels(spec.software.name, spec.instanceId, 'node'), [nodeLabel]: spec.id }
  const { spec: asked, ...rest } = made({
    kind: 'StatefulSet' as const, metadata: { name, labels: { ...marks, [generationLabel]: String(spec.generation) }, ownerReferences: owned(by) },
    spec: {
      replicas: 1, serviceName: name, podManagementPolicy: 'Parallel',
      // Which pod is replaced when is decided here: a changed template alone restarts nothing.
      updateStrategy: { type: 'OnDelete' },
      // A StatefulSet that somebody deletes comes back, and must find its data.
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
      selector: { matchLabels: { [nodeLabel]: spec.id } },
      template: { metadata: { labels: { ...marks, [generationLabel]: String(spec.generation) } }, spec: podSpec(spec, container, name, config) },
    },
  })
  // What a volume is ordered as nobody can change, and it is not what its successors are ordered as.
  const volumeClaimTemplates = [{
    apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'data', labels: marks },
    spec: { accessModes: ['ReadWriteOnce'], ...config.storageClass === null ? {} : { storageClassName: config.storageClass }, resources: { requests: { storage: String(container.storageBytes) } } },
  }]
  return { ...rest, spec: { ...asked, volumeClaimTemplates } }
}

function podSpec(spec: NodeSpec, container: Container, name: string, config: KubernetesConfig): object {
  const user = config.userId
  return {
    automountServiceAccountToken: false, enableServiceLinks: false,
    terminationGracePeriodSeconds: seconds(spec.graceMs),
    securityContext: { runAsNonRoot: user !== 0, runAsUser: user, runAsGroup: user, fsGroup: user, fsGroupChangePolicy: 'OnRootMismatch', seccompProfile: { type: 'RuntimeDefault' } },
    affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: ofInstance(spec.instanceId) } } }] } },
    ...Object.keys(config.nodeSelector).length > 0 ? { nodeSelector: config.nodeSelector } : {},
    ...config.tolerations.length > 0 ? { tolerations: config.tolerations } : {},
    ...config.pullSecrets.length > 0 ? { imagePullSecrets: config.pullSecrets.map((one) => ({ name: one })) } : {},
    ...config.priorityClass === null ? {} : { priorityClassName: config.priorityClass },
    containers: [{
      name: 'engine', image: container.image, imagePullPolicy: config.pullPolicy, workingDir: home,
      command: container.command,
      env: [{ name: 'SLUICE_POD', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } }, ...Object.entries(container.env).map(([variable, value]) => ({ name: variable, value }))],
      ports: Object.entries(spec.listen?.ports ?? spec.ports).map(([port, number]) => ({ name: port, containerPort: number, protocol: 'TCP' })),
      resources: { limits: { memory: String(container.memory.limit) }, requests: { cpu: '10m', memory: String(container.memory.request) } },
      securityContext: { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
      readinessProbe: {
        ...'command' in container.ready ? { exec: { command: container.ready.command } } : { tcpSocket: { port: container.ready.port } },
        periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2,
      },
      // Its last lines say why a server ended.
      terminationMessagePolicy: 'FallbackToLogsOnError',
      volumeMounts: [
        // A volume may have a folder of its file system at its top, which is none of the server's.
        { name: 'data', mountPath: `${home}/${lasting}`, subPath: lasting },
        ...(spec.folders ?? []).filter((folder) => !isUsual(folder)).map((folder) => ({ name: 'data', mountPath: `${home}/${folder}`, subPath: `${lasting}/${folder}` })),
        ...Object.keys(spec.files).map((path) => ({ name: 'files', mountPath: `${home}/${path}`, subPath: key(path), readOnly: true })),
        { name: 'tmp', mountPath: '/tmp' },
      ],
    }],
    volumes: [
      { name: 'files', ...container.secret ? { secret: { secretName: name, defaultMode: 0o440 } } : { configMap: { name, defaultMode: 0o444 } } },
      { name: 'tmp', emptyDir: { sizeLimit: '64Mi' } },
    ],
  }
}

/** Never 0, which would let a successor start beside a server that still writes. */
export function seconds(ms: number): number { return Math.max(1, Math.ceil(ms / 1000)) }

/** Notes in the object itself what it is made as; of secrets only a hash. */
function made<M extends Manifest>(manifest: M): M {
  const content = manifest.data ? hash(JSON.stringify(sorted(manifest.data))) : JSON.stringify(manifest.spec)
  return { ...manifest, metadata: { ...manifest.metadata, annotations: { [madeAs]: content } } }
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex')
const sorted = (data: Readonly<Record<string, string>>): [string, string][] => Object.entries(data).toSorted(([a], [b]) => a < b ? -1 : 1)

interface Found { readonly metadata?: { annotations?: { [key: string]: string } }; readonly spec?: unknown; readonly data?: { [key: string]: string } }

/** Whether it still is what it was made as. Fields that the API server added do not count. */
export function isAsMade(object: Found): boolean {
  const note = object.metadata?.annotations?.[madeAs]
  if (note === undefined) return false
  if (object.data) return note === hash(JSON.stringify(sorted(object.data)))
  try { return includes(object.spec, JSON.parse(note)) } catch { return false }
}

function includes(found: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) return Array.isArray(found) && found.length === wanted.length && wanted.every((one, n) => includes(found[n], one))
  if (typeof wanted === 'object' && wanted !== null) {
    if (typeof found !== 'object' || found === null) return false
    return Object.entries(wanted).every(([name, value]) => includes((found as Record<string, unknown>)[name], value) && (!exact.includes(name) || Object.keys((found as Record<string, object>)[name]!).length === Object.keys(value as object).length))
  }
  return String(found) === String(wanted)
}
/** Maps in which one entry more means something else. */
const exact: readonly string[] = ['selector', 'matchLabels', 'nodeSelector']
