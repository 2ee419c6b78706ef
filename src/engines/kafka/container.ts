/** How a broker runs in a container of the official image, or of any other with java on its PATH and Kafka in /opt/kafka. */
import type { Container, NodeSpec } from '../../core/runtime.ts'

const mib = 1024 * 1024

export function containKafka(image: string, storageBytes: number) {
  return ({ argv, env, memoryBytes }: NodeSpec): Container => ({
    image,
    // Not by Kafka's own scripts: what they add are defaults for a machine of its own.
    command: [
      'java', ...['KAFKA_HEAP_OPTS', 'KAFKA_JVM_PERFORMANCE_OPTS', 'KAFKA_LOG4J_OPTS'].flatMap((name) => env[name]?.split(' ') ?? []),
      '-XX:-UsePerfData', '-Djava.awt.headless=true', '-cp', '/opt/kafka/libs/*', 'kafka.Kafka', ...argv,
    ],
    env: {}, secret: false,
    // The port opens when the broker is registered and has recovered its logs.
    ready: { port: 'service' },
    // The page cache counts as well, and gives way.
    memory: { limit: Math.max(memoryBytes, 1024 * mib), request: 300 * mib },
    storageBytes,
  })
}
