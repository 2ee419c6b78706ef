/** Makes nodes run. Every method may be called again at any time, after any crash, and converges. */
import type { Change } from './operation.ts'
import type { Endpoint, EngineName, Instance, Listening, NodeRecord } from './instance.ts'

export interface NodeSpec {
  readonly id: string
  readonly instanceId: string
  readonly software: { readonly name: EngineName; readonly version: string }
  /** Arguments after the program's own; relative paths are inside the node's directory. Never a secret. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Written before each start, mode 0600; path relative to the node's directory. */
  readonly files: Readonly<Record<string, string>>
  /** Made before a start where they are missing, besides `data`; paths like those of files. */
  readonly folders?: readonly string[]
  readonly address: string
  readonly ports: Readonly<Record<string, number>>
  readonly listen?: Listening
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
  /** `asked`: it was stopped by `stop`, and did not end by itself. */
  readonly exit?: { readonly code: number | null; readonly lastLines: string; readonly asked?: true }
  /** The endpoints of its instance that lead to it, by name; absent where servers hold addresses themselves. */
  readonly holds?: readonly string[]
}

/** What tells one process from every other, on this machine and across reboots. */
export interface Identity {
  readonly pid: number
  readonly startedAt: string
  /** What the server was told at its start and answers when asked who it is: in a container every server is process 1. */
  readonly token?: string
}

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
  /** Keeps a node's files for its next start, which may be somebody else's, and where the process reads them again when it is told to; gives it the room that it needs. The process stays. */
  renew?(spec: NodeSpec): Promise<void>
  /** Why a node that runs cannot be changed like this, as a sentence; null, or absent: it can. */
  cannot?(change: Change): string | null
  /** Why clients cannot be kept away from these nodes by where they come from, as a sentence with the next step; null: `provide` does it, by the spec. */
  unscreened(nodes: readonly NodeRecord[]): Promise<string | null>
  /** The nodes of an instance, found by what is on the machine, never from memory. */
  inspect(instanceId: string, nodeIds: readonly string[]): Promise<NodeState[]>
  /** SIGKILL to exactly this process; returns when it is gone. One that is gone already is fine. */
  kill(nodeId: string, identity: Identity): Promise<void>
  /** Lets what the process has forked (a save, a file written anew) give way to what serves, and maybe the process itself. Absent: it may not, or need not. */
  giveWay?(nodeId: string, identity: Identity, who: 'all' | 'children'): void
  /** Stops the processes and keeps their data. Absent is fine. */
  stop(instanceId: string, nodeIds: readonly string[], graceMs: number): Promise<void>
  /** Stops the processes and removes their data; `all`: of every node that was ever of this instance. Absent is fine. */
  remove(instanceId: string, nodeIds: readonly string[], how: { readonly all: boolean }): Promise<void>
  /** Removes one file of a node, or a folder with all that is in it, path relative to its directory. Absent is fine. */
  discard(nodeId: string, path: string): Promise<void>
  /** Copies a file of this machine into a node's directory, on to the disk; it is there whole or not at all. The node may have to run. */
  put(nodeId: string, path: string, source: string): Promise<void>
  /**
   * Finds addresses for what has none, and puts back what stands for an instance besides its nodes. Changes no address that
   * is known. From when it returns, only those connect who may by the instance's spec. Absent: nothing stands for an instance.
   */
  provide?(instance: Instance, nodes: readonly NodeRecord[]): Promise<Provision>
  /** Keeps what a client needs to connect where the runtime's people look for it. Absent: they ask the API. */
  publish?(instance: Instance, connection: Readonly<Record<string, string>>): Promise<void>
  /** Lets an endpoint of the instance lead to this node, or to nobody. Absent: servers hold addresses themselves. */
  give?(instance: Instance, endpoint: string, nodeId: string | null): Promise<void>
  /** What stands for the instance and is not as it was made, as a sentence; null when all is. */
  drift?(instance: Instance, nodes: readonly NodeRecord[]): Promise<string | null>
  /** Nothing happened to the instance since it was inspected last, by what is watched. Absent: nobody watches, so look. */
  quiet?(instance: Instance): boolean
  /** For people: pid, memory, log path. */
  report(instanceId: string, nodeId: string): Promise<NodeReport>
  /** The last lines of a node's log and, with `follow`, what comes after them until the signal. */
  logs(nodeId: string, how: LogRequest): AsyncIterable<string>
}

export interface Provision { readonly nodes: readonly NodeRecord[]; readonly endpoints: Readonly<Record<string, Endpoint>> }

export interface LogRequest { readonly lines: number; readonly follow: boolean; readonly signal: AbortSignal }

/** What a node is in a container. */
export interface Container {
  readonly image: string
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Whether the files of the node hold secrets, be it as hashes. */
  readonly secret: boolean
  /** A command inside that succeeds when the server answers, or the listener that it answers on. */
  readonly ready: { readonly command: readonly string[] } | { readonly port: string }
  /** What it may use at most, and what it gets for sure. Bytes. */
  readonly memory: { readonly limit: number; readonly request: number }
  readonly storageBytes: number
}
/** How an engine runs in a container. `$(SLUICE_POD)` in a command stands for what tells this pod from any other. */
export type Contain = (spec: NodeSpec) => Container

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
