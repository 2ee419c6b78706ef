/** The words in which a dialect talks to the control plane. */
import type { Attributes, EngineName, Instance, NodeRecord, Spec, Tag } from './instance.ts'
import type { Action, Change, Memo, Operation } from './operation.ts'
import type { Facts, NodeRole, Parameter } from './engine.ts'
import type { WebCli } from './webcli.ts'
import type { Accounts } from './accounts.ts'
import type { Questions, Surveys } from './surveys.ts'
import type { Backups } from './backups.ts'
import type { Plan } from './plan.ts'
import type { Refusal } from './refusal.ts'
import type { Templates } from './templates.ts'
import type { Status } from './status.ts'
import type { LogRequest, NodeReport } from './runtime.ts'

export interface Caller {
  readonly projectId: string
  readonly userId: string
  readonly userName: string
}

/** An instance with what is derived from it at this moment. */
export interface View {
  readonly instance: Instance
  readonly status: Status
  readonly nodes: readonly NodeRecord[]
  /** By node id; empty where all nodes are alike. */
  readonly roles: ReadonlyMap<string, NodeRole>
  /** The one unfinished operation. */
  readonly open: Operation | null
  /** The version that really runs behind the one asked for: "7.0.15"; null while unknown. */
  readonly runsOn: string | null
  /** As its servers last said; null where they were not asked, or did not answer. */
  readonly facts: Facts | null
}

export interface CreateWish {
  readonly caller: Caller
  readonly engine: EngineName
  /** One instance for each name, all in one transaction. */
  readonly names: readonly string[]
  readonly version: string
  readonly spec: Omit<Spec, 'sealedPassword' | 'tls'> & { readonly password: string | null }
  /** Clients speak TLS. */
  readonly tls?: boolean
  readonly attributes: Attributes
  readonly tags: readonly Tag[]
  /** Where clients shall reach it; only of one instance, that has one address. */
  readonly address?: string
}

/** Why nothing was created; the reason is for a person. */
export interface CreateRefusal { readonly kind: 'no room' | 'no version' | 'no tls' | 'address' | 'instance quota' | 'memory quota'; readonly reason: string }

/** How much of an engine a project may have; null: any amount. */
export interface Quota { readonly instances: number | null; readonly memoryGb: number | null }

export type Answer =
  | { readonly id: string; readonly operation: Operation }
  /** The answer to a dry run: it would be accepted. */
  | { readonly id: string; readonly plan: Plan }
  | { readonly id: string; readonly refusal: Refusal }

export interface ListFilter {
  readonly engine: EngineName
  readonly id?: string
  readonly name?: string
  readonly nameExact?: boolean
  readonly status?: Status
  readonly address?: string
  readonly tags?: readonly Tag[]
  /** What a dialect keeps with an instance. */
  readonly attribute?: { readonly name: string; readonly value: string | number | boolean }
  /** Failed creations are left out unless asked for. */
  readonly includeFailed: boolean
  /** Instances under deletion are never listed. */
  readonly offset: number
  readonly limit: number
}

export interface ResizeWish {
  readonly caller: Caller
  readonly engine: EngineName
  readonly id: string
  readonly shards: number
  readonly replicas: number
  /** Ids of the nodes that go; empty when the instance grows. */
  readonly leaving: readonly string[]
  /** The new flavor's code, when it changes with the numbers. */
  readonly flavor?: string
  /** All shards together, when it changes with their number; a shard keeps what it has. */
  readonly memoryBytes?: number
  /** What a dialect echoes from now on. */
  readonly attributes?: Attributes
  /** Only asks what would happen. */
  readonly dryRun?: boolean
}

