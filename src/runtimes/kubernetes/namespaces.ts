/** In which namespace an instance is: in that of its project, where each has one of its own, or in the one for all. */
import { ofInstance, ours, projectLabel, projectNameLabel } from './manifests.ts'
import type { Cluster, Manifest } from './client.ts'
import type { KubernetesConfig } from '../../config-kubernetes.ts'

export interface Tenant { readonly id: string; readonly name: string }
/** The project that an instance belongs to; null: nobody knows the instance. */
export type TenantOf = (instanceId: string) => Promise<Tenant | null>

export interface Place { readonly cluster: Cluster; /** How the namespace is made if it is missing. */ readonly space: Manifest & { readonly kind: 'Namespace' } }

export interface Places {
  of(instanceId: string): Promise<Place>
  forget(instanceId: string): void
}

/** Where there is something of an instance it stays there, so that a change of the setting moves nothing. */
export function places(config: KubernetesConfig, within: (namespace: string) => Cluster, tenantOf: TenantOf): Places {
  const known = new Map<string, Place>()
  const forAll: Place = { cluster: within(config.namespace), space: { kind: 'Namespace', metadata: { name: config.namespace } } }

  return {
    async of(instanceId) {
      if (config.projectNamespaces === null) return forAll
      const found = known.get(instanceId)
      if (found) return found
      const tenant = await tenantOf(instanceId)
      if (!tenant) return forAll
      const own = ownPlace(config.projectNamespaces.replace('{project}', tenant.id), tenant)
      for (const place of [own, forAll]) {
        // Volumes outlive an owner that somebody deletes.
        for (const kind of ['ConfigMap', 'PersistentVolumeClaim'] as const) {
          if ((await place.cluster.list(kind, ofInstance(instanceId))).length === 0) continue
          known.set(instanceId, place)
          return place
        }
      }
      return own
    },
    forget(instanceId) { known.delete(instanceId) },
  }

  function ownPlace(name: string, tenant: Tenant): Place {
    const labels = { ...ours, [projectLabel]: tenant.id, ...isLabel(tenant.name) ? { [projectNameLabel]: tenant.name } : {} }
    return { cluster: within(name), space: { kind: 'Namespace', metadata: { name, labels } } }
  }
}

function isLabel(text: string): boolean { return /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/.test(text) }

/** Nodes are called after their instance. */
export function instanceOf(nodeId: string): string { return nodeId.slice(0, nodeId.lastIndexOf('-')) }
