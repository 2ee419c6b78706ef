/** The questions that brokers are asked: who are you, who leads what, who holds what, and who is the active controller. */
import type * as Client from '@platformatic/kafka'

export interface ClusterView {
  readonly clusterId: string | null
  /** Node ids of brokers that are registered and unfenced: a fenced one is not listed. */
  readonly brokers: readonly number[]
  readonly partitions: readonly Partition[]
}

export interface Partition {
  readonly topic: string
  /** "topic-partition" */
  readonly name: string
  /** -1: nobody. */
  readonly leader: number
  readonly replicas: readonly number[]
  readonly inSync: readonly number[]
}

export interface Quorum {
  /** Node id of the active controller, -1: none. Metadata answers name some broker instead. */
  readonly leader: number
  /** When each voter last had all that the leader had, epoch ms by the leader's clock. */
  readonly caughtUpAt: ReadonlyMap<number, number>
}

/** A broker answers from memory; one that is still loading its logs does not answer at all. */
const answerWithinMs = 3000

/** Throws when nobody answers in time. */
export function describeCluster(host: string, port: number): Promise<ClusterView> {
  return connected(host, port, async (connection, { metadataV12 }) => {
    const answer = await partial(metadataV12.api.async(connection, null, false, false))
    return {
      clusterId: answer.clusterId ?? null, brokers: answer.brokers.map((broker) => broker.nodeId),
      partitions: answer.topics.flatMap((topic) => topic.partitions.map((partition) => ({
        topic: topic.name ?? '', name: `${topic.name}-${partition.partitionIndex}`, leader: partition.leaderId, replicas: partition.replicaNodes, inSync: partition.isrNodes,
      }))),
    }
  })
}

/** Asked of any broker, which passes it on to the active controller. */
export function describeQuorum(host: string, port: number): Promise<Quorum> {
  return connected(host, port, async (connection, { describeQuorumV1 }) => {
    const answer = await partial(describeQuorumV1.api.async(connection, [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }] }]))
    const partition = answer.topics[0]?.partitions[0]
    // With an error, during an election say, it is the number of nobody.
    return { leader: partition?.errorCode === 0 ? partition.leaderId : -1, caughtUpAt: new Map(partition?.currentVoters.map((voter) => [voter.replicaId, Number(voter.lastCaughtUpTimestamp)])) }
  })
}

const topicResource = 2

/** How many replicas of each topic must have a message before a producer with acks=all is told so: its own setting or the broker's. */
export function leastInSync(host: string, port: number, topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
  if (topics.length === 0) return Promise.resolve(new Map())
  return connected(host, port, async (connection, { describeConfigsV4 }) => {
    const answer = await partial(describeConfigsV4.api.async(connection, topics.map((resourceName) => ({ resourceType: topicResource, resourceName, configurationKeys: ['min.insync.replicas'] })), false, false))
    return new Map(answer.results.map((result) => [result.resourceName, Number(result.configs[0]?.value)] as const).filter(([, least]) => least > 0))
  })
}

/** Leaves no socket and no timer behind. */
async function connected<T>(host: string, port: number, ask: (connection: Client.Connection, api: typeof Client) => Promise<T>): Promise<T> {
  // Imported by the first question: a home without Kafka would carry 35 MB of it, and every launch of a node copies their page tables.
  const api = await import('@platformatic/kafka')
  const connection = new api.Connection('sluice', { connectTimeout: answerWithinMs, requestTimeout: answerWithinMs })
  // Without a listener an error of the socket would end the process.
  connection.on('error', () => {})
  try {
    await connection.connect(host, port)
    return await ask(connection, api)
  } finally { await connection.close().catch(() => {}) }
}

/** An answer in which single partitions have errors is an answer: the client throws it, with the error. */
async function partial<T>(answer: Promise<T>): Promise<T> {
  return answer.catch((error: { response?: T }) => {
    if (typeof error.response === 'object' && error.response !== null) return error.response
    throw error
  })
}