/** Other settings for an instance that goes on serving. What is absent stays. */
export interface ChangeWish {
  readonly caller: Caller
  readonly engine: EngineName
  readonly id: string
  readonly action: Change
  readonly spec: Partial<Pick<Spec, 'parameters' | 'renamedCommands' | 'memoryBytes' | 'flavor' | 'accounts' | 'sources'>> & { /** Null: nobody is asked for one. */ readonly password?: string | null; /** True: clients speak TLS, with a certificate that is made now. */ readonly tls?: boolean }
  /** What a dialect echoes from now on. */
  readonly attributes?: Attributes
  /** The new service port, which everything moves to. */
  readonly port?: number
  /** What becomes true with it, whatever comes of the rest. */
  readonly along?: Pick<UpdateWish, 'name' | 'attributes'>
  /** For the audit and for whoever looks at the operation later; never a secret. */
  readonly detail: string
  readonly memo?: Memo
  /** Only asks what would happen. */
  readonly dryRun?: boolean
}

/** What nobody but people acts on; it is so when this is answered. */
export interface UpdateWish {
  readonly caller: Caller
  readonly engine: EngineName
  readonly id: string
  readonly name?: string
  readonly attributes?: Attributes
}

/** Another password, from somebody who knows the old one. */
export interface PasswordWish extends Pick<ChangeWish, 'caller' | 'engine' | 'id' | 'dryRun'> { readonly old: string; readonly next: string }

/** `none`: the instance asks nobody for a password. `left`: tries before it locks. */
export type PasswordAnswer = { readonly kind: 'wrong'; readonly left: number } | { readonly kind: 'locked'; readonly forMs: number } | { readonly kind: 'none' | 'same' }

/** A node as it is found now. */
export interface NodeView {
  readonly view: View
  readonly node: NodeRecord
  /** Null where all nodes are alike. */
  readonly role: NodeRole | null
  /** Whether the open operation takes it away. */
  readonly leaving: boolean
  readonly report: NodeReport
}

export interface TaskView { readonly operation: Operation; /** Where a running one stands, for people. */ readonly progress: string | null; /** The same for single nodes, by node id. */ readonly nodes: Readonly<Record<string, string>> }

