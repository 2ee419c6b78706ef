/** The rows as they are stored. JSON is text, times are epoch milliseconds, so that one set of queries serves every database. */
import type { Action, Outcome } from '../core/operation.ts'
import type { SurveyKind } from '../core/desk.ts'
import type { EngineName, Health, RuntimeName } from '../core/instance.ts'

export interface Tables {
  surveys: SurveyRow
  backups: BackupRow
  restores: RestoreRow
  instances: InstanceRow
  nodes: NodeRow
  addresses: AddressRow
  operations: OperationRow
  audit: AuditRow
  projects: ProjectRow
  settings: SettingRow
  templates: TemplateRow
  control_planes: ControlPlaneRow
  users: UserRow
  roles: RoleRow
  user_roles: UserRoleRow
  access_keys: AccessKeyRow
  revoked_tokens: RevokedTokenRow
  network_records: NetworkRecordRow
}

export interface InstanceRow {
  id: string; project_id: string; name: string; engine: EngineName; version: string; runtime: RuntimeName; host: string
  spec: string; attributes: string; tags: string
  endpoints: string; grants: string
  generation: number; floor: number | null; health: Health; cause: string | null; ready_at: number | null; crashes: number
  created_at: number; updated_at: number
}

export interface NodeRow { id: string; instance_id: string; ordinal: number; host: string; address: string; ports: string; listen: string | null }

/** One row a listener; the primary key keeps two nodes of a host apart. What moves between nodes is held by the instance: its id is in `node_id`. */
export interface AddressRow { host: string; address: string; port: number; node_id: string }

export interface OperationRow {
  id: string; instance_id: string; project_id: string; engine: EngineName; action: Action; generation: number; actor: string
  created_at: number; started_at: number | null; next_at: number; finished_at: number | null
  outcome: Outcome | null; cause: string | null; memo: string; cancel_at: number | null
  lease_owner: string | null; lease_until: number | null
}

/** Append-only; each row carries the hash of the one before it. */
export interface AuditRow {
  sequence: number; at: number; actor: string; project_id: string; action: string; instance_id: string; operation_id: string; detail: string
  hash: string
}

/** Files are JSON; `due_at` is of a schedule, and `attempts` how often that was tried. */
export interface BackupRow {
  id: string; instance_id: string; project_id: string; name: string; kind: 'manual' | 'auto'; format: 'rdb' | 'aof'; remark: string | null
  operation_id: string; host: string; files: string | null; outcome: Outcome | null; cause: string | null; due_at: number | null; attempts: number
  created_at: number; finished_at: number | null
}

export interface RestoreRow {
  id: string; instance_id: string; project_id: string; name: string; remark: string | null; backup_id: string; backup_name: string; backup_remark: string | null
  operation_id: string; outcome: Outcome | null; cause: string | null; created_at: number; finished_at: number | null
}

/** A look through an instance: parameters and result are JSON; leased like an operation, and no operation, for nobody waits for it. */
export interface SurveyRow {
  id: string; instance_id: string; project_id: string; kind: SurveyKind; how: string; scan: 'manual' | 'auto'; due_at: number | null
  status: 'waiting' | 'running' | 'success' | 'failed'; attempts: number; progress: number; cause: string | null; result: string | null
  created_at: number; started_at: number | null; finished_at: number | null; lease_owner: string | null; lease_until: number | null
}

/** `parameters`: JSON. */
export interface TemplateRow { id: string; project_id: string; engine: EngineName; name: string; description: string; version: string; topology: string; parameters: string; created_at: number }

export interface ProjectRow { id: string; name: string; domain: string; created_at: number }
export interface SettingRow { name: string; value: string }

/** A control plane that lives, or did when it last said so; only in a database that several share. */
export interface ControlPlaneRow { id: string; host: string; seen_at: number }

/** All users but the first, which is in the server's settings. `password` is a hash; `epoch` is raised by each new one. */
export interface UserRow { id: string; domain: string; name: string; description: string; password: string; epoch: number; created_at: number }
/** `rules`: JSON, see core/policy.ts. Roles that are always there have no row. */
export interface RoleRow { domain: string; name: string; description: string; rules: string }
/** An empty project stands for all of them. */
export interface UserRoleRow { user_id: string; project_id: string; role: string }
/** `secret` is sealed with the master key. */
export interface AccessKeyRow { id: string; user_id: string; secret: string; description: string; created_at: number }
export interface RevokedTokenRow { id: string; sequence: number; expires_at: number }
/** `fields` and `tags`: JSON. A row of the kind `seed` says that a project has had its first ones. */
export interface NetworkRecordRow { id: string; project_id: string; kind: string; parent: string; name: string; fields: string; tags: string; created_at: number }
