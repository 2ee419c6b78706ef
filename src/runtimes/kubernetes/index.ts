/**
 * Nodes as pods: one StatefulSet of one replica for each, so that Kubernetes revives it while no control plane runs and
 * never starts a second one beside it, while the order of restarts stays ours. What runs is read from the API server; what
 * was wanted last is in the StatefulSet. A pod is ended by its uid and with a grace period of at least a second.
 */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { away } from '../../core/away.ts'
import { checkpoint } from '../../core/checkpoint.ts'
import { connectCluster, isConflict } from './client.ts'
import { instanceOf, places, type Place, type Places, type TenantOf } from './namespaces.ts'
import { files, inVolume, nodeLabel, nodeName, ofInstance, owner, ownerName, ours, endpointLabel, seconds, statefulSet, type Owner } from './manifests.ts'
import { drifted, give, provide, publish } from './standing.ts'
import { generationOf, hasEnded, hindrance, isRunning, memoryLimit, refusal, stateOf } from './states.ts'
import { keep, widen } from './volumes.ts'
import { removeAll } from './removal.ts'
import { unscreened } from './screen.ts'
import { watchCluster, type Attention } from './watch.ts'
import type { V1Pod } from '@kubernetes/client-node'
import type { Contain, NodeSpec, NodeState, Runtime } from '../../core/runtime.ts'
import type { EngineName } from '../../core/instance.ts'
import type { KubernetesConfig } from '../../config-kubernetes.ts'

export interface KubernetesRuntime extends Runtime {
  /** Called when something happened to a node or to what stands for it. */
  onChange(listener: () => void): void
  close(): void
}

/** Images are pulled and volumes made within this, or the step looks again; less than a creation may take. */
const startsWithinMs = 60_000
/** Longer than any grace period: a machine that is gone keeps its pods for as long as nobody knows about them. */
const goneWithinMs = 90_000
const remindEveryMs = 5000
/** Events wake us; this is for one that got lost. */
const lookAgainMs = 500

/** What it is at work with for one instance. */
export interface Ground extends Place { readonly attention: Attention; readonly config: KubernetesConfig }

