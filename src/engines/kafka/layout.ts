/** What a Kafka instance runs: brokers that are also controllers (KRaft), and their configuration. Pure. */
import { createHash } from 'node:crypto'
import { listening, type Instance, type NodeRecord } from '../../core/instance.ts'
import type { NodeSpec } from '../../core/runtime.ts'

/** Controlled shutdown flushes every log; a broker with thousands of partitions needs a while. */
const graceMs = 60_000
/** A forced restart asks as well, for a broker that is killed has to recover its logs; it is only given less time. */
const forceGraceMs = 20_000
const mib = 1024 * 1024
/** Up to here a fast start counts for more than the last bit of throughput. */
const smallBytes = 4 * 1024 * mib

export function layout(instance: Instance, nodes: readonly NodeRecord[]): NodeSpec[] {
  return nodes.map((node) => ({
    id: node.id, instanceId: instance.id,
    software: { name: 'kafka', version: instance.version },
    argv: ['server.properties'],
    env: {
      // With 64 MB the log cleaner's buffer did not fit at the start, and a full collection stopped the broker for 30 ms and more.
      KAFKA_HEAP_OPTS: `-Xms96m -Xmx${heapMib(instance.spec.memoryBytes)}m`,
      KAFKA_JVM_PERFORMANCE_OPTS: instance.spec.memoryBytes <= smallBytes ? '-XX:+UseSerialGC -XX:TieredStopAtLevel=1' : '-XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:+ExplicitGCInvokesConcurrent',
      KAFKA_LOG4J_OPTS: '-Dlog4j.configuration=file:log4j.properties',
    },
    files: {
      'server.properties': properties(serverProperties(instance, node, nodes)),
      'log4j.properties': properties(logging),
      'data/meta.properties': properties({ version: '1', 'cluster.id': clusterId(instance.id), 'node.id': String(nodeId(node)), 'directory.id': directoryId(node.id) }),
    },
    address: node.address, ports: node.ports, ...node.listen ? { listen: node.listen } : {}, memoryBytes: instance.spec.memoryBytes,
    generation: instance.generation, graceMs, forceGraceMs,
  }))
}

/** Kafka's form of the instance's id. A broker that says it is ours. */
export function clusterId(instanceId: string): string { return Buffer.from(instanceId.replaceAll('-', ''), 'hex').toString('base64url') }

/** Kafka counts its nodes from 1. */
export function nodeId(node: NodeRecord): number { return node.ordinal + 1 }

/** The nodes that are controllers as well: the first three, so that a fourth broker changes nothing about them. */
export function votersOf(nodes: readonly NodeRecord[]): readonly NodeRecord[] { return nodes.filter((node) => node.ordinal < 3) }

/** Parameters that customers may set, by the names that Kafka has for them. */
const parameters = [
  'min.insync.replicas', 'message.max.bytes', 'max.connections.per.ip', 'unclean.leader.election.enable', 'offsets.retention.minutes', 'connections.max.idle.ms',
  'log.retention.hours', 'group.max.session.timeout.ms', 'group.min.session.timeout.ms', 'default.replication.factor', 'num.partitions', 'auto.create.topics.enable',
] as const

