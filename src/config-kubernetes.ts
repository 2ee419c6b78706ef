/** The settings of the Kubernetes runtime, out of the environment. */

export interface KubernetesConfig {
  /** All instances are in this one, but for those whose project has one of its own. */
  readonly namespace: string
  /** The name of a project's own namespace, `{project}` standing for its id; null: there is one for all. */
  readonly projectNamespaces: string | null
  readonly images: { readonly redis: string; readonly kafka: string }
  readonly pullPolicy: 'IfNotPresent' | 'Always' | 'Never'
  readonly pullSecrets: readonly string[]
  /** How instances are reached: by an address of the cluster, by a port of its machines, or through a load balancer. */
  readonly exposure: 'ClusterIP' | 'NodePort' | 'LoadBalancer'
  /** The address by which clients reach a machine of the cluster, for NodePort; null: the first machine's own. */
  readonly machine: string | null
  /** null: the cluster's default. */
  readonly storageClass: string | null
  readonly kafkaStorageBytes: number
  /** Who servers run as; their volumes must be writable for it. */
  readonly userId: number
  readonly priorityClass: string | null
  /** Whom every NetworkPolicy of a whitelist lets in besides: where control planes connect from, as addresses, ranges, or `pods`. Null: the cluster's network enforces none. */
  readonly networkPolicies: readonly string[] | null
  readonly nodeSelector: Readonly<Record<string, string>>
  readonly tolerations: readonly object[]
}

/** Throws a sentence for what cannot work. */
export function readKubernetesConfig(env: NodeJS.ProcessEnv): KubernetesConfig {
  const text = (name: string): string | null => env[name]?.trim() ? env[name]!.trim() : null
  return {
    namespace: matching('SLUICE_KUBERNETES_NAMESPACE', text('SLUICE_KUBERNETES_NAMESPACE') ?? 'sluice', /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'the name of a namespace'),
    projectNamespaces: ofProjects(text('SLUICE_KUBERNETES_PROJECT_NAMESPACES')),
    images: { redis: text('SLUICE_REDIS_IMAGE') ?? 'redis:7', kafka: text('SLUICE_KAFKA_IMAGE') ?? 'apache/kafka:3.9.1' },
    pullPolicy: oneOf('SLUICE_KUBERNETES_PULL_POLICY', text('SLUICE_KUBERNETES_PULL_POLICY') ?? 'IfNotPresent', ['IfNotPresent', 'Always', 'Never']),
    pullSecrets: list(text('SLUICE_KUBERNETES_PULL_SECRETS')),
    exposure: oneOf('SLUICE_KUBERNETES_EXPOSURE', text('SLUICE_KUBERNETES_EXPOSURE') ?? 'ClusterIP', ['ClusterIP', 'NodePort', 'LoadBalancer']),
    machine: text('SLUICE_KUBERNETES_MACHINE'),
    storageClass: text('SLUICE_KUBERNETES_STORAGE_CLASS'),
    kafkaStorageBytes: gib('SLUICE_KUBERNETES_KAFKA_STORAGE', text('SLUICE_KUBERNETES_KAFKA_STORAGE') ?? '20'),
    userId: Number(matching('SLUICE_KUBERNETES_USER', text('SLUICE_KUBERNETES_USER') ?? '1000', /^\d{1,9}$/, 'the number of a user')),
    priorityClass: text('SLUICE_KUBERNETES_PRIORITY_CLASS'),
    networkPolicies: policies(text('SLUICE_KUBERNETES_NETWORK_POLICIES'), list(text('SLUICE_KUBERNETES_CONTROL_PLANES'))),
    nodeSelector: Object.fromEntries(list(text('SLUICE_KUBERNETES_NODE_SELECTOR')).map((pair) => {
      const [key, value] = matching('SLUICE_KUBERNETES_NODE_SELECTOR', pair, /^[^=]+=[^=]*$/, 'labels like disk=ssd,zone=a').split('=') as [string, string]
      return [key, value]
    })),
    tolerations: tolerations(text('SLUICE_KUBERNETES_TOLERATIONS')),
  }
}

/** An id has 32 digits at most, and a namespace 63. */
function ofProjects(value: string | null): string | null {
  if (value === null) return null
  const wrong = new Error(`SLUICE_KUBERNETES_PROJECT_NAMESPACES must be the name of a namespace with {project} once in it, like sluice-{project}, and at most 31 characters besides, not "${value}"`)
  const parts = value.split('{project}')
  if (parts.length !== 2 || !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(parts.join('0'.repeat(32)))) throw wrong
  return value
}

/** Without a way in for control planes the first whitelist would shut them out. */
function policies(setting: string | null, controlPlanes: readonly string[]): readonly string[] | null {
  if (setting === null) return null
  oneOf('SLUICE_KUBERNETES_NETWORK_POLICIES', setting, ['enforced'])
  if (controlPlanes.length === 0) throw new Error('SLUICE_KUBERNETES_NETWORK_POLICIES needs SLUICE_KUBERNETES_CONTROL_PLANES: the addresses or ranges that this server connects to pods from, or pods where it is one of the chart')
  return controlPlanes.map((one) => matching('SLUICE_KUBERNETES_CONTROL_PLANES', one, /^(pods|(\d{1,3}\.){3}\d{1,3}(\/\d{1,2})?)$/, 'addresses and ranges of IPv4, or pods'))
}

function list(value: string | null): string[] { return value?.split(',').map((one) => one.trim()).filter(Boolean) ?? [] }

function oneOf<T extends string>(name: string, value: string, known: readonly T[]): T {
  if (!(known as readonly string[]).includes(value)) throw new Error(`${name} must be one of ${known.join(', ')}`)
  return value as T
}

function matching(name: string, value: string, form: RegExp, what: string): string {
  if (!form.test(value)) throw new Error(`${name} must be ${what}, not "${value}"`)
  return value
}

function gib(name: string, value: string): number { return Number(matching(name, value, /^[1-9]\d{0,5}$/, 'a whole number of GiB')) * 2 ** 30 }

/** `dedicated=redis:NoSchedule,spot:NoExecute`: a key with or without a value, and the effect. */
function tolerations(value: string | null): object[] {
  return list(value).map((one) => {
    const [, key, , wanted, effect] = /^([^=:]+)(=([^:]*))?:(NoSchedule|PreferNoSchedule|NoExecute)$/.exec(one) ?? []
    if (!key) throw new Error(`SLUICE_KUBERNETES_TOLERATIONS must be like dedicated=redis:NoSchedule, not "${one}"`)
    return wanted === undefined ? { key, operator: 'Exists', effect } : { key, operator: 'Equal', value: wanted, effect }
  })
}
