/** What a node is, by its pod as the API server has it. Pure. */
import { generationLabel } from './manifests.ts'
import type { V1ContainerStatus, V1Pod, V1PodSpec } from '@kubernetes/client-node'
import type { NodeState } from '../../core/runtime.ts'

const engineOf = (pod: V1Pod): V1ContainerStatus | undefined => pod.status?.containerStatuses?.find(({ name }) => name === 'engine')
export const generationOf = (object: { metadata?: { labels?: { [key: string]: string } } }): number => Number(object.metadata?.labels?.[generationLabel] ?? 0)
/** A pod that is being deleted has a server for as long as its container runs. */
export const isRunning = (pod: V1Pod): boolean => engineOf(pod)?.state?.running !== undefined && pod.status?.phase === 'Running'

export function stateOf(nodeId: string, pod: V1Pod | undefined): NodeState {
  if (!pod) return { id: nodeId, phase: 'exited', observedGeneration: 0, identity: null, exit: { code: null, lastLines: '' } }
  const engine = engineOf(pod)
  const uid = pod.metadata!.uid!
  const identity = engine?.containerID ? { pid: 1, startedAt: `${uid} ${engine.containerID}`, token: uid } : null
  const facts = { id: nodeId, observedGeneration: generationOf(pod), identity }
  if (isRunning(pod) && identity) return { ...facts, phase: 'running' }
  const ended = engine?.state?.terminated ?? engine?.lastState?.terminated
  return { ...facts, phase: 'exited', exit: { code: ended?.exitCode ?? null, lastLines: ended?.message?.trim() || hindrance(pod) || '' } }
}

/** Its server has been started, and has ended. */
export function hasEnded(pod: V1Pod): boolean {
  const engine = engineOf(pod)
  return pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded' || engine?.state?.terminated !== undefined || engine?.lastState?.terminated !== undefined && !engine.state?.running
}

/** Reasons that do not go away by waiting a moment. A pull that failed once is tried again by Kubernetes itself. */
const final: readonly string[] = ['ImagePullBackOff', 'ErrImageNeverPull', 'InvalidImageName', 'CreateContainerConfigError', 'CreateContainerError', 'RunContainerError', 'ErrImagePull']

/** Why it cannot start, in Kubernetes' own words; null while it may. */
export function refusal(pod: V1Pod): string | null {
  const waiting = engineOf(pod)?.state?.waiting
  return waiting && final.includes(waiting.reason ?? '') ? `${waiting.reason}: ${waiting.message ?? 'no message'}` : null
}

const units: Readonly<Record<string, number>> = { '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 }
/** Bytes, as Kubernetes writes them: "600Mi". Null for what is not there, or in no such form. */
export function bytesOf(quantity: string | undefined): number | null {
  const [, number, unit] = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(quantity ?? '') ?? []
  return number === undefined || units[unit!] === undefined ? null : Number(number) * units[unit!]!
}

/** What its server may use at most, by what was wanted. Bytes. */
export function memoryLimit(spec: V1PodSpec | undefined): number | null { return bytesOf(spec?.containers.find(({ name }) => name === 'engine')?.resources?.limits?.['memory']) }
/** The same by what its machine does. */
export function memoryGiven(pod: V1Pod | undefined): number | null { return pod ? bytesOf(engineOf(pod)?.resources?.limits?.['memory']) : null }

/** What it waits for, in Kubernetes' own words. */
export function hindrance(pod: V1Pod): string | null {
  const waiting = engineOf(pod)?.state?.waiting
  if (waiting?.message) return `${waiting.reason}: ${waiting.message}`
  const unscheduled = pod.status?.conditions?.find(({ type, status }) => type === 'PodScheduled' && status === 'False')
  return unscheduled?.message ?? pod.status?.message ?? waiting?.reason ?? null
}
