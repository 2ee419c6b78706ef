/** A Kafka client that is none of ours: KafkaJS, as old customers have it. */
import assert from 'node:assert/strict'
import { Kafka, logLevel } from 'kafkajs'
import { setTimeout as sleep } from 'node:timers/promises'
import { describeCluster } from '../../src/engines/kafka/admin.ts'
import { until } from './server.ts'

export interface KafkaHands {
  create(topic: string, more?: { readonly partitions?: number; readonly replicas?: number }): Promise<void>
  /** Acknowledged by all replicas when it returns. */
  send(topic: string, value: string): Promise<void>
  /** The first `count` values of partition 0. */
  read(topic: string, count: number): Promise<string[]>
  /** Node ids that are leader, replicas and in sync, of each partition. */
  partitions(topic: string): Promise<{ readonly leader: number; readonly replicas: readonly number[]; readonly isr: readonly number[] }[]>
}

export interface Brokers { readonly connect_address: string; readonly port: number; readonly kafka_private_connect_address?: string }

function brokersOf(instance: Brokers): string[] {
  return instance.kafka_private_connect_address?.split(',') ?? instance.connect_address.split(',').map((address) => `${address}:${instance.port}`)
}

/** A client of every broker of an instance, which tries again for a good while. */
function kafkaClient(instance: Brokers): Kafka {
  return new Kafka({ brokers: brokersOf(instance), logLevel: logLevel.NOTHING, connectionTimeout: 3000, retry: { retries: 60, initialRetryTime: 50, maxRetryTime: 300 } })
}

export async function withKafka<T>(instance: Brokers, work: (kafka: KafkaHands) => Promise<T>): Promise<T> {
  const kafka = kafkaClient(instance)
  const admin = kafka.admin()
  const producer = kafka.producer({ allowAutoTopicCreation: false })
  await admin.connect()
  await producer.connect()
  const partitions = async (topic: string): ReturnType<KafkaHands['partitions']> => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0]!.partitions.toSorted((a, b) => a.partitionId - b.partitionId)
  try {
    return await work({
      async create(topic, { partitions: numPartitions = 1, replicas = 1 } = {}) {
        // Its own wait for leaders, and later anything else, gives up when the broker that it asks has not heard of the topic yet.
        await admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: replicas }], waitForLeaders: false })
        await until(`every broker to know ${topic}`, async () => {
          const views = await Promise.all(brokersOf(instance).map((broker) => describeCluster(broker.split(':')[0]!, Number(broker.split(':')[1]))))
          return views.every((view) => view.partitions.filter((one) => one.topic === topic && one.leader >= 0 && one.inSync.length === replicas).length === numPartitions)
        }, 20_000, 50)
      },
      async send(topic, value) { await producer.send({ topic, acks: -1, messages: [{ value }] }) },
      async read(topic, count) { return (await consumed(kafka, topic, count)).flat().slice(0, count) },
      partitions,
    })
  } finally {
    await producer.disconnect().catch(() => {})
    await admin.disconnect().catch(() => {})
  }
}

/** `count` values of a topic, by partition. */
async function consumed(kafka: Kafka, topic: string, count: number): Promise<string[][]> {
  const consumer = kafka.consumer({ groupId: `reader-${Math.random().toString(36).slice(2)}` })
  const values: string[][] = []
  let seen = 0
  await consumer.connect()
  try {
    await consumer.subscribe({ topic, fromBeginning: true })
    await consumer.run({ async eachMessage({ partition, message }) { (values[partition] ??= []).push(String(message.value)); seen += 1 } })
    await until(`${count} messages`, () => seen >= count, 60_000)
  } finally { await consumer.disconnect() }
  return values
}

export interface Producers {
  /** How many messages were acknowledged by all replicas so far. */
  readonly sent: () => number
  readonly failed: () => number
  /** The longest that one message took, ms; counted anew by each call. */
  readonly slowest: () => number
  /** Ends them and reads everything back: nothing lost, nothing twice, nothing out of order within a partition. */
  end(): Promise<void>
}

/** One idempotent producer for each partition of the topic, each with one message after the other, acks=all. */
export async function startProducers(instance: Brokers, topic: string, partitions: number): Promise<Producers> {
  const kafka = kafkaClient(instance)
  const sent: number[] = Array.from({ length: partitions }, () => 0)
  const failures: string[] = []
  let slowest = 0
  let over = false
  const producers = sent.map(() => kafka.producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false }))
  await Promise.all(producers.map((producer) => producer.connect()))
  const loops = producers.map(async (producer, partition) => {
    while (!over) {
      const from = performance.now()
      try {
        await producer.send({ topic, acks: -1, messages: [{ partition, value: String(sent[partition]) }] })
        sent[partition]! += 1
      } catch (error) { failures.push((error as Error).message) }
      slowest = Math.max(slowest, performance.now() - from)
      await sleep(10)
    }
    await producer.disconnect()
  })
  const total = (): number => sent.reduce((sum, count) => sum + count, 0)
  return {
    sent: total, failed: () => failures.length,
    slowest() { const was = slowest; slowest = 0; return was },
    async end() {
      over = true
      await Promise.all(loops)
      assert.deepEqual(failures, [])
      const values = await consumed(kafka, topic, total())
      for (const [partition, count] of sent.entries()) assert.deepEqual(values[partition], Array.from({ length: count }, (_, n) => String(n)), `partition ${partition}`)
    },
  }
}
