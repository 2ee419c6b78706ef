/** What a Redis instance runs: its nodes and their configuration. Pure. */
import { settingsOf } from './parameters.ts'
import { usersOf } from './users.ts'
import { dataFolder } from './data-folder.ts'
import { startsWarm } from './warm.ts'
import { certificateFiles, listeners } from './tls.ts'
import { topologyOf } from './topology.ts'
import { shareAddress } from '../../core/sources.ts'
import { formerNames, listening, type Instance, type NodeRecord } from '../../core/instance.ts'
import type { NodeSpec } from '../../core/runtime.ts'

export interface RedisSecrets {
  /** The control plane's own password on an instance. */
  account(instanceId: string): string
  /** The customer's password, or null when the instance has none. */
  customer(instance: { readonly spec: Pick<Instance['spec'], 'sealedPassword'> }): string | null
  /** The address that the control plane connects to it from, and that is always let in; undefined, or absent: any. */
  source?(instance: Instance): string | undefined
  /** What was sealed with the master key. */
  open(sealed: string): string
}

/** Redis's word for where it connects from. */
export const comesFrom = 'bind-source-addr'

/** Where connections of an instance's nodes to each other come from; null: nobody looks. Machines that nodes share an address with are full of others, who come from there too. */
export function peersComeFrom(instance: Instance, node: NodeRecord, nodes: readonly NodeRecord[], secrets: RedisSecrets): string | null {
  if (nodes.length === 1 || node.listen) return null
  return (shareAddress(nodes) ? secrets.source?.(instance) : undefined) ?? node.address
}

/** SHUTDOWN writes the rest of the append-only file and ends; a larger one than this disk can take in 30 s is killed. */
const graceMs = 30_000

export function layout(instance: Instance, nodes: readonly NodeRecord[], secrets: RedisSecrets): NodeSpec[] {
  return nodes.map((node) => ({
    id: node.id, instanceId: instance.id,
    software: { name: 'redis', version: instance.version },
    argv: ['redis.conf'], env: {},
    files: { 'redis.conf': configuration(instance, node, peersComeFrom(instance, node, nodes, secrets), secrets), ...certificateFiles(instance.spec, secrets) },
    folders: [dataFolder(instance)],
    address: node.address, ports: node.ports, ...node.listen ? { listen: node.listen } : {}, memoryBytes: Math.floor(instance.spec.memoryBytes / instance.spec.shards),
    generation: instance.generation, graceMs, forceGraceMs: 0, guarded: topologyOf(instance.spec).endpoints['service'] !== undefined,
  }))
}

function configuration(instance: Instance, node: NodeRecord, source: string | null, secrets: RedisSecrets): string {
  const { parameters } = instance.spec
  return [
    `bind ${listening(node).address}`, ...listeners(instance.spec, listening(node).ports['service']!),
    'daemonize no', 'pidfile ""', 'logfile ""', `dir ${dataFolder(instance)}`,
    // Redis would overwrite its command line and environment, by which people and tests find it.
    'set-proc-title no',
    // The control plane restarts it; a wish for an RDB on every stop would only slow that down.
    'save ""', 'databases 256',
    // With it on, Redis would not read the dump. Turned on once there is nothing left to catch up on.
    `appendonly ${startsWarm(instance, node) ? 'no' : parameters['appendonly'] ?? 'yes'}`,
    'aof-use-rdb-preamble yes',
    ...topologyOf(instance.spec).configuration(instance, node),
    ...source === null ? [] : [`${comesFrom} ${source}`],
    ...[...settingsOf(instance)].map(([name, value]) => `${name} ${value}`),
    ...Object.entries(namesOf(instance)).map(([from, to]) => `rename-command ${from} ${to}`),
    ...usersOf(instance, secrets).map(([name, rules]) => `user ${name} ${rules.join(' ')}`),
    '',
  ].join('\n')
}

/** The names that a node starts with: the former ones, while its files may have commands by those. */
function namesOf({ spec, grants }: Instance): Readonly<Record<string, string>> {
  return grants[formerNames] === undefined ? spec.renamedCommands : JSON.parse(grants[formerNames])
}
