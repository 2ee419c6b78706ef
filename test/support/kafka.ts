/** A Kafka client that is none of ours: KafkaJS, as old customers have it. */
import { Kafka, logLevel } from 'kafkajs'
import { until } from './server.ts'

export interface KafkaHands {
  create(topic: string): Promise<void>
  /** Acknowledged by all replicas when it returns. */
  send(topic: string, value: string): Promise<void>
  /** The first `count` values of partition 0. */
  read(topic: string, count: number): Promise<string[]>
}

export async function withKafka<T>(instance: { readonly connect_address: string; readonly port: number }, work: (kafka: KafkaHands) => Promise<T>): Promise<T> {
  const kafka = new Kafka({ brokers: [`${instance.connect_address.split(',')[0]}:${instance.port}`], logLevel: logLevel.NOTHING, retry: { retries: 30, initialRetryTime: 50, maxRetryTime: 300 } })
  const admin = kafka.admin()
  const producer = kafka.producer({ allowAutoTopicCreation: false })
  await admin.connect()
  await producer.connect()
  try {
    return await work({
      async create(topic) { await admin.createTopics({ topics: [{ topic, numPartitions: 1, replicationFactor: 1 }], waitForLeaders: true }) },
      async send(topic, value) { await producer.send({ topic, acks: -1, messages: [{ value }] }) },
      async read(topic, count) {
        const consumer = kafka.consumer({ groupId: `reader-${Math.random().toString(36).slice(2)}` })
        const values: string[] = []
        await consumer.connect()
        try {
          await consumer.subscribe({ topic, fromBeginning: true })
          await consumer.run({ async eachMessage({ message }) { values.push(String(message.value)) } })
          await until(`${count} messages`, () => values.length >= count, 20_000)
        } finally { await consumer.disconnect() }
        return values.slice(0, count)
      },
    })
  } finally {
    await producer.disconnect().catch(() => {})
    await admin.disconnect().catch(() => {})
  }
}
