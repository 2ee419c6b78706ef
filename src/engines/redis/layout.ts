/** What a Redis instance runs: its nodes and their configuration. Pure. */
import { settingsOf } from './parameters.ts'
import { usersOf } from './users.ts'
import { dataFolder } from './data-folder.ts'
import { startsWarm } from './warm.ts'
import { topologyOf } from './topology.ts'
import { formerNames, listening, type Instance, type NodeRecord } from '../../core/instance.ts'
import type { NodeSpec } from '../../core/runtime.ts'

export interface RedisSecrets {
  /** The control plane's own password on an instance. */
  account(instanceId: string): string
  /** The customer's password, or null when the instance has none. */
  customer(instance: { readonly spec: Pick<Instance['spec'], 'sealedPassword'> }): string | null
}

/** SHUTDOWN writes the rest of the append-only file and ends; a larger one than this disk can take in 30 s is killed. */
const graceMs = 30_000

export function layout(instance: Instance, nodes: readonly NodeRecord[], secrets: RedisSecrets): NodeSpec[] {
  return nodes.map((node) => ({
    id: node.id, instanceId: instance.id,
    software: { name: 'redis', version: instance.version },
    argv: ['redis.conf'], env: {},
    files: { 'redis.conf': configuration(instance, node, secrets) },
    folders: [dataFolder(instance)],
    address: node.address, ports: node.ports, ...node.listen ? { listen: node.listen } : {}, memoryBytes: Math.floor(instance.spec.memoryBytes / instance.spec.shards),
    generation: instance.generation, graceMs, forceGraceMs: 0, guarded: topologyOf(instance.spec).endpoints['service'] !== undefined,
  }))
}

function configuration(instance: Instance, node: NodeRecord, secrets: RedisSecrets): string {
  const { parameters } = instance.spec
  return [
    `bind ${listening(node).address}`, `port ${listening(node).ports['service']}`,
    'daemonize no', 'pidfile ""', 'logfile ""', `dir ${dataFolder(instance)}`,
    // Redis would overwrite its command line and environment, by which people and tests find it.
    'set-proc-title no',
    // The control plane restarts it; a wish for an RDB on every stop would only slow that down.
    'save ""', 'databases 256',
    // With it on, Redis would not read the dump. Turned on once there is nothing left to catch up on.
    `appendonly ${startsWarm(instance, node) ? 'no' : parameters['appendonly'] ?? 'yes'}`,
    'aof-use-rdb-preamble yes',
    ...topologyOf(instance.spec).configuration(instance, node),
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
