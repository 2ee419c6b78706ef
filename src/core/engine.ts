/** A kind of server software: lays out the nodes of an instance and knows how to ask them how they are. */
import type { EngineName, Instance, NodeRecord } from './instance.ts'
import type { NodeSpec, NodeState } from './runtime.ts'

export interface NodeHealth { readonly ok: boolean; /** One sentence when not ok. */ readonly reason?: string }

export interface Engine {
  readonly name: EngineName
  /** Listeners a node needs, with the engine's standard ports: `{ service: 6379 }`. */
  readonly ports: Readonly<Record<string, number>>
  /** What one empty node needs to start; flavors are ceilings, never reservations. */
  readonly leastMemoryBytes: number
  /** Pure: what should run for this instance at its present generation. */
  layout(instance: Instance, nodes: readonly NodeRecord[]): NodeSpec[]
  /**
   * Asks every node of the layout. Counts only answers that are proven to come from the given process
   * (`state.identity`), so a foreign server on the same address is never taken for ours.
   * Never throws for an unhealthy node.
   */
  probe(instance: Instance, nodes: readonly NodeRecord[], states: readonly NodeState[]): Promise<NodeHealth>
  /**
   * May this node stop now? Engines with a stop command of their own give it here, to the process named by
   * `state.identity` only, and answer true; `force` allows only what is bounded by 100 ms.
   */
  drain?(instance: Instance, node: NodeRecord, state: NodeState, how: { readonly force: boolean }): Promise<boolean>
  /** Whether this instance's version can be emptied by the API. */
  flushable?(instance: Instance): boolean
  /**
   * Empties the instance exactly once for this key, however often it is called with it: `happened` tells whether
   * an earlier call with the same key took effect.
   */
  flush?(instance: Instance, node: NodeRecord, state: NodeState, key: string): Promise<void>
  /** Removes the evidence that `flush` left behind. */
  forgetFlush?(instance: Instance, node: NodeRecord, state: NodeState, key: string): Promise<void>
  /** The version of the installed software that an instance of this version runs on; null when the installed one cannot stand in for it. Throws when none is installed. */
  runsOn(version: string): Promise<string | null>
}
