/** The one question that a broker is asked: who are you, and who leads what. */

export interface ClusterView {
  readonly clusterId: string | null
  /** Node ids of brokers that are registered and unfenced: a fenced one is not listed. */
  readonly brokers: readonly number[]
  /** "topic-partition" of every partition without a leader. */
  readonly leaderless: readonly string[]
}

/** A broker answers from memory; one that is still loading its logs does not answer at all. */
const answerWithinMs = 3000

/** Throws when nobody answers in time. Leaves no socket and no timer behind. */
export async function describeCluster(host: string, port: number): Promise<ClusterView> {
  // Imported by the first question: a home without Kafka would carry 35 MB of it, and every launch of a node copies their page tables.
  const { Connection, metadataV12 } = await import('@platformatic/kafka')
  const connection = new Connection('sluice', { connectTimeout: answerWithinMs, requestTimeout: answerWithinMs })
  // Without a listener an error of the socket would end the process.
  connection.on('error', () => {})
  try {
    await connection.connect(host, port)
    const answer = await metadataV12.api.async(connection, null, false, false)
    return {
      clusterId: answer.clusterId ?? null, brokers: answer.brokers.map((broker) => broker.nodeId),
      leaderless: answer.topics.flatMap((topic) => topic.partitions.filter((partition) => partition.leaderId < 0).map((partition) => `${topic.name}-${partition.partitionIndex}`)),
    }
  } finally { await connection.close().catch(() => {}) }
}
