/** What servers know of themselves, asked while they serve: calls, sessions, keys, health. */
import type { World } from './engine.ts'
import type { Instance, NodeRecord } from './instance.ts'

/** A call that took long, as its server remembers it. */
export interface SlowCall {
  readonly node: NodeRecord
  /** Of its server, counted from 0 at each start. */
  readonly id: number
  /** When it began, epoch ms; servers keep seconds. */
  readonly at: number
  readonly micros: number
  /** As the server shows it: long ones are cut, and passwords left out. */
  readonly command: string
  /** `address:port`. */
  readonly client: string
}

/** A connection of a customer: the server's own words for it, by name (`addr`, `age`, `cmd` …). */
export type Session = Readonly<Record<string, string>>

export type SurveyKind = 'bigkey' | 'hotkey' | 'expire' | 'diagnosis' | 'analysis'

/** What a survey is made with; which of it counts depends on the kind. */
export interface SurveyHow {
  /** Keys looked at in one call. */
  readonly count?: number
  /** Ends it with what it has by then. */
  readonly timeoutMs?: number
  /** The span of time that a diagnosis is about, epoch ms. */
  readonly from?: number
  readonly to?: number
  /** Ids of the nodes that it is about; all when absent. */
  readonly nodes?: readonly string[]
  /** The backup that an analysis reads; absent: a copy of the one node that it is about. */
  readonly backup?: string
}

export interface FoundKey {
  readonly name: string
  readonly type: 'string' | 'list' | 'set' | 'zset' | 'hash' | 'stream'
  /** Where it is, `address:port`, in an instance of several shards. */
  readonly shard: string | null
  readonly database: number
  /** Bytes of a string, elements of everything else. */
  readonly size: number
  /** How often it is used, 0 to 255, as its server reckons. */
  readonly frequency?: number
}

export interface CommandStat { readonly name: string; readonly calls: number; readonly micros: number }

/** One thing that was looked at. */
export interface Finding { readonly name: string; readonly abnormal: boolean; /** With the figures that say so. */ readonly reason: string }

/** What a copy of the data is made of. Bytes are those of the copy, not of the memory. */
export interface Analysis {
  readonly bytes: number
  readonly keys: number
  readonly types: Readonly<Record<string, { readonly bytes: number; readonly keys: number }>>
  readonly largest: readonly { readonly name: string; readonly type: string; readonly bytes: number; readonly elements: number }[]
  readonly prefixes: readonly { readonly prefix: string; readonly type: string; readonly bytes: number; readonly keys: number }[]
}

export interface NodeDiagnosis {
  readonly nodeId: string
  readonly role: 'master' | 'replica'
  readonly shard: number
  /** Why it could not be asked; then nothing else is known. */
  readonly silence: string | null
  /** By what they are about: `network`, `storage`, `load`. */
  readonly findings: Readonly<Record<string, readonly Finding[]>>
  readonly commands: readonly CommandStat[]
}

/** What a survey found, by its kind. JSON. */
export interface SurveyResult {
  readonly keys?: readonly FoundKey[]
  /** Keys that were looked at. */
  readonly seen?: number
  /** Keys that were past their time and are gone now. */
  readonly expired?: number
  readonly nodes?: readonly NodeDiagnosis[]
  readonly analysis?: Analysis
}

export interface SurveyRun {
  readonly signal: AbortSignal
  progress(done: number): void
  /** Of an analysis: the files of the backup, or an empty folder for a copy that goes with it. */
  readonly files?: { readonly paths: readonly string[] } | { readonly folder: string }
}

export interface Desk {
  /** Of every node that answers, in no order. */
  slowCalls(world: World): Promise<SlowCall[]>
  /** Of one node: customers' connections only. Throws when it does not answer. */
  sessions(world: World, node: NodeRecord): Promise<Session[]>
  /** Hangs up on customers: on these addresses, or on all. Answers how many it was. */
  hangUp(world: World, node: NodeRecord, addresses: readonly string[] | null): Promise<number>
  /** Whether the customer's user is let in with this password. */
  admits(world: World, password: string): Promise<boolean>
  /** Pure: how many databases a customer can choose from. */
  databases(instance: Instance): number
  /** Runs a command as the customer's user and answers as a command line does, also when it is refused. Throws when nobody answers. */
  command(world: World, words: readonly string[], database: number): Promise<string>
  /** Pure: why there is no such survey of this instance; null: there is. */
  unsurveyable(instance: Instance, kind: SurveyKind): string | null
  /** Takes its time: servers are never busy with it for more than some of theirs. `progress` gets the part that is done, 0 to 1. */
  survey(world: World, kind: SurveyKind, how: SurveyHow, run: SurveyRun): Promise<SurveyResult>
}

/** One survey of an instance, and what became of it. */
export interface Survey {
  readonly id: string
  readonly instanceId: string
  readonly kind: SurveyKind
  readonly how: SurveyHow
  readonly scan: 'manual' | 'auto'
  readonly status: 'waiting' | 'running' | 'success' | 'failed'
  /** Per cent of what there is to look at, as of the last second. */
  readonly progress: number
  readonly cause: string | null
  readonly result: SurveyResult | null
  readonly createdAt: number
  readonly startedAt: number | null
  readonly finishedAt: number | null
}
