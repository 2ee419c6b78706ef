/** Makes nodes run. Every method may be called again at any time, after any crash, and converges. */
import type { EngineName } from './instance.ts'

export interface NodeSpec {
  readonly id: string
  readonly instanceId: string
  readonly software: { readonly name: EngineName; readonly version: string }
  /** Arguments after the program's own; relative paths are inside the node's directory. Never a secret. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Written before each start, mode 0600; path relative to the node's directory. */
  readonly files: Readonly<Record<string, string>>
  readonly address: string
  readonly ports: Readonly<Record<string, number>>
  readonly memoryBytes: number
  readonly generation: number
  /** How long a stop may take before the process group is killed. */
  readonly graceMs: number
  /** Another node could take over: worth doing something about its death while no control plane runs. */
  readonly guarded?: boolean
  /** The same for a forced stop; 0: killed at once. */
  readonly forceGraceMs: number
}

export interface NodeState {
  readonly id: string
  readonly phase: 'running' | 'exited'
  /** The generation that the process was started for; 0 when it never was. */
  readonly observedGeneration: number
  readonly identity: Identity | null
  readonly exit?: { readonly code: number | null; readonly lastLines: string }
}

/** What tells one process from every other, on this machine and across reboots. */
export interface Identity { readonly pid: number; readonly startedAt: string }

/** `unknown`: another host runs it, and only that one can look. */
export interface NodeReport extends Omit<NodeState, 'phase' | 'observedGeneration'> {
  readonly phase: NodeState['phase'] | 'unknown'
  readonly observedGeneration: number | null
  readonly logPath: string | null
  readonly residentBytes: number | null
}

export interface Runtime {
  readonly name: string
  /** Replaces an older generation, keeps the same one, never goes back to an older one. Returns once it is launched. */
  apply(spec: NodeSpec, how: { readonly force: boolean }): Promise<void>
  /** The nodes of an instance, found by what is on the machine, never from memory. */
  inspect(instanceId: string, nodeIds: readonly string[]): Promise<NodeState[]>
  /** SIGKILL to exactly this process; returns when it is gone. One that is gone already is fine. */
  kill(nodeId: string, identity: Identity): Promise<void>
  /** Stops the processes and keeps their data. Absent is fine. */
  stop(instanceId: string, nodeIds: readonly string[], graceMs: number): Promise<void>
  /** Stops the processes and removes their data; `all`: of every node that was ever of this instance. Absent is fine. */
  remove(instanceId: string, nodeIds: readonly string[], how: { readonly all: boolean }): Promise<void>
  /** Removes one file of a node, path relative to its directory. Absent is fine. */
  discard(nodeId: string, path: string): Promise<void>
  /** For people: pid, memory, log path. */
  report(instanceId: string, nodeId: string): Promise<NodeReport>
  /** The last lines of a node's log and, with `follow`, what comes after them until the signal. */
  logs(nodeId: string, how: LogRequest): AsyncIterable<string>
}

export interface LogRequest { readonly lines: number; readonly follow: boolean; readonly signal: AbortSignal }

/** Where a runtime on this machine finds an engine's program. Throws a sentence naming path and version when it cannot run. */
export type Locate = (software: { name: EngineName; version: string }, spec: { env: Readonly<Record<string, string>> }) => Promise<Program>
export interface Program {
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** The version that really runs, "7.0.15". */
  readonly version: string
  /** Files copied into the node's data folder before its very first start, absolute path by relative path. */
  readonly seed?: Readonly<Record<string, string>>
}
