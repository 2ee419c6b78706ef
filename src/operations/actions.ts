/** The table of what can be done: one row an action. */
import { check } from './check.ts'
import { configure, settling } from './configure.ts'
import { converge } from './converge.ts'
import { backup } from './backup.ts'
import { restore } from './restore.ts'
import { hangUp } from './hang-up.ts'
import { flush } from './flush.ts'
import { rename } from './rename.ts'
import { remove } from './remove.ts'
import { shrink } from './shrink.ts'
import { swap } from './swap.ts'
import type { Engine } from '../core/engine.ts'
import type { Vault } from '../core/backups.ts'
import type { Action, Step } from '../core/operation.ts'
import type { Runtime } from '../core/runtime.ts'

/** What a step works with. */
export interface Parts {
  readonly engine: Engine
  readonly runtime: Runtime
  readonly vault: Vault
  /** Counters of this run of the operation; forgotten with the process. */
  readonly scratch: Map<string, number>
}

export interface ActionRow {
  readonly step: (parts: Parts) => Step
  /** Whether accepting it raises the generation. */
  readonly bumps: boolean
  /**
   * Counted from when a worker of this process took it, so that a control plane that was down for an hour does not
   * fail what it never tried. A creation must end within the 120 s that callers are promised.
   */
  readonly deadlineMs: number
  /** For what may take as long as there is data: `deadlineMs` begins anew whenever the operation gets further, until this. */
  readonly mostMs?: number
  /** How often in a row its step may throw before that is the cause of failure: a program that is missing does not come by waiting. */
  readonly failures: number
  /** Whether a person may stop it half way. */
  readonly cancellable?: boolean
}

const minute = 60_000
/** Reads, copies or moves all data of an instance, and says how far it is. Redis loads a gigabyte of an append-only file in some 17 s. */
const byData = { deadlineMs: 30 * minute, mostMs: 12 * 60 * minute } as const

export const actions: Readonly<Record<Action, ActionRow>> = {
  create: { step: converge({ force: false, rolling: false }), bumps: true, deadlineMs: 1.5 * minute, failures: 4 },
  restart: { step: converge({ force: true, rolling: false }), bumps: true, ...byData, failures: 10 },
  soft_restart: { step: settling(converge({ force: false, rolling: true })), bumps: true, ...byData, failures: 10, cancellable: true },
  recover: { step: settling(converge({ force: false, rolling: false })), bumps: false, ...byData, failures: 10 },
  swap: { step: swap, bumps: false, deadlineMs: 10 * minute, failures: 10 },
  // Nodes that run stay as they are; only those that are missing start.
  extend: { step: converge({ force: false, rolling: true }), bumps: false, ...byData, failures: 10 },
  shrink: { step: shrink, bumps: false, ...byData, failures: 10 },
  rescale: { step: configure, bumps: false, deadlineMs: 10 * minute, failures: 10 },
  check: { step: check, bumps: false, deadlineMs: minute, failures: 4 },
  accounts: { step: configure, bumps: false, deadlineMs: 10 * minute, failures: 10 },
  whitelist: { step: configure, bumps: false, deadlineMs: 10 * minute, failures: 10 },
  rename: { step: rename, bumps: true, ...byData, failures: 10 },
  ssl: { step: configure, bumps: false, deadlineMs: 10 * minute, failures: 10 },
  port: { step: configure, bumps: false, deadlineMs: 10 * minute, failures: 10 },
  password: { step: configure, bumps: false, deadlineMs: 10 * minute, failures: 10 },
  configure: { step: configure, bumps: false, deadlineMs: 10 * minute, failures: 10 },
  flush: { step: settling(flush), bumps: false, deadlineMs: 10 * minute, failures: 10 },
  hang_up: { step: hangUp, bumps: false, deadlineMs: minute, failures: 4 },
  backup: { step: backup, bumps: false, deadlineMs: 60 * minute, failures: 10 },
  restore: { step: restore, bumps: false, deadlineMs: 45 * minute, failures: 10 },
  delete: { step: remove, bumps: false, deadlineMs: 10 * minute, failures: Infinity },
}