function serverProperties(instance: Instance, node: NodeRecord, nodes: readonly NodeRecord[]): Readonly<Record<string, string>> {
  const at = (name: string): string => `${listening(node).address}:${listening(node).ports[name]}`
  const replicas = String(Math.min(3, nodes.length))
  const inSync = String(Math.min(2, nodes.length))
  const wanted = Object.fromEntries(parameters.filter((name) => instance.spec.parameters[name] !== undefined).map((name) => [name, instance.spec.parameters[name]!]))
  const votes = votersOf(nodes).includes(node)
  return {
    'process.roles': votes ? 'broker,controller' : 'broker', 'node.id': String(nodeId(node)),
    'controller.quorum.voters': votersOf(nodes).map((n) => `${nodeId(n)}@${n.address}:${n.ports['controller']}`).join(','),
    listeners: `PLAINTEXT://${at('service')}${votes ? `,CONTROLLER://${at('controller')}` : ''}`,
    'advertised.listeners': `PLAINTEXT://${node.address}:${node.ports['service']}`,
    'controller.listener.names': 'CONTROLLER', 'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': 'data',
    'offsets.topic.replication.factor': replicas, 'transaction.state.log.replication.factor': replicas, 'transaction.state.log.min.isr': inSync,
    'default.replication.factor': replicas, 'min.insync.replicas': inSync, 'num.partitions': nodes.length === 1 ? '1' : '3',
    // One folder of 50 files for each would cost a small broker half a second at its first consumer.
    'offsets.topic.num.partitions': '8', 'transaction.state.log.num.partitions': '8',
    'auto.create.topics.enable': 'false', 'log.retention.hours': '72', 'message.max.bytes': '10485760', 'group.initial.rebalance.delay.ms': '0',
    // Thread pools of a stock broker are sized for a machine of its own.
    'num.network.threads': '2', 'num.io.threads': '4', 'background.threads': '4', 'num.recovery.threads.per.data.dir': '2', 'log.cleaner.threads': '1',
    // Taken and zeroed at every start. The stock 128 MB cost a 4 GB broker 100 MB of resident memory; 32 MB still tell 1.2 million keys apart in one pass.
    'log.cleaner.dedupe.buffer.size': String(Math.min(128 * mib, Math.max(16 * mib, Math.floor(instance.spec.memoryBytes / 128)))),
    ...(nodes.length === 1 ? alone : together),
    ...wanted,
  }
}

/**
 * A broker that was killed may register again only when the session of its predecessor has ended, and it asks after
 * 0.1, 0.3, 0.7, 1.5, 3.1 s and so on. With the stock 9 s the broker was back after 14 s, with this after 5. Nobody
 * could take over its partitions meanwhile, which is what a longer session would be good for.
 */
const alone = { 'broker.session.timeout.ms': '2500', 'broker.heartbeat.interval.ms': '500' } as const

/**
 * Of several brokers a dead one's partitions get new leaders when its session has ended, so a shorter one is a shorter gap
 * for producers: 9.8 s with the stock session, 4.1 with this; and the broker was back after 10 to 20 s, and after 7 to 10.
 * No less: four brokers and their neighbours on two busy cores must not be late for it.
 */
const together = { 'broker.session.timeout.ms': '4000', 'broker.heartbeat.interval.ms': '1000' } as const

const logging = {
  'log4j.rootLogger': 'INFO, out', 'log4j.appender.out': 'org.apache.log4j.ConsoleAppender',
  'log4j.appender.out.layout': 'org.apache.log4j.PatternLayout', 'log4j.appender.out.layout.ConversionPattern': '%d{ISO8601} %p %m (%c{1})%n',
  // Whole configurations, several times at each start.
  'log4j.logger.org.apache.kafka.common.config.AbstractConfig': 'WARN', 'log4j.logger.kafka.server.KafkaConfig': 'WARN', 'log4j.logger.org.apache.kafka.clients': 'WARN',
} as const

/** A ceiling: the heap grows to it only when it is needed, and leaves the rest to the page cache. */
function heapMib(memoryBytes: number): number { return Math.max(256, Math.min(6144, Math.floor(memoryBytes / mib / 4))) }

/** Stable and unlike the few ids that Kafka reserves. */
function directoryId(id: string): string {
  const bytes = createHash('sha256').update(id).digest().subarray(0, 16)
  bytes[0] = bytes[0]! | 0x80
  return bytes.toString('base64url').replace(/^-/, '_')
}

function properties(rows: Readonly<Record<string, string>>): string {
  return `${Object.entries(rows).map(([name, value]) => `${name}=${value.replaceAll('\\', '\\\\').replaceAll(/[\r\n]/g, ' ')}`).join('\n')}\n`
}
