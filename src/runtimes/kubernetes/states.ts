/** What a node is, by its pod as the API server has it. Pure. */
import { generationLabel } from './manifests.ts'
import type { V1ContainerStatus, V1Pod } from '@kubernetes/client-node'
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

/** What it waits for, in Kubernetes' own words. */
export function hindrance(pod: V1Pod): string | null {
  const waiting = engineOf(pod)?.state?.waiting
  if (waiting?.message) return `${waiting.reason}: ${waiting.message}`
  const unscheduled = pod.status?.conditions?.find(({ type, status }) => type === 'PodScheduled' && status === 'False')
  return unscheduled?.message ?? pod.status?.message ?? waiting?.reason ?? null
}
