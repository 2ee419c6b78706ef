/** A Redis Cluster without a control plane: its operations are performed here step by step, as a worker does, and can be left half way. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Redis } from 'ioredis'
import { fenced } from '../../src/core/fence.ts'
import { homeVault } from '../../src/vault.ts'
import { readConfig } from '../../src/config.ts'
import { redisEngine } from '../../src/engines/redis/index.ts'
import { findRedis, locateRedis } from '../../src/engines/redis/program.ts'
import { actions } from '../../src/operations/actions.ts'
import { instanceFor } from '../contracts/engine.ts'
import { testGround, type TestGround } from './ground.ts'
import { Fatal, password, until } from './server.ts'
import type { ClusterNode } from './cluster.ts'
import type { Engine } from '../../src/core/engine.ts'
import type { Instance, NodeRecord } from '../../src/core/instance.ts'
import type { Action, Memo, Operation } from '../../src/core/operation.ts'
import type { NodeState } from '../../src/core/runtime.ts'

export interface Steps {
  readonly engine: Engine
  readonly ground: TestGround
  readonly instance: () => Instance
  /** As a customer's client knows them. */
  readonly nodes: () => ClusterNode[]
  readonly states: () => Promise<NodeState[]>
  /** So many shards and replicas from now on, with the nodes that are missing. */
  size(shards: number, replicas: number): Promise<void>
  readonly records: () => readonly NodeRecord[]
  /** Until it is done; or until its worker passes this checkpoint, and may do nothing any more. */
  perform(action: Action, how?: { readonly memo?: Memo; readonly cut?: string }): Promise<void>
  /** SIGKILL, and answers when the node is dead. */
  kill(ordinal: number): Promise<void>
}

/** One command to one node, by the control plane's account. */
export async function asAccount({ instance }: Pick<Steps, 'instance'>, { address: host, port }: Pick<ClusterNode, 'address' | 'port'>, ...command: [string, ...(string | number)[]]): Promise<unknown> {
  const redis = new Redis({ host, port, username: 'sluice', password: `account-of-${instance().id}` })
  try { return await redis.call(...command) } finally { redis.disconnect() }
}

export async function clusterSteps(): Promise<Steps> {
  const { programs } = readConfig(process.env)
  const engine = redisEngine({ account: (id) => `account-of-${id}`, customer: () => password, open: (text: string) => text }, async () => (await findRedis(programs)).version)
  const ground = await testGround(locateRedis(programs))
  const made = instanceFor(engine, '7.0', 'redis.cluster.xu1.large.r1.4')
  let instance: Instance = { ...made, spec: { ...made.spec, topology: 'cluster' } }
  let nodes: readonly NodeRecord[] = []
  let next = 0
  const states = (): Promise<NodeState[]> => ground.runtime.inspect(instance.id, nodes.map((node) => node.id))
  return {
    engine, ground, states, instance: () => instance, records: () => nodes,
    nodes: () => nodes.map((node) => ({ id: node.id, ordinal: node.ordinal, address: node.address, port: node.ports['service']!, pid: 0 })),
    async size(shards, replicas) {
      instance = { ...instance, spec: { ...instance.spec, shards, replicas, nodeCount: shards * replicas } }
      for (const due = shards * replicas; nodes.length < due; next += 1) {
        nodes = [...nodes, { id: `${instance.id}-${next}`, instanceId: instance.id, ordinal: next, host: 'h', ...await ground.place(engine.ports(instance.spec)) }]
      }
    },
    async perform(action, { memo: first = {}, cut } = {}) {
      let [memo, over] = [first, false]
      const passed = (name: unknown): void => { over ||= name === cut }
      const step = actions[action].step({ engine, runtime: ground.runtime, vault: homeVault('/nowhere'), scratch: new Map() })
      subscribe('sluice:checkpoint', passed)
      try {
        await until(`${action} to be done`, () => fenced(() => { if (over) throw new Error('no longer ours') }, async () => {
          const result = await step({
            instance, nodes, operation: { id: 'o', action, memo } as Operation, signal: new AbortController().signal, cancelled: false, progress() {},
            async remember(next) { memo = next }, async grant(grants) { instance = { ...instance, grants } }, async place() {}, async copied() { return [] },
          }).catch((error) => { if (over) return 'done'; throw new Fatal((error as Error).message) })
          if (cut !== undefined && result === 'done' && !over) throw new Fatal(`${action} never passed ${cut}`)
          return over || result === 'done'
        }), 60_000, 10)
      } finally { unsubscribe('sluice:checkpoint', passed) }
      if (action === 'create') instance = { ...instance, readyAt: 1 }
      const gone = over ? [] : String(memo['leaving'] ?? '').split(',')
      nodes = nodes.filter((node) => !gone.includes(node.id))
    },
    async kill(ordinal) {
      const { identity, id } = (await states())[nodes.findIndex((node) => node.ordinal === ordinal)]!
      process.kill(identity!.pid, 'SIGKILL')
      await until('its end', async () => (await states()).find((state) => state.id === id)!.phase !== 'running')
    },
  }
}