/** `tenantOf`: asked where projects have namespaces of their own. */
export function kubernetesRuntime(config: KubernetesConfig, contain: Readonly<Record<EngineName, Contain>>, tenantOf: TenantOf): KubernetesRuntime {
  const listeners: (() => void)[] = []
  // Made at the first use, for who has no cluster must not need one.
  let connected: Promise<{ readonly places: Places; readonly attention: Attention }> | null = null
  let settled: Attention | null = null
  async function grounded(instanceId: string): Promise<Ground> {
    connected ??= connectCluster().then((connection) => {
      settled = watchCluster(connection, config.projectNamespaces === null ? config.namespace : null, config.networkPolicies ? ['NetworkPolicy'] : [], () => { for (const listener of listeners) listener() })
      return { attention: settled, places: places(config, connection.within, tenantOf) }
    })
    connected.catch(() => { connected = null })
    const { places: known, attention } = await connected
    return { ...await known.of(instanceId), attention, config }
  }
  const podsOf = async (instanceId: string): Promise<V1Pod[]> => (await grounded(instanceId)).cluster.list('Pod', { ...ofInstance(instanceId), 'app.kubernetes.io/component': 'node' })
  const podOf = async (nodeId: string): Promise<V1Pod | undefined> => (await (await grounded(instanceOf(nodeId))).cluster.list('Pod', { ...ours, [nodeLabel]: nodeId }))[0]

  async function ownerOf(engine: EngineName, instanceId: string): Promise<Owner> {
    const { cluster } = await grounded(instanceId)
    const found = await cluster.read('ConfigMap', ownerName(engine, instanceId)) ?? await cluster.put(owner(engine, instanceId))
    return { name: found.metadata!.name!, uid: found.metadata!.uid! }
  }

  /** Whether something about a node comes true in time; looks when something happens to it. */
  async function seen(nodeId: string, withinMs: number, look: () => Promise<boolean>): Promise<boolean> {
    const { attention } = await grounded(instanceOf(nodeId))
    for (const giveUp = Date.now() + withinMs; Date.now() < giveUp;) {
      // Listened for before the look: what happens during it may not be in its answer.
      const change = attention.next(nodeId, lookAgainMs)
      if (await look()) return true
      await change
    }
    return false
  }

  /** Makes the StatefulSet want this generation, unless it wants a newer one. Resolves when its controller has heard of it. */
  async function want(spec: NodeSpec): Promise<void> {
    const { cluster } = await grounded(spec.instanceId)
    const [by, name, container] = [await ownerOf(spec.software.name, spec.instanceId), nodeName(spec.software.name, spec.id), contain[spec.software.name](spec)]
    const found = await cluster.read('StatefulSet', name)
    if (found && generationOf(found) > spec.generation) return
    await cluster.put(files(spec, container, by))
    const wanted = statefulSet(spec, container, by, config)
    // What a volume was ordered as cannot be changed, and another storage class is for those that come.
    const claims = found?.spec?.volumeClaimTemplates
    const put = await cluster.put({
      ...wanted, metadata: { ...wanted.metadata, ...found ? { resourceVersion: found.metadata!.resourceVersion! } : {} },
      spec: { ...wanted.spec, ...claims ? { volumeClaimTemplates: claims } : {} },
    }).catch((error) => { if (isConflict(error)) return null; throw error })
    if (put === null) return want(spec)
    checkpoint('runtime.prepared')
    // Its controller works with what it has heard: a pod that is deleted before that would come back as it was.
    const heard = await seen(spec.id, startsWithinMs, async () => {
      const now = await cluster.read('StatefulSet', name)
      return !now || (now.status?.observedGeneration ?? 0) >= put.metadata!.generation!
    })
    if (!heard) throw new Error(`the StatefulSet ${name} is not looked after: is the cluster's controller manager running?`)
  }

  /** Ends exactly this pod; resolves when it is gone. */
  async function end(nodeId: string, uid: string, graceMs: number): Promise<void> {
    const { cluster } = await grounded(instanceOf(nodeId))
    const pod = await podOf(nodeId)
    if (pod?.metadata?.uid !== uid) return
    const graceSeconds = seconds(graceMs)
    // One that is going already gets no more time, but may get less.
    if (!pod.metadata.deletionTimestamp || (pod.metadata.deletionGracePeriodSeconds ?? 0) > graceSeconds) await cluster.remove('Pod', pod.metadata.name!, { uid, graceSeconds })
    checkpoint('runtime.signalled')
    const gone = await seen(nodeId, graceMs + goneWithinMs, async () => (await podOf(nodeId))?.metadata?.uid !== uid)
    if (!gone) throw new Error(`the pod of ${nodeId} does not end: its machine may be cut off, and until Kubernetes knows that it is gone nothing is started in its place`)
  }

  async function started(spec: NodeSpec, but: string | undefined): Promise<void> {
    let [hindered, remindAt]: [string | null, number] = [null, Date.now() + remindEveryMs]
    const runs = await seen(spec.id, startsWithinMs, async () => {
      const pod = await podOf(spec.id)
      if (!pod || pod.metadata!.uid === but || pod.metadata!.deletionTimestamp) return false
      if (isRunning(pod) || hasEnded(pod)) return true
      const refused = refusal(pod)
      if (refused) throw new Error(refused)
      hindered = hindrance(pod)
      // What it needs may have been taken away after it was put there.
      if (Date.now() > remindAt) {
        await want(spec)
        remindAt = Date.now() + remindEveryMs
      }
      return false
    })
    if (!runs) throw new Error(`the pod of ${spec.id} did not start within ${startsWithinMs / 1000} s${hindered ? `: ${hindered}` : ''}`)
  }

  async function scaleToNothing(nodeId: string, graceMs: number): Promise<void> {
    const { cluster } = await grounded(instanceOf(nodeId))
    for (const set of await cluster.list('StatefulSet', { ...ours, [nodeLabel]: nodeId })) await cluster.patch('StatefulSet', set.metadata!.name!, { spec: { replicas: 0 } })
    checkpoint('runtime.unwanted')
    for (let pod = await podOf(nodeId); pod; pod = await podOf(nodeId)) await end(nodeId, pod.metadata!.uid!, graceMs)
  }

  return {
    name: 'kubernetes',
    provide: async (instance, nodes) => provide(await grounded(instance.id), instance, nodes),
    publish: async (instance, connection) => publish(await grounded(instance.id), instance, connection),
    give: async (instance, endpoint, nodeId) => give(await grounded(instance.id), instance, endpoint, nodeId),
    drift: async (instance, nodes) => drifted(await grounded(instance.id), instance, nodes),
    quiet: ({ id }) => settled?.quiet(id) ?? false,
    async apply(spec, { force }) {
      await want(spec)
      const pod = await podOf(spec.id)
      const keeps = pod && !pod.metadata!.deletionTimestamp && generationOf(pod) >= spec.generation
      if (keeps && isRunning(pod)) return
      // One that has ended would be started again by its machine, ever later; a new pod starts now.
      if (pod && (!keeps || hasEnded(pod) || refusal(pod))) {
        await end(spec.id, pod.metadata!.uid!, force ? spec.forceGraceMs : spec.graceMs)
        checkpoint('runtime.stopped')
        await started(spec, pod.metadata!.uid!)
      } else await started(spec, undefined)
      checkpoint('runtime.launched')
    },
    async renew(spec) {
      const { cluster } = await grounded(spec.instanceId)
      const found = await cluster.read('StatefulSet', nodeName(spec.software.name, spec.id))
      // What wants a newer generation has newer files, or gets them with it.
      if (!found || generationOf(found) > spec.generation) return
      const container = contain[spec.software.name](spec)
      if (memoryLimit(found.spec?.template.spec) === container.memory.limit) await cluster.put(files(spec, container, await ownerOf(spec.software.name, spec.instanceId)))
      else {
        await widen({ cluster, seen, podOf }, spec, container)
        await want({ ...spec, generation: generationOf(found) })
      }
    },
    cannot: (change) => change === 'port' && config.exposure === 'NodePort' ? 'Kubernetes chooses the ports of machines: another one cannot be had'
      : change === 'ssl' ? 'a pod has the files that it was made with, and its readiness is asked for in plain text: Redis in a cluster has no TLS in this release' : null,
    async unscreened() { return unscreened(config) },
    async inspect(instanceId, nodeIds) {
      const { cluster, attention } = await grounded(instanceId)
      // Before it is asked: what happens from here on is not in the answer.
      attention.looked(instanceId, 'pods')
      const [pods, endpoints] = await Promise.all([podsOf(instanceId), nodeIds.length > 1 ? cluster.list('Service', { ...ofInstance(instanceId), 'app.kubernetes.io/component': 'endpoint' }) : []])
      return nodeIds.map((id): NodeState => ({
        ...stateOf(id, pods.find((pod) => pod.metadata?.labels?.[nodeLabel] === id)),
        holds: endpoints.filter((service) => service.spec?.selector?.[nodeLabel] === id).map((service) => service.metadata!.labels![endpointLabel]!),
      }))
    },
    async kill(nodeId, identity) { await end(nodeId, identity.token!, 0) },
    async stop(_instanceId, nodeIds, graceMs) { await Promise.all(nodeIds.map((id) => scaleToNothing(id, graceMs))) },
    async remove(instanceId, nodeIds, { all }) {
      await removeAll((await grounded(instanceId)).cluster, all ? [ofInstance(instanceId)] : nodeIds.map((id) => ({ ...ours, [nodeLabel]: id })))
      if (all) (await connected)!.places.forget(instanceId)
    },
    async discard(nodeId, path) {
      const pod = await podOf(nodeId)
      // Without a pod, or where the image has no rm, it stays: whoever starts the node says what it may read, never the file.
      if (pod && isRunning(pod)) await (await grounded(instanceOf(nodeId))).cluster.run(pod.metadata!.name!, ['rm', '-rf', inVolume(path)])
    },
    async put(nodeId, path, source) {
      const pod = await podOf(nodeId)
      if (!pod || !isRunning(pod)) throw away(`the pod of ${nodeId} does not run`, null)
      const { cluster } = await grounded(instanceOf(nodeId))
      const said = await cluster.run(pod.metadata!.name!, keep(inVolume(path), (await stat(source)).size), createReadStream(source))
      if (said !== null) throw new Error(`${nodeId} does not take the file: ${said}`)
    },
    async report(instanceId, nodeId) {
      const [pod, { cluster }] = [await podOf(nodeId), await grounded(instanceId)]
      return { ...stateOf(nodeId, pod), logPath: pod ? `kubectl logs -n ${cluster.namespace} ${pod.metadata!.name}` : '', residentBytes: null }
    },
    async* logs(nodeId, how) {
      const pod = await podOf(nodeId)
      if (pod) yield* (await grounded(instanceOf(nodeId))).cluster.log(pod.metadata!.name!, how)
    },
    onChange(listener) { listeners.push(listener) },
    close() { void connected?.then(({ attention }) => attention.stop(), () => {}) },
  }
}
