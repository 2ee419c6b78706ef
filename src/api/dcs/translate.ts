/** From the control plane's words to DCS's: instances, tasks, statuses. */
import { backupPolicyBody } from './policy.ts'
import type { NetworkRecord } from '../records.ts'
import type { BackupPolicy } from '../../core/backups.ts'
import type { NodeView, TaskView, View } from '../../core/control-plane.ts'
import type { Action, Operation } from '../../core/operation.ts'
import type { Status } from '../../core/status.ts'

export const statusWords: Readonly<Record<Status, string>> = {
  creating: 'CREATING', unknown: 'UNKNOWN', createfailed: 'CREATEFAILED', running: 'RUNNING', error: 'ERROR',
  restarting: 'RESTARTING', flushing: 'FLUSHING', deleting: 'DELETING', extending: 'EXTENDING', restoring: 'RESTORING',
}

/** Documented, though no instance here is ever in them: asked for, they are an empty list and no mistake. */
export const foreignStatusWords: readonly string[] = [
  'FROZEN', 'FREEZING', 'STARTING', 'CLOSING', 'CLOSED', 'DELETED', 'UPGRADING', 'ROLLBACKING', 'IPEXCHANGING', 'PAYING', 'MIGRATING', 'CONFIGURING',
]

/** What the list and the detail have in common: every documented field, null where nothing true can be said. */
function common(view: View): Record<string, unknown> {
  const { instance: { id, name, version, spec, attributes: a, tags, createdAt, endpoints }, nodes } = view
  const capacity = a['capacity'] as number
  return {
    instance_id: id, name, description: a['description'] ?? null, status: statusWords[view.status], sub_status: 'normal',
    engine: 'Redis', engine_version: version, spec_code: spec.flavor, cpu_type: 'x86_64',
    capacity: capacity < 1 ? 0 : capacity, capacity_minor: capacity < 1 ? String(capacity).slice(1) : null,
    max_memory: Math.floor(spec.memoryBytes / 1024 ** 2), used_memory: view.facts && Math.round(view.facts.usedBytes / 1024 ** 2),
    ip: (endpoints['service']?.address ?? nodes.map((node) => node.address).filter(Boolean).join(',')) || null, port: endpoints['service']?.port ?? nodes[0]?.ports['service'] ?? spec.port ?? null,
    domain_name: null, readonly_domain_name: readonlyName(view),
    vpc_id: a['vpcId'] ?? null, subnet_id: a['subnetId'] ?? null, security_group_id: a['securityGroupId'] ?? null,
    az_codes: a['azCodes'] ?? [], enable_publicip: false, publicip_id: null, publicip_address: null, enable_ssl: holdsTls(view),
    no_password_access: String(spec.sealedPassword === null), access_user: null,
    maintain_begin: a['maintainBegin'] ?? null, maintain_end: a['maintainEnd'] ?? null,
    service_upgrade: false, service_task_id: null, charging_mode: 0, order_id: null,
    user_id: a['userId'] ?? null, user_name: a['userName'] ?? null, enterprise_project_id: a['enterpriseProjectId'] ?? '0',
    created_at: moment(createdAt), tags,
    features: { support_acl: version !== '3.0', support_transparent_client_ip: false, support_ssl: speaksTls(version), support_audit_log: false },
  }
}

/** One entry of GET /v2/{project_id}/instances. */
export function listItem(view: View): object {
  return { ...common(view), updated_at: moment(view.instance.updatedAt) }
}

/** GET /v2/{project_id}/instances/{instance_id}. */
export function detail(view: View): object {
  const { instance: { spec, attributes: a, updatedAt, readyAt, cause, endpoints } } = view
  return {
    ...common(view),
    update_at: moment(updatedAt), launched_at: readyAt === null ? null : moment(readyAt),
    enterprise_project_name: a['enterpriseProjectName'] ?? null,
    cache_mode: spec.topology, product_type: 'generic', storage_type: 'DRAM', db_number: spec.topology === 'cluster' ? 1 : 256, replica_count: spec.replicas, sharding_count: spec.topology === 'cluster' ? spec.shards : 0, support_slow_log_flag: null,
    inquery_spec_code: spec.flavor, cloud_service_type_code: 'otc.service.type.dcs', cloud_resource_type_code: 'otc.resource.type.dcs3', bandwidth_info: null,
    domain_name_info: null, backend_addrs: spec.topology === 'cluster' ? view.nodes.map((node) => `${node.address}:${node.ports['service']}`).join(',') : null,
    available_zones: a['azCodes'] ?? [], transparent_client_ip_enable: false, instance_backup_policy: backupPolicyBody((a['backupPolicy'] ?? null) as BackupPolicy | null, view.instance.projectId),
    task: view.open?.action === 'backup' ? 'BACKUPING' : null, free: null, is_free: null, libos: false, crr_role: null, active_active: null, proxy_links: null,
    // Ours: the release behind the version asked for, why an instance is not well, and where replicas can be read.
    internal_version: view.runsOn, cause, readonly_address: endpoints['readonly']?.address ? `${endpoints['readonly'].address}:${endpoints['readonly'].port}` : null,
  }
}

type Known = ReadonlyMap<string, NetworkRecord>

