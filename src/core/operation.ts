/** The durable record of one wish, and the function that makes it true. */
import type { Attributes, Grants, Instance, NodeRecord, Spec } from './instance.ts'
import type { BackupFile } from './backups.ts'
import type { Provision } from './runtime.ts'

export type Action = 'create' | 'restart' | 'soft_restart' | 'flush' | 'delete' | 'recover' | 'swap' | 'extend' | 'shrink' | 'backup' | 'restore' | 'hang_up' | Change

/** What changes the settings of an instance that goes on serving. */
export type Change = 'configure' | 'password' | 'rescale' | 'check' | 'accounts' | 'port' | 'whitelist' | 'rename' | 'ssl'

/** `replaced`: a person's wish took the place of a recovery. `cancelled`: a person stopped it half way, and the instance is healthy, or not well by itself, which the cause says. */
export type Outcome = 'done' | 'failed' | 'replaced' | 'cancelled'

export interface Operation {
  /** 32 hexadecimal digits, the form of a task id in both clouds. */
  readonly id: string
  readonly instanceId: string
  readonly projectId: string
  readonly action: Action
  /** The generation that the instance has once this is done. */
  readonly generation: number
  /** Who wished it: a user's name, or `sluice` for a recovery. */
  readonly actor: string
  readonly createdAt: number
  /** First taken by a worker, epoch ms. */
  readonly startedAt: number | null
  readonly nextAt: number
  readonly finishedAt: number | null
  readonly outcome: Outcome | null
  /** Why it failed, or what the last attempt ran into. */
  readonly cause: string | null
  /** What the step wants to remember across a crash of the control plane. */
  readonly memo: Memo
  /** When a person asked for its end, epoch ms. */
  readonly cancelAt: number | null
  /** The worker that has it, and until when unless it says so again, epoch ms. */
  readonly holder: { readonly owner: string; readonly until: number } | null
}
export type Memo = Readonly<Record<string, string | number | boolean>>

/** What a change replaced, as the memo of its operation has it. */
export interface Former { readonly spec: Partial<Spec>; readonly attributes: Attributes; /** Where it was. */ readonly places?: Places }

/** Where an instance and its nodes are, by the ids of these. */
export interface Places { readonly endpoints: Instance['endpoints']; readonly ports: Readonly<Record<string, NodeRecord['ports']>> }

/** Null for an operation that changes no settings. */
export function formerOf(memo: Memo): Former | null { return memo['former'] === undefined ? null : JSON.parse(String(memo['former'])) as Former }

/** What a step sees. It is called again and again until it says `done` or the deadline passes. */
export interface StepContext {
  readonly instance: Instance
  readonly nodes: readonly NodeRecord[]
  readonly operation: Operation
  /** Aborted when the lease is lost or the deadline passes. */
  readonly signal: AbortSignal
  /** A person asked for its end: leave what is not begun, and leave the instance healthy. */
  readonly cancelled: boolean
  /** Shows a person where it stands, all of it or one node; kept in memory only. */
  progress(text: string, nodeId?: string): void
  /** Writes the memo durably, fenced by the lease; throws when the operation is no longer ours. */
  remember(memo: Memo): Promise<void>
  /** Writes the engine's grants durably, fenced by the lease like `remember`. */
  grant(grants: Grants): Promise<void>
  /** Records the files of a backup, fenced like these; answers the backups that had to make room. */
  copied(files: readonly BackupFile[]): Promise<readonly string[]>
  /** Writes the addresses that a runtime has found, fenced like these. */
  place(found: Provision): Promise<void>
}
export interface Later { readonly waitMs: number }
/** Nothing came of it, for this reason, and the instance is as well as it was before. */
export interface Failed { readonly failed: string }
/** It was cancelled, and the instance is not well by itself, for this reason. */
export interface Abandoned { readonly abandoned: string }
/** `done`, `cancelled`, `abandoned`, `failed`, or when to look again. A throw is retried; a TerminalError fails the operation and with it the instance. */
export type Step = (context: StepContext) => Promise<'done' | 'cancelled' | Abandoned | Later | Failed>

/** Ends an operation as failed, with its message as the cause. The only error class of our own. */
export class TerminalError extends Error {}
