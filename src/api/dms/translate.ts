/** From the control plane's words to DMS's: instances, tasks, statuses. */
import { findFlavor } from './flavors.ts'
import type { TaskView, View } from '../../core/control-plane.ts'
import type { Action, Operation } from '../../core/operation.ts'
import type { Status } from '../../core/status.ts'

/** Kafka has no `flushing`; the row keeps the table whole. */
export const statusWords: Readonly<Record<Status, string>> = {
  creating: 'CREATING', unknown: 'UNKNOWN', createfailed: 'CREATEFAILED', running: 'RUNNING', error: 'ERROR', restarting: 'RESTARTING', flushing: 'RESTARTING', deleting: 'DELETING', extending: 'EXTENDING', restoring: 'RESTARTING',
}

/** Documented, though no instance here is ever in them: asked for, they are an empty list and no mistake. */
export const foreignStatusWords: readonly string[] = [
  'STARTING', 'CLOSING', 'EXTENDEDFAILED', 'DELETED', 'RECYCLE', 'FREEZING', 'FROZEN', 'UPGRADING', 'ROLLBACK', 'ROLLBACKFAILED', 'CONFIGURING', 'SHRINKING', 'VOLUMETYPECHANGING',
]

/** GET …/instances/{instance_id}, and one entry of the list: every documented field, null where nothing true can be said. */
export function instanceBody(view: View): object {
  const { instance: { id, name, version, spec, attributes: a, tags, createdAt, cause }, nodes } = view
  const flavor = findFlavor(spec.flavor)
  // Instances from before there were several brokers have it as a total, of one.
  const storage = a['storagePerBroker'] === undefined ? a['storageSpace'] ?? null : Math.round(Number(a['storagePerBroker']) * spec.nodeCount)
  return {
    ...fixed,
    name, instance_id: id, engine: 'kafka', engine_version: version, status: statusWords[view.status], type: spec.topology,
    description: a['description'] ?? '', product_id: spec.flavor, specification: flavor?.alias ?? null, resource_spec_code: flavor?.specCode ?? null,
    broker_num: spec.nodeCount, node_num: spec.nodeCount, partition_num: flavor ? String(flavor.partitions * spec.nodeCount) : null,
    storage_space: storage, total_storage_space: storage, used_storage_space: null, storage_spec_code: a['storageSpecCode'] ?? null,
    connect_address: nodes.map((node) => node.address).filter(Boolean).join(',') || null, port: nodes[0]?.ports['service'] ?? null,
    kafka_private_connect_address: nodes.filter((node) => node.address !== '').map((node) => `${node.address}:${node.ports['service']}`).join(',') || null,
    cross_vpc_info: listeners(nodes),
    vpc_id: a['vpcId'] ?? null, subnet_id: a['subnetId'] ?? null, security_group_id: a['securityGroupId'] ?? null,
    available_zones: a['availableZones'] ?? [], available_zone_names: a['availableZones'] ?? [],
    enterprise_project_id: a['enterpriseProjectId'] ?? '0', user_id: a['userId'] ?? null, user_name: a['userName'] ?? null,
    maintain_begin: a['maintainBegin'] ?? null, maintain_end: a['maintainEnd'] ?? null,
    retention_policy: a['retentionPolicy'] ?? null, enable_auto_topic: a['autoTopic'] ?? false, created_at: String(createdAt), tags,
    task: view.open ? { name: taskNames[view.open.action] } : null,
    // Ours: the release behind the version asked for, and why an instance is not well.
    internal_version: view.runsOn, cause,
  }
}

/** The same for every instance of this release: what it does not offer is off, what it does not know is null. */
const fixed = {
  access_user: null, order_id: null, charging_mode: 1, public_bandwidth: 0, public_boundwidth: 0, connector_node_num: 0, extend_times: 0,
  vpc_name: null, subnet_name: null, subnet_cidr: null, security_group_name: null, public_connect_address: null, pod_connect_address: null,
  rest_connect_address: null, management_connect_address: null, sasl_enabled_mechanisms: [], ipv6_connect_addresses: [],
  enable_publicip: false, ssl_enable: false, broker_ssl_enable: false, ssl_two_way_enable: false, cert_replaced: false, new_auth_cert: false,
  connector_enable: false, disk_encrypted: false, enable_acl: false, new_spec_billing_enable: true, dr_enable: false, vpc_client_plain: false,
  ipv6_enable: false, rest_enable: false, trace_enable: false, agent_enable: false, enable_log_collection: false, dns_enable: false,
  is_logical_volume: false, message_query_inst_enable: false, kafka_security_protocol: null, kafka_public_status: 'closed', public_access_enabled: 'closed',
  storage_type: null, service_type: 'advanced', ces_version: null, port_protocols: null,
  // In the SDK's model only.
  kafka_private_connect_domain_name: null, public_connect_domain_name: null, public_management_connect_address: null, public_cross_vpc_info: null,
  connector_id: null, storage_resource_id: null, disk_encrypted_key: null, support_features: null,
} as const

/**
 * A document inside a text: under which address each broker is announced. Terraform takes more brokers for there when it has an
 * entry for each of them, so brokers that share the host's address are told apart by their ports. Null until all have one.
 */
function listeners(nodes: View['nodes']): string | null {
  if (nodes.length === 0 || nodes.some((node) => node.address === '')) return null
  const shared = new Set(nodes.map((node) => node.address)).size < nodes.length
  const entries = nodes.map(({ address, ports: { service: port } }) => [shared ? `${address}:${port}` : address, { advertised_ip: address, port, port_id: null }])
  return JSON.stringify(Object.fromEntries(entries))
}

const taskNames: Readonly<Record<Action, string>> = {
  create: 'createInstance', restart: 'restartInstance', soft_restart: 'softRestartInstance', flush: 'flushInstance', delete: 'deleteInstance', recover: 'recoverInstance', swap: 'swapInstance', extend: 'extendInstance', shrink: 'extendInstance', backup: 'backupInstance', restore: 'restoreInstance', hang_up: 'killClients',
  configure: 'modifyInstance', password: 'resetPassword', accounts: 'modifyAccount', rescale: 'extendInstance', check: 'checkInstance', port: 'updatePort', ssl: 'modifyInstance', whitelist: 'modifyInstance', rename: 'modifyInstance',
}

/** One entry of GET …/tasks. */
export function task({ operation, progress, nodes }: TaskView, user: { readonly id: unknown; readonly name: unknown }): object {
  return {
    id: operation.id, name: taskNames[operation.action], status: taskStatus(operation),
    user_name: operation.actor, user_id: operation.actor === user.name ? user.id : null,
    params: JSON.stringify({ progress, nodes, cause: operation.cause, generation: operation.generation }),
    created_at: moment(operation.createdAt), updated_at: moment(operation.finishedAt ?? operation.startedAt ?? operation.createdAt),
  }
}

/** Unfinished is CREATED, running or not: Terraform's older waiters fail at EXECUTING. */
function taskStatus({ finishedAt, outcome }: Operation): string {
  return finishedAt === null ? 'CREATED' : { done: 'SUCCESS', failed: 'FAILED', replaced: 'CANCELED', cancelled: 'CANCELED' }[outcome ?? 'done']
}

function moment(at: number): string { return new Date(at).toISOString() }
