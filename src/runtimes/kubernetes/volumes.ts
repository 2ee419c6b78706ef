/** More room for a node that goes on serving: its volume and its memory; and files that are brought into its volume. */
import { checkpoint } from '../../core/checkpoint.ts'
import { TerminalError } from '../../core/operation.ts'
import { nodeLabel, ours } from './manifests.ts'
import { bytesOf, hindrance, isRunning, memoryGiven, memoryLimit } from './states.ts'
import type { V1PersistentVolumeClaim, V1Pod } from '@kubernetes/client-node'
import type { Cluster } from './client.ts'
import type { Container, NodeSpec } from '../../core/runtime.ts'

interface Tools {
  readonly cluster: Cluster
  readonly podOf: (nodeId: string) => Promise<V1Pod | undefined>
  readonly seen: (nodeId: string, withinMs: number, look: () => Promise<boolean>) => Promise<boolean>
}

/** Volumes that grow do so within seconds, limits of memory at once. */
const growsWithinMs = 60_000

/** Makes a node's volume and memory at least as large as a new pod's would be; takes nothing away. Throws a TerminalError with the words of Kubernetes when that cannot be had. */
export async function widen(tools: Tools, spec: NodeSpec, container: Container): Promise<void> {
  await enlarge(tools, spec, container)
  const pod = await tools.podOf(spec.id)
  const { limit } = container.memory
  if (!pod || !isRunning(pod) || (memoryLimit(pod.spec) ?? Infinity) >= limit && (memoryGiven(pod) ?? Infinity) >= limit) return
  const uid = pod.metadata!.uid!
  const can = await tools.cluster.limit(pod.metadata!.name!, uid, limit)
  const now = await tools.podOf(spec.id)
  if (!can && now?.metadata?.uid === uid) throw new TerminalError('this cluster cannot give a pod that runs more memory: that needs Kubernetes 1.33')
  checkpoint('runtime.widened')
  const given = await tools.seen(spec.id, growsWithinMs, async () => {
    const found = await tools.podOf(spec.id)
    const infeasible = found?.status?.conditions?.find(({ type, reason }) => type === 'PodResizePending' && reason === 'Infeasible')
    if (infeasible) throw new TerminalError(`the pod of ${spec.id} cannot have more memory: ${infeasible.message}`)
    // Another one was made with it.
    return !found || found.metadata!.uid !== uid || (memoryGiven(found) ?? 0) >= limit
  })
  if (!given) throw new Error(`the pod of ${spec.id} has no more memory yet${pod ? `: ${hindrance(pod) ?? 'its machine does not say why'}` : ''}`)
}

/** What its files need at the very most; the rest of a volume is for comfort. */
const leastOf = ({ storageBytes }: Container): number => storageBytes - 2 ** 30

async function enlarge({ cluster, seen }: Tools, spec: NodeSpec, container: Container): Promise<void> {
  const claimOf = async (): Promise<V1PersistentVolumeClaim | undefined> => (await cluster.list('PersistentVolumeClaim', { ...ours, [nodeLabel]: spec.id }))[0]
  const claim = await claimOf()
  const has = (found: typeof claim): number => bytesOf(found?.status?.capacity?.['storage']) ?? Infinity
  if (!claim || has(claim) >= container.storageBytes) return
  try { await cluster.patch('PersistentVolumeClaim', claim.metadata!.name!, { spec: { resources: { requests: { storage: String(container.storageBytes) } } } }) } catch (error) {
    const { code } = error as { code?: number }
    if (code !== 403 && code !== 422) throw error
    // Its storage class has no volumes that grow.
    if (has(claim) >= leastOf(container)) return
    throw new TerminalError(`the volume of ${spec.id} has ${Math.floor(has(claim) / 2 ** 20)} MiB and needs ${Math.ceil(leastOf(container) / 2 ** 20)}; ${(error as Error).message}`)
  }
  checkpoint('runtime.enlarged')
  if (!await seen(spec.id, growsWithinMs, async () => has(await claimOf()) >= leastOf(container))) throw new Error(`the volume of ${spec.id} has not grown yet`)
}

/** The command that writes so many bytes of its input to a file, which is there whole or not at all. */
export function keep(path: string, bytes: number): string[] {
  const script = 'mkdir -p "${1%/*}" && head -c "$2" > "$1.$$" && [ "$(wc -c < "$1.$$")" -eq "$2" ] && { sync "$1.$$" 2>/dev/null || sync; } && mv "$1.$$" "$1" || { rm -f "$1.$$"; echo "the file did not come whole, or the volume is full" >&2; exit 1; }'
  return ['sh', '-c', script, 'keep', path, String(bytes)]
}
