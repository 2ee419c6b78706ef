/** What the sweep in a cluster is about: how an instance is ordered, written to and read as its clients would. */
import { clusterClient, smallCluster } from '../support/cluster.ts'
import { withKafka } from '../support/kafka.ts'
import { client, type Answer, type Server } from '../support/server.ts'

export interface Subject {
  readonly name: string
  readonly service: 'dcs' | 'dms'
  make(server: Server, name: string): Promise<string>
  act(server: Server, id: string, action: string): Promise<Answer>
  write(instance: any, text: string): Promise<void>
  /** What was written last; null when it is gone. */
  read(instance: any, text: string): Promise<string | null>
}

function redis(name: string, more: object, connect: (instance: any) => Pick<ReturnType<typeof client>, 'set' | 'get' | 'disconnect'> = client): Subject {
  return {
    name, service: 'dcs',
    make: (server, called) => server.createRedis(called, more),
    act: (server, id, action) => server.dcs('PUT', '/instances/status', { action, instances: [id] }),
    async write(instance, text) {
      const connected = connect(instance)
      try { await connected.set('kept', text) } finally { connected.disconnect() }
    },
    async read(instance) {
      const connected = connect(instance)
      try { return await connected.get('kept') } finally { connected.disconnect() }
    },
  }
}

function kafka(name: string, more: object, replicas: number): Subject {
  return {
    name, service: 'dms',
    make: (server, called) => server.createKafka(called, more),
    act: (server, id, action) => server.dms('POST', '/instances/action', { action, instances: [id] }),
    write: (instance, text) => withKafka(instance, async (hands) => { await hands.create(`kept-${text}`, { replicas }); await hands.send(`kept-${text}`, text) }),
    read: (instance, text) => withKafka(instance, async (hands) => (await hands.read(`kept-${text}`, 1))[0]!),
  }
}

export const single = redis('one Redis', { spec_code: 'redis.single.xu1.tiny.128' })
export const ha = redis('a master and a replica', { spec_code: 'redis.ha.xu1.tiny.r2.128' })
export const sharded = redis('a Redis Cluster', smallCluster, clusterClient)
export const broker = kafka('one broker', {}, 1)
export const brokers = kafka('three brokers', { product_id: 'c6.2u4g.cluster', broker_num: 3, storage_space: 600 }, 3)