export interface ControlPlane {
  readonly backups: Backups
  readonly surveys: Surveys
  readonly accounts: Accounts
  readonly webcli: WebCli
  /** The certificate, as PEM, by which clients know the servers of every instance. */
  authority(): Promise<string>
  readonly questions: Questions
  /** Accepts the creation of every name, each `creating` when this returns; or of none. */
  create(wish: CreateWish): Promise<View[] | CreateRefusal>
  /** One answer an id, in the caller's order; the accepted ones are committed when this returns. Ids are lower-case UUIDs without repeats. */
  submit(wish: { readonly caller: Caller; readonly engine: EngineName; readonly action: Exclude<Action, 'create' | 'recover' | 'extend' | 'shrink' | 'backup' | 'restore' | Change>; readonly memo?: Memo; readonly ids: readonly string[]; /** The same checks, and a plan in place of what it would do. */ readonly dryRun?: boolean }): Promise<Answer[]>
  /** Deletes every instance of the project and engine whose creation failed. */
  deleteFailed(wish: { readonly caller: Caller; readonly engine: EngineName; readonly dryRun?: boolean }): Promise<Answer[]>
  /** More or fewer nodes; committed when this returns. A sentence when there is no room for them. */
  resize(wish: ResizeWish): Promise<Answer | string>
  /** Changes settings; committed when this returns, and true on the servers when its operation is done. */
  change(wish: ChangeWish): Promise<Answer>
  /** Another name, or other words about it. Null when it is done. */
  update(wish: UpdateWish): Promise<Refusal | null>
  /** Counts wrong tries; five in a row lock it for five minutes. Another spec, by `change`, needs no old password and ends that. */
  changePassword(wish: PasswordWish): Promise<Answer | PasswordAnswer>
  /** The operation once it has ended, at most this long; null: it goes on. */
  ended(projectId: string, operationId: string, withinMs: number): Promise<Operation | null>
  readonly templates: Templates
  /** What may be set for such an instance, and what is set; empty where its engine has nothing to set. Pure. */
  parameters(engine: EngineName, of: Pick<Instance, 'version' | 'spec'>): readonly Parameter[]
  /** Asks for the end of an unfinished operation that can be left half done. */
  cancel(caller: Caller, operationId: string): Promise<'requested' | 'unknown' | 'ended' | 'impossible'>
  /** Who becomes master first. A sentence when too few would be left that may; null when it is done. */
  prefer(wish: { readonly caller: Caller; readonly engine: EngineName; readonly id: string; readonly nodeId: string; readonly priority: number }): Promise<Refusal | string | null>
  /** Drops the record of an ended operation; the audit keeps it. */
  forget(wish: { readonly caller: Caller; readonly engine: EngineName; readonly id: string; readonly operationId: string }): Promise<'forgotten' | 'unknown' | 'open'>
  list(projectId: string, filter: ListFilter): Promise<{ readonly total: number; readonly views: View[] }>
  /** How many instances have each status; one that none has is absent. */
  count(projectId: string, engine: EngineName): Promise<ReadonlyMap<Status, number>>
  get(projectId: string, engine: EngineName, id: string): Promise<View | null>
  /** Newest first; with an `id` only that one. null: no such instance in this project. */
  tasks(projectId: string, engine: EngineName, id: string, page: { readonly offset: number; readonly limit: number; readonly from?: number; readonly to?: number; readonly id?: string; readonly action?: Action }): Promise<{ readonly total: number; readonly tasks: TaskView[] } | null>
  /** What the servers of running instances say now, those that answer; only a control plane of their host can ask. */
  statistics(projectId: string, engine: EngineName): Promise<readonly { readonly view: View; readonly facts: Facts }[]>
  /** What a project may have and has. GB as ordered. */
  quota(projectId: string, engine: EngineName): Promise<{ readonly limit: Quota | null; readonly used: { readonly instances: number; readonly memoryGb: number } }>
  /** The machines that instances are on, of all projects, a cluster apart. */
  hosts(): Promise<{ readonly id: string; readonly own: boolean; /** Whether a control plane lives there. */ readonly heard: boolean; /** Epoch ms. */ readonly seenAt: number | null; readonly instances: number }[]>
  /** Forgets a silent machine and its instances, of all projects; answers their ids. What may still run there is not stopped. */
  forgetHost(wish: { readonly caller: Caller; readonly host: string }): Promise<'unknown' | 'heard' | { readonly instances: readonly string[] }>
  setQuota(wish: { readonly caller: Caller; readonly engine: EngineName; readonly projectId: string; readonly quota: Quota }): Promise<void>
  /** Adds tags, a known key gets the new value; and takes some away, by their keys. */
  tag(wish: { readonly caller: Caller; readonly engine: EngineName; readonly id: string; readonly add: readonly Tag[]; readonly remove: readonly Tag[] }): Promise<'done' | 'unknown' | 'too many'>
  /** The tags of all instances of the project. */
  projectTags(projectId: string, engine: EngineName): Promise<readonly Tag[]>
  /** Newest first, of instances that are gone as well. */
  projectTasks(projectId: string, engine: EngineName, page: { readonly offset: number; readonly limit: number; readonly from?: number; readonly to?: number }): Promise<{ readonly total: number; readonly tasks: TaskView[] }>
  /** Drops the record of an ended operation, whether or not its instance is there still. */
  dropTask(wish: { readonly caller: Caller; readonly engine: EngineName; readonly operationId: string }): Promise<'forgotten' | 'unknown' | 'open'>
  /** Every node of the project, of one engine or of one instance. */
  nodes(projectId: string, filter?: { readonly engine?: EngineName; readonly instanceId?: string }): Promise<NodeView[]>
  /** For people and tests: operations of the project, newest first, with where they stand. */
  operations(projectId: string, filter: { readonly instanceId?: string; readonly id?: string; readonly engine?: EngineName; readonly openOnly: boolean; readonly limit: number }): Promise<TaskView[]>
  /** The log of an instance's server, of the first one unless said, as text; null: no such instance or node in this project. `elsewhere`: it is on another host. */
  logs(projectId: string, id: string, how: LogRequest, nodeId?: string): Promise<AsyncIterable<string> | 'elsewhere' | null>
}