/** What the network facade calls the instance's VPC; an id that it does not know has no name. */
export function listNames({ instance: { attributes } }: View, known: Known): object {
  return { vpc_name: known.get(attributes['vpcId'] as string)?.name ?? null }
}

/** The same with what the detail tells besides. */
export function names(view: View, known: Known): object {
  const { attributes } = view.instance
  const subnet = known.get(attributes['subnetId'] as string)
  return { ...listNames(view, known), subnet_name: subnet?.name ?? null, subnet_cidr: subnet?.fields['cidr'] ?? null, security_group_name: known.get(attributes['securityGroupId'] as string)?.name ?? null }
}

/** Whether clients have to speak TLS now: while it is switched, the way back is what holds. */
export function holdsTls({ instance, open }: View): boolean { return Boolean(instance.spec.tls) !== (open?.action === 'ssl') }

/** The versions that have it in the clouds. */
export function speaksTls(version: string): boolean { return version === '6.0' || version === '7.0' }

const taskNames: Readonly<Record<Action, string>> = {
  create: 'CREATE', restart: 'RESTART', soft_restart: 'SOFT_RESTART', flush: 'FLUSH', delete: 'DELETE', recover: 'RECOVER', swap: 'masterStandbySwapJob', extend: 'EXTEND', shrink: 'DelReplica', backup: 'BACKUP', restore: 'RESTORE', hang_up: 'KillClients',
  configure: 'modify', password: 'ResetPassword', accounts: 'modifyAccount', rescale: 'EXTEND', check: 'ResizeCheck', port: 'UpdatePort', whitelist: 'AddWhitelist', rename: 'RenameCommands', ssl: 'UpdateSslSwitch',
}

/** One entry of GET …/tasks. */
export function task({ operation, progress, nodes }: TaskView, user: { readonly id: unknown; readonly name: unknown }): object {
  return {
    id: operation.id, name: taskNames[operation.action], status: taskStatus(operation),
    details: { progress, nodes, cause: operation.cause, generation: operation.generation }, params: null,
    user_name: operation.actor, user_id: operation.actor === user.name ? user.id : null,
    created_at: moment(operation.createdAt), updated_at: moment(operation.finishedAt ?? operation.startedAt ?? operation.createdAt), enable_show: operation.finishedAt === null,
  }
}

/** GET …/jobs/{job_id}. */
export function job({ operation }: TaskView): object {
  const { finishedAt, startedAt, outcome } = operation
  const ended = outcome === 'done' ? 'SUCCESS' : 'FAIL'
  return {
    job_id: operation.id, job_type: taskNames[operation.action], status: finishedAt !== null ? ended : startedAt === null ? 'INIT' : 'RUNNING',
    begin_time: String(operation.createdAt), end_time: finishedAt === null ? null : String(finishedAt),
    fail_reason: finishedAt === null || outcome === 'done' ? null : operation.cause ?? outcome,
  }
}

/** GET …/tasks/{task_id}/progress: a step is a node, for that is what an operation works through. Nobody knows how long it will take. */
export function progressBody({ operation, progress, nodes: said }: TaskView, nodes: readonly NodeView[]): object {
  const { generation, startedAt, finishedAt, outcome, cause } = operation
  const times = (end: number | null): object => ({ begin_time: startedAt === null ? null : moment(startedAt), end_time: end === null ? null : moment(end), error_code: null })
  if (finishedAt !== null) {
    const done = outcome === 'done'
    return { progress: done ? 100 : null, remain_time: 0, step_details: [{ step_id: operation.id, step_name: taskNames[operation.action], step_status: done ? 'FINISH' : 'FAILED', ...times(finishedAt), sub_step_details: done || cause === null ? [] : [{ sub_step_id: operation.id, sub_step_name: 'cause', sub_step_status: 'FAILED', ...times(finishedAt), detail: cause }] }] }
  }
  const steps = nodes.map(({ node, report }) => {
    const there = report.phase === 'running' && (report.observedGeneration ?? 0) >= generation
    const status = there && !said[node.id] ? 'FINISH' : said[node.id] || startedAt !== null && !there ? 'EXECUTING' : 'WAITING'
    return { step_id: node.id, step_name: `node ${node.ordinal}`, step_status: status, ...times(null), sub_step_details: said[node.id] ? [{ sub_step_id: node.id, sub_step_name: said[node.id], sub_step_status: status, ...times(null), detail: said[node.id] }] : [] }
  })
  const finished = steps.filter((step) => step.step_status === 'FINISH').length
  // All nodes may be there and the operation still looks at them.
  return { progress: Math.min(99, Math.floor(100 * finished / Math.max(1, steps.length))), remain_time: null, step_details: steps, status: progress }
}

/** A name that clients use with the instance's `port`: an address is one, unless readers have another port. */
function readonlyName({ instance: { endpoints: { service, readonly } } }: View): string | null {
  return readonly && readonly.port === service?.port ? readonly.address : null
}

function taskStatus({ finishedAt, startedAt, outcome }: Operation): string {
  if (finishedAt === null) return startedAt === null ? 'CREATED' : 'EXECUTING'
  return { done: 'SUCCESS', failed: 'FAILED', replaced: 'CANCELED', cancelled: 'CANCELED' }[outcome ?? 'done']
}

/** RFC 3339, as all of DCS has its times. */
export function moment(at: number): string { return new Date(at).toISOString() }
