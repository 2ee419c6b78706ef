/** Hears of changes, so that nobody has to look for them: which instance something happened to, and which node. */
import { nodeLabel, ours } from './manifests.ts'
import type { Connection, Kind } from './client.ts'

export interface Attention {
  /** Nothing was heard of the instance since `looked`, and everything would have been. */
  quiet(instanceId: string): boolean
  /** From now on what happens counts. */
  looked(instanceId: string, what: 'pods' | 'objects'): void
  /** Something is known to be wrong with it. */
  unsettle(instanceId: string): void
  /** Whether something may have happened to what stands for the instance besides its pods. */
  stirred(instanceId: string): boolean
  /** Resolves when something happens to the node, or after this long. */
  next(nodeId: string, ms: number): Promise<void>
  stop(): void
}

const pods: readonly Kind[] = ['Pod']
const objects: readonly Kind[] = ['Service', 'StatefulSet', 'Secret', 'ConfigMap']
/** What no event told of, for whatever reason, is found at the latest then. */
const trustForMs = 60_000

/** `namespace` null: in all of them. `more`: kinds of objects besides those that every instance has. */
export function watchCluster(connection: Connection, namespace: string | null, more: readonly Kind[], changed: () => void): Attention {
  const kinds = [...pods, ...objects, ...more]
  const silent = new Set<Kind>(kinds)
  /** When an instance was looked at without anything having happened since, by what was looked at. */
  const calm = { pods: new Map<string, number>(), objects: new Map<string, number>() }
  const waiting = new Map<string, Set<() => void>>()
  const stops = kinds.map((kind) => connection.watch(namespace, kind, ours, ({ metadata }) => {
    const instance = metadata?.labels?.['app.kubernetes.io/instance']
    if (instance) calm[pods.includes(kind) ? 'pods' : 'objects'].delete(instance)
    for (const wake of waiting.get(metadata?.labels?.[nodeLabel] ?? '') ?? []) wake()
    changed()
  }, (live) => {
    if (live) silent.delete(kind)
    else silent.add(kind)
    // What happened meanwhile is told by the list that a watch begins with, but not what happened before the first.
    for (const map of Object.values(calm)) map.clear()
  }))
  const isCalm = (what: 'pods' | 'objects', instanceId: string): boolean => silent.size === 0 && Date.now() - (calm[what].get(instanceId) ?? 0) < trustForMs
  return {
    quiet: (instanceId) => isCalm('pods', instanceId) && isCalm('objects', instanceId),
    looked(instanceId, what) { calm[what].set(instanceId, Date.now()) },
    unsettle(instanceId) { calm.objects.delete(instanceId) },
    stirred: (instanceId) => !isCalm('objects', instanceId),
    next(nodeId, ms) {
      return new Promise((resolve) => {
        const those = waiting.get(nodeId) ?? new Set()
        waiting.set(nodeId, those)
        const timer = setTimeout(wake, ms)
        function wake(): void {
          clearTimeout(timer)
          those.delete(wake)
          if (those.size === 0) waiting.delete(nodeId)
          resolve()
        }
        those.add(wake)
      })
    },
    stop() { for (const stop of stops) stop() },
  }
}
