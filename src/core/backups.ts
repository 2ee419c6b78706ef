/** Copies of an instance's data, and the way back. */
import type { Caller } from './control-plane.ts'
import type { Operation } from './operation.ts'
import type { Refusal } from './refusal.ts'

/** `aof`: as a server's append-only file begins after it was written anew; `rdb`: a dump. Both can be read by redis-server of the same or a later version. */
export type BackupFormat = 'rdb' | 'aof'

/** One file of a backup: all that one shard had at one instant. */
export interface BackupFile {
  readonly name: string
  readonly shard: number
  readonly bytes: number
  /** SHA-256, hexadecimal. */
  readonly sum: string
  /** The part of the key space that it holds, where there are several: "0-5460". */
  readonly slots?: string
}

export interface Backup {
  readonly id: string
  readonly instanceId: string
  readonly name: string
  readonly kind: 'manual' | 'auto'
  readonly format: BackupFormat
  readonly remark: string | null
  readonly operationId: string
  /** The machine that has the files. */
  readonly host: string
  /** Null until it is done. */
  readonly files: readonly BackupFile[] | null
  /** Null: not ended. */
  readonly outcome: Operation['outcome']
  readonly cause: string | null
  readonly createdAt: number
  readonly finishedAt: number | null
}

export interface Restore {
  readonly id: string
  readonly instanceId: string
  readonly name: string
  readonly remark: string | null
  readonly backupId: string
  readonly backupName: string
  readonly backupRemark: string | null
  readonly operationId: string
  readonly outcome: Operation['outcome']
  readonly cause: string | null
  readonly createdAt: number
  readonly finishedAt: number | null
}

export interface Page { readonly offset: number; readonly limit: number; /** Epoch ms, both included. */ readonly from?: number; readonly to?: number }

/** When backups are made by themselves. Kept among the attributes of an instance as `backupPolicy`. */
export interface BackupPolicy {
  readonly id: string
  /** `manual`: nothing is made by itself, though there may be a plan. */
  readonly type: 'auto' | 'manual'
  /** 1 to 7; null when there was never a plan. */
  readonly saveDays: number | null
  readonly plan: BackupPlan | null
  /** Epoch ms. */
  readonly createdAt: number
  readonly updatedAt: number
}

export interface BackupPlan {
  /** Days of the week, Monday is 1. */
  readonly days: readonly number[]
  /** Of UTC, 0 to 23; an hour long. */
  readonly hour: number
  /** As it came, `+0800`; nobody reckons with it. */
  readonly offset: string | null
}

/** The files of backups, on this machine. */
export interface Vault {
  /** The folder of a backup; it need not exist. */
  folder(instanceId: string, backupId: string): string
  /** Makes it, empty, for its owner only. */
  clear(instanceId: string, backupId: string): Promise<string>
  /** Removes one backup's files, or all of an instance. Absent is fine. */
  remove(instanceId: string, backupId?: string): Promise<void>
  /** Every backup that has a folder. */
  all(): Promise<readonly { readonly instanceId: string; readonly backupId: string }[]>
}

/** A file of this machine that may be read by whoever asks. */
export interface OpenFile { readonly path: string; readonly bytes: number }

export interface Backups {
  /** Accepts a backup; committed when this returns. `dueAt`: of a schedule, once for each due time. */
  backUp(wish: { readonly caller: Caller; readonly id: string; readonly format: BackupFormat; readonly remark: string | null; readonly dueAt?: number }): Promise<Backup | Refusal>
  /** Newest first; null: no such instance in this project. */
  list(projectId: string, id: string, page: Page): Promise<{ readonly total: number; readonly backups: readonly Backup[] } | null>
  get(projectId: string, id: string, backupId: string): Promise<Backup | null>
  /** Removes record and files of one that has ended. */
  remove(wish: { readonly caller: Caller; readonly id: string; readonly backupId: string }): Promise<'removed' | 'unknown' | 'open'>
  /** A file of a backup that this machine has; null: there is none such here. */
  file(projectId: string, id: string, backupId: string, name: string): Promise<OpenFile | null>
  /** Why the files cannot be had here; null: they can. */
  away(backup: Backup): string | null
  /** Accepts a restore; `unusable` with a reason when that backup cannot be loaded into the instance as it is. */
  restore(wish: { readonly caller: Caller; readonly id: string; readonly backupId: string; readonly remark: string | null }): Promise<Restore | Refusal | { readonly unusable: string }>
  restores(projectId: string, id: string, page: Page): Promise<{ readonly total: number; readonly restores: readonly Restore[] } | null>
  /** Why a backup cannot be loaded into its instance any more; null: it can. */
  unusable(projectId: string, backup: Backup): Promise<string | null>
}
