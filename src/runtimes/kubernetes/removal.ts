/** Leaves nothing of an instance, or of some of its nodes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { checkpoint } from '../../core/checkpoint.ts'
import type { Cluster, Kind } from './client.ts'

/** Volumes stay until the last pod that has them is gone. */
const goneWithinMs = 120_000
const lookAgainMs = 50
/** What starts pods first, then the pods, then what they need; the owner last, for what it takes along must not come back. */
const order: readonly Kind[] = ['StatefulSet', 'Pod', 'Service', 'PersistentVolumeClaim', 'Secret', 'PodDisruptionBudget', 'ConfigMap']

export async function removeAll(cluster: Cluster, groups: readonly Readonly<Record<string, string>>[]): Promise<void> {
  for (const giveUp = Date.now() + goneWithinMs; ; await sleep(lookAgainMs)) {
    let left = 0
    for (const kind of order) {
      const found = (await Promise.all(groups.map((labels) => cluster.list(kind, labels)))).flat()
      left += found.length
      await Promise.all(found.filter(({ metadata }) => !metadata!.deletionTimestamp || kind === 'Pod' && (metadata!.deletionGracePeriodSeconds ?? 0) > 1).map(({ metadata }) =>
        cluster.remove(kind, metadata!.name!, { uid: metadata!.uid!, ...kind === 'Pod' ? { graceSeconds: 1 } : {} })))
      if (found.length > 0) checkpoint(kind === 'Pod' ? 'runtime.killed' : 'runtime.removed')
    }
    if (left === 0) return
    if (Date.now() > giveUp) throw new Error(`${left} objects of the instance are not gone after ${goneWithinMs / 1000} s: a machine of the cluster may be cut off`)
  }
}
