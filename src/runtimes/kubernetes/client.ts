/** The few requests that the runtime makes of an API server, and what their failures mean. */
import { setTimeout as sleep } from 'node:timers/promises'
import { PassThrough } from 'node:stream'
import { away } from '../../core/away.ts'
import { fence } from '../../core/fence.ts'
import { runIn } from './run.ts'
import type * as Client from '@kubernetes/client-node'

export type Kind = keyof typeof versions
/** An object of any kind, as written here. */
export interface Manifest {
  readonly kind: Kind
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>>; readonly annotations?: Readonly<Record<string, string>>; readonly ownerReferences?: readonly object[]; readonly resourceVersion?: string }
  readonly spec?: object
  readonly data?: Readonly<Record<string, string>>
}
type Typed<K extends Kind> = K extends 'Pod' ? Client.V1Pod : K extends 'Service' ? Client.V1Service : K extends 'StatefulSet' ? Client.V1StatefulSet : K extends 'Node' ? Client.V1Node : Client.V1Secret & { spec?: object }

/** The objects of one namespace. */
export interface Cluster {
  readonly namespace: string
  /** null: there is none. */
  read<K extends Kind>(kind: K, name: string): Promise<Typed<K> | null>
  /** As the API server has it now; by labels that all must have. */
  list<K extends Kind>(kind: K, labels: Readonly<Record<string, string>>): Promise<Typed<K>[]>
  /** Makes it so, whether it is there or not. Throws `conflict` when it is not of the given resource version any more. */
  put<K extends Kind>(manifest: Manifest & { readonly kind: K }): Promise<Typed<K>>
  patch(kind: Kind, name: string, change: object): Promise<void>
  /** Absent is fine, and so is another one than that with this uid. */
  remove(kind: Kind, name: string, how?: { readonly uid?: string; readonly graceSeconds?: number }): Promise<void>
  /** Gives the server of a pod that runs another limit of memory, bytes. False: this cluster cannot. */
  limit(pod: string, uid: string, bytes: number): Promise<boolean>
  /** Runs a command in the container of a pod, with what it reads. Null when it did what it should; otherwise its last words. */
  run(pod: string, command: readonly string[], input?: AsyncIterable<Buffer>): Promise<string | null>
  log(pod: string, how: { readonly lines: number; readonly follow: boolean; readonly signal: AbortSignal }): AsyncIterable<string>
}

export interface Connection {
  within(namespace: string): Cluster
  /** Calls back with each object that changes, and with what is there at the beginning; `live` tells whether it is heard of. `namespace` null: of all. */
  watch(namespace: string | null, kind: Kind, labels: Readonly<Record<string, string>>, changed: (object: Client.KubernetesObject) => void, live: (is: boolean) => void): () => void
}

const versions = { Pod: 'v1', Service: 'v1', Secret: 'v1', ConfigMap: 'v1', PersistentVolumeClaim: 'v1', Namespace: 'v1', Node: 'v1', StatefulSet: 'apps/v1', PodDisruptionBudget: 'policy/v1', NetworkPolicy: 'networking.k8s.io/v1' } as const
const plurals: Readonly<Record<string, string>> = { Pod: 'pods', Service: 'services', Secret: 'secrets', ConfigMap: 'configmaps', StatefulSet: 'statefulsets', NetworkPolicy: 'networkpolicies' }
/** An API server answers within milliseconds; one that is starved needs seconds. */
const answerWithinMs = 15_000
const watchAgainMs = 1000
/** Who made what is made here, among the managers of a field. */
const manager = 'sluice'

/** Thrown when an object was changed by somebody else meanwhile. */
export const isConflict = (error: unknown): boolean => (error as { code?: number }).code === 409

