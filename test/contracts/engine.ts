/** What every engine must do, on real servers started by a real runtime. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { randomUUID } from 'node:crypto'
import { until } from '../support/server.ts'
import type { Engine, World } from '../../src/core/engine.ts'
import type { Instance, NodeRecord } from '../../src/core/instance.ts'
import type { NodeState, Runtime } from '../../src/core/runtime.ts'

export interface EngineUnderTest {
  readonly engine: Engine
  readonly runtime: Runtime
  /** A version it serves, and one that it never will. */
  readonly version: string
  readonly flavor: string
  place(): Promise<{ address: string; ports: Readonly<Record<string, number>> }>
  /** Starts some server of the same kind, which is none of ours, on a node's address; returns how to end it. */
  impostor(node: NodeRecord): Promise<() => Promise<void>>
  destroy(): Promise<void>
}

export function instanceFor(engine: Engine, version: string, flavor: string, generation = 1, id: string = randomUUID()): Instance {
  return {
    id, projectId: 'p', name: 'under-test', engine: engine.name, version, runtime: 'process', host: 'h',
    spec: { flavor, memoryBytes: 1 << 30, topology: 'single', shards: 1, replicas: 1, nodeCount: 1, port: null, parameters: {}, renamedCommands: {}, sealedPassword: null },
    endpoints: {}, grants: {}, attributes: {}, tags: [], generation, floor: generation, health: 'unknown', cause: null, readyAt: null, createdAt: 0, updatedAt: 0, crashes: 0,
  }
}

/** A world in which nothing is granted, killed or removed. */
export function still(instance: Instance, nodes: readonly NodeRecord[], states: readonly NodeState[]): World {
  const refuse = async (): Promise<never> => { throw new Error('not here') }
  return { instance, nodes, states, grant: refuse, kill: refuse, giveWay() {}, async discard() {}, progress() {} }
}

export function engineContract(name: string, make: () => Promise<EngineUnderTest>): void {
  describe(name, { concurrency: false }, () => {
    let under: EngineUnderTest
    before(async () => { under = await make() })
    after(async () => { await under.destroy() })

    const node = async (instance: Instance): Promise<NodeRecord> => ({ id: `${instance.id}-0`, instanceId: instance.id, ordinal: 0, host: 'h', ...await under.place() })
    const states = (n: NodeRecord) => under.runtime.inspect(n.instanceId, [n.id])
    const started = async (instance: Instance, n: NodeRecord) => {
      await under.runtime.apply(under.engine.layout(instance, [n])[0]!, { force: false })
      await until('the engine to answer', async () => (await under.engine.probe(instance, [n], await states(n))).ok, 60_000, 20)
    }

    test('layout is pure: the same in, the same out, one spec a node, no secret in the arguments', async () => {
      const instance = instanceFor(under.engine, under.version, under.flavor)
      const n = await node(instance)
      assert.deepEqual(under.engine.layout(instance, [n]), under.engine.layout(instance, [n]))
      assert.equal(under.engine.layout(instance, [n]).length, 1)
      assert.equal(under.engine.layout({ ...instance, generation: 9 }, [n])[0]!.generation, 9)
    })

    test('the version that runs is named for what it serves, and null for what it does not', async () => {
      assert.match(String(await under.engine.runsOn(under.version, 'process')), /^\d+\.\d+\.\d+/)
      assert.equal(await under.engine.runsOn('99.9', 'process'), null)
    })

    test('a probe of a node that does not run says so and does not throw', async () => {
      const instance = instanceFor(under.engine, under.version, under.flavor)
      const n = await node(instance)
      const health = await under.engine.probe(instance, [n], await states(n))
      assert.equal(health.ok, false)
      assert.match(health.reason!, /does not run|nobody listens/)
    })

    test('a started node becomes healthy, and after drain and a newer generation it is healthy again', async () => {
      const instance = instanceFor(under.engine, under.version, under.flavor)
      const n = await node(instance)
      await started(instance, n)
      const [first] = await states(n)
      await under.engine.drain?.(instance, n, first!, { force: false })
      await started({ ...instance, generation: 2 }, n)
      const [second] = await states(n)
      assert.equal(second!.observedGeneration, 2)
      assert.notDeepEqual(second!.identity, first!.identity)
      await under.runtime.remove(instance.id, [n.id], { all: true })
    })

    test('a foreign server that answers on the node\'s address is not taken for ours', async () => {
      const instance = instanceFor(under.engine, under.version, under.flavor)
      const n = await node(instance)
      await started(instance, n)
      const [state] = await states(n)
      await under.runtime.stop(instance.id, [n.id], 20_000)
      const end = await under.impostor(n)
      try {
        // As if our process still lived and merely did not own the address.
        const health = await under.engine.probe(instance, [n], [{ ...state!, phase: 'running' }])
        assert.equal(health.ok, false, 'a foreign server passed for ours')
        if (under.engine.flush) await assert.rejects(under.engine.flush(still(instance, [n], [{ ...state!, phase: 'running' }]), 'key'))
      } finally { await end() }
      await under.runtime.remove(instance.id, [n.id], { all: true })
    })
  })
}
