/** Who may connect, as an object that the cluster's network is asked to enforce: whether it does, no API server knows. */
import { TerminalError } from '../../core/operation.ts'
import { networkPolicy, screenName, type Owner } from './manifests.ts'
import type { Instance } from '../../core/instance.ts'
import type { KubernetesConfig } from '../../config-kubernetes.ts'
import type { Ground } from './index.ts'

/** Why it cannot be had, with the next step; null: it can. */
export function unscreened({ exposure, networkPolicies }: KubernetesConfig): string | null {
  if (!networkPolicies) return "a whitelist is the cluster's network's to enforce: where that does so, set SLUICE_KUBERNETES_NETWORK_POLICIES to enforced, as docs/kubernetes.md says"
  return exposure === 'ClusterIP' ? null : `with SLUICE_KUBERNETES_EXPOSURE ${exposure} the machines of a cluster may hide where clients come from: use a firewall in front of it`
}

/** Makes the policy that of the instance's spec, or takes it away. */
export async function screen({ cluster, config }: Pick<Ground, 'cluster' | 'config'>, instance: Instance, by: Owner): Promise<void> {
  if (!instance.spec.sources) {
    if (config.networkPolicies) await cluster.remove('NetworkPolicy', screenName(instance.engine, instance.id))
    return
  }
  const reason = unscreened(config)
  if (reason !== null) throw new TerminalError(`its whitelist cannot be put in force: ${reason}`)
  await cluster.put(networkPolicy(instance, by, config.networkPolicies!))
}
