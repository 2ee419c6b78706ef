/** What an action would do, told to a person before it is asked for. */
import type { NodeRecord } from './instance.ts'
import type { Action } from './operation.ts'

export interface Plan {
  /** In the order in which something happens to them. */
  readonly nodes: readonly PlannedNode[]
  readonly gap: Gap
  /** Which data may be lost, or why none is: one sentence or two. */
  readonly risk: string
}

export interface PlannedNode { readonly node: NodeRecord; /** What it is for at this moment: `master`, `replica`, `node`. */ readonly role: string; /** What happens to it. */ readonly what: string }

/** For how long clients cannot write, in ms; `toMs` null: for good. */
export interface Gap { readonly fromMs: number; readonly toMs: number | null; readonly why: string }

/** What a plan is asked for. */
export interface PlannedWish {
  readonly action: Exclude<Action, 'create' | 'recover'>
  /** Nodes that an `extend` adds; their addresses are not theirs yet. */
  readonly joining: readonly NodeRecord[]
  /** Ids of the nodes that a `shrink` takes away. */
  readonly leaving: readonly string[]
}