/** By KUBECONFIG, the user's own configuration, or the service account of the pod that this runs in. */
export async function connectCluster(): Promise<Connection> {
  // Some 90 MB: only for those who have a cluster.
  const { CoreV1Api, Exec, KubeConfig, KubernetesObjectApi, Log, makeInformer, PatchStrategy } = await import('@kubernetes/client-node')
  const config = new KubeConfig()
  config.loadFromDefault()
  if (!config.getCurrentCluster()) throw new Error('there is no Kubernetes cluster to talk to: set KUBECONFIG to a file with a current context')
  oneConnection(config)
  const objects = KubernetesObjectApi.makeApiClient(config)
  const core = config.makeApiClient(CoreV1Api)
  const headerIn = (namespace: string) => (kind: Kind, name: string) => ({ apiVersion: versions[kind], kind, metadata: { name, ...kind === 'Namespace' || kind === 'Node' ? {} : { namespace } } })
  const selector = (labels: Readonly<Record<string, string>>): string => Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(',')

  function within(namespace: string): Cluster {
    const header = headerIn(namespace)
    return {
      namespace,
      async read(kind, name) { return await asked(() => objects.read<Client.KubernetesObject>(header(kind, name)), true) as never },
      async list(kind, labels) {
        const found = await asked(() => objects.list(versions[kind], kind, kind === 'Node' ? undefined : namespace, undefined, undefined, undefined, undefined, selector(labels)))
        return found!.items as never
      },
      async put(manifest) {
        fence()
        const { kind, metadata } = manifest
        return await asked(() => objects.patch({ ...manifest, ...header(kind, metadata.name), metadata: { ...metadata, ...header(kind, metadata.name).metadata } } as Client.KubernetesObject, undefined, undefined, manager, true, PatchStrategy.ServerSideApply)) as never
      },
      async patch(kind, name, change) {
        fence()
        await asked(() => objects.patch({ ...header(kind, name), ...change }, undefined, undefined, manager, undefined, PatchStrategy.MergePatch))
      },
      async remove(kind, name, { uid, graceSeconds } = {}) {
        fence()
        const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background', ...uid ? { preconditions: { uid } } : {}, ...graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds } }
        await asked(() => objects.delete(header(kind, name), undefined, undefined, undefined, undefined, undefined, body as Client.V1DeleteOptions), true).catch((error) => { if (!isConflict(error)) throw error })
      },
      async limit(pod, uid, bytes) {
        fence()
        // Another pod of that name was made with what is wanted now.
        const body = [{ op: 'test', path: '/metadata/uid', value: uid }, { op: 'replace', path: '/spec/containers/0/resources/limits/memory', value: String(bytes) }]
        return await asked(() => core.patchNamespacedPodResize({ name: pod, namespace, body }), true) !== null
      },
      async run(pod, command, input) {
        fence()
        return runIn((stderr, stdin, ended) => new Exec(config).exec(namespace, pod, 'engine', [...command], null, stderr, stdin, false, ended), input)
      },
      async* log(pod, { lines, follow, signal }) {
        const stream = new PassThrough()
        if (!follow) {
          yield await asked(() => core.readNamespacedPodLog({ name: pod, namespace, tailLines: lines }), true) ?? ''
          return
        }
        const reading = await new Log(config).log(namespace, pod, 'engine', stream, { follow, tailLines: lines })
        signal.addEventListener('abort', () => { reading.abort(); stream.end() }, { once: true })
        stream.on('error', () => stream.end())
        try { for await (const chunk of stream) yield String(chunk) } catch { /* the reader left, or the pod */ }
      },
    }
  }

  return {
    within,
    watch(namespace, kind, labels, changed, live) {
      const group = versions[kind] === 'v1' ? '/api/v1' : `/apis/${versions[kind]}`
      const informer = makeInformer(config, `${group}/${namespace === null ? '' : `namespaces/${namespace}/`}${plurals[kind]}`, () => objects.list(versions[kind], kind, namespace ?? undefined, undefined, undefined, undefined, undefined, selector(labels)), selector(labels))
      let stopped = false
      const begin = (): void => void informer.start().then(() => { if (!stopped) live(true) }, lost)
      function lost(): void {
        live(false)
        if (!stopped) setTimeout(begin, watchAgainMs).unref()
      }
      informer.on('change', changed)
      informer.on('error', lost)
      begin()
      return () => { stopped = true; void informer.stop() }
    },
  }
}

/** The client would make a new agent, and so a new connection with its handshake, for every request. */
function oneConnection(config: Client.KubeConfig): void {
  const open = config as unknown as { createDispatcher(cluster: unknown, options: object): unknown }
  const make = open.createDispatcher.bind(config)
  const made = new Map<string, unknown>()
  open.createDispatcher = (cluster, options) => {
    // Certificates that are renewed on the disk come with other options.
    const key = JSON.stringify(options)
    if (!made.has(key)) made.set(key, make(cluster, options))
    return made.get(key)
  }
}

/** A server that has too much to do is asked again, this much later. */
const againMs = [50, 200, 500]

async function asked<T>(ask: () => Promise<T>, orNothing = false): Promise<T | null> {
  for (const waitMs of againMs) {
    try { return await askedOnce(ask, orNothing) } catch (error) {
      const { code } = error as { code?: number }
      if (code !== 429 && !(code! >= 500)) throw error
    }
    await sleep(waitMs)
  }
  return askedOnce(ask, orNothing)
}

/** Answers null for what is not there, if that is fine; gives failures their own words. */
async function askedOnce<T>(ask: () => Promise<T>, orNothing: boolean): Promise<T | null> {
  const late = new AbortController()
  try {
    return await Promise.race([ask(), sleep(answerWithinMs, undefined, { signal: late.signal }).then((): never => { throw away('the Kubernetes API server does not answer in time', null) })])
  } catch (error) {
    const { code, body } = error as { code?: unknown; body?: unknown }
    if (typeof code !== 'number') throw error instanceof TypeError ? away(`the Kubernetes API server does not answer: ${(error.cause as Error | undefined)?.message ?? error.message}`, error) : error
    if (code === 404 && orNothing) return null
    const reason = `Kubernetes answers ${code}: ${messageIn(body)}`
    // Somebody else was quicker, which says nothing of what is wanted.
    throw Object.assign(code === 429 || code === 409 || code >= 500 ? away(reason, error) : new Error(reason), { code })
  } finally { late.abort() }
}

function messageIn(body: unknown): string {
  try {
    const said = typeof body === 'string' ? JSON.parse(body) as { message?: string } : body as { message?: string }
    return said.message ?? String(body)
  } catch { return String(body).slice(0, 300) }
}
