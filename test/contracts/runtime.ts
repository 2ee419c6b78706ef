/** What every runtime must do, run by each implementation and in each way of addressing nodes. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { randomUUID } from 'node:crypto'
import { statSync } from 'node:fs'
import { Redis } from 'ioredis'
import { until } from '../support/server.ts'
import type { Listening } from '../../src/core/instance.ts'
import type { NodeSpec, NodeState, Runtime } from '../../src/core/runtime.ts'

interface Place { readonly address: string; readonly port: number; readonly listen?: Listening }

export interface RuntimeUnderTest {
  /** A runtime like the first one, over the same ground: what a control plane sees after it was killed. */
  again(): Runtime
  readonly runtime: Runtime
  /** A free place for a node; this very one, when it was freed. */
  place(instanceId: string, nodeId: string, place?: Place): Promise<Place>
  /** How many servers are alive in this runtime's ground. */
  alive(): Promise<number>
  /** Ends the server behind the runtime's back. */
  crash(spec: NodeSpec, state: NodeState): Promise<void>
  /** Bytes of a file in a node's directory; null when it is not there. */
  sizeOf(spec: NodeSpec, path: string): Promise<number | null>
  /** Lets the record of a dead node name a process that lives: this one. Absent where no number is ever used again. */
  forge?(spec: NodeSpec): void
  destroy(): Promise<void>
}

/** A session with the server there, as soon as one answers. Where nobody has heard of a new address yet, anything may answer, what speaks no RESP as well. */
export async function connectedTo(host: string, port: number): Promise<Redis> {
  return until('an answer', async () => {
    const redis = new Redis({ host, port, retryStrategy: () => 10, maxRetriesPerRequest: null, connectTimeout: 2000 })
    redis.on('error', () => {})
    return redis.ping().then(() => redis, () => { redis.disconnect(); return null })
  })
}

export function runtimeContract(name: string, make: () => Promise<RuntimeUnderTest>): void {
  describe(name, { concurrency: false }, () => {
    let under: RuntimeUnderTest
    before(async () => { under = await make() })
    after(async () => { await under.destroy() })

    const spec = async (generation = 1, more: Partial<NodeSpec> = {}): Promise<NodeSpec> => {
      const instanceId = more.instanceId ?? randomUUID()
      const { address, port, listen } = await under.place(instanceId, `${instanceId}-0`)
      return {
        id: `${instanceId}-0`, instanceId, software: { name: 'redis', version: '7.0' }, argv: ['redis.conf'], env: {},
        files: { 'redis.conf': `bind ${listen?.address ?? address}\nprotected-mode no\nport ${port}\ndir data\nset-proc-title no\nappendonly yes\nsave ""\n` },
        address, ports: { service: port }, ...listen ? { listen } : {}, memoryBytes: 1 << 27, generation, graceMs: 10_000, forceGraceMs: 0, ...more,
      }
    }
    const inspect = async (s: NodeSpec, runtime = under.runtime) => (await runtime.inspect(s.instanceId, [s.id]))[0]!
    const connected = (s: NodeSpec): Promise<Redis> => connectedTo(s.address, s.ports['service']!)

    test('a node that was never applied is exited and observes nothing', async () => {
      const s = await spec()
      assert.deepEqual({ ...await inspect(s), exit: undefined }, { id: s.id, phase: 'exited', observedGeneration: 0, identity: null, exit: undefined, ...under.runtime.give ? { holds: [] } : {} })
    })

    test('apply starts a real server that observes the generation it was started for', async () => {
      const s = await spec(4)
      await under.runtime.apply(s, { force: false })
      const redis = await connected(s)
      const state = await inspect(s)
      assert.equal(state.phase, 'running')
      assert.equal(state.observedGeneration, 4)
      assert.equal(Number(/process_id:(\d+)/.exec(await redis.info('server'))![1]), state.identity!.pid)
      redis.disconnect()
    })

    test('apply of the same generation again keeps the process, and of an older one does not go back', async () => {
      const s = await spec(2)
      await under.runtime.apply(s, { force: false })
      const first = await inspect(s)
      await Promise.all([under.runtime.apply(s, { force: true }), under.again().apply({ ...s, generation: 1 }, { force: true })])
      assert.deepEqual(await inspect(s), first)
    })

    for (const force of [true, false]) {
      test(`apply of a newer generation replaces the process and keeps the data, force ${force}`, async () => {
        const s = await spec()
        await under.runtime.apply(s, { force })
        const redis = await connected(s)
        await redis.set('kept', 'yes')
        const first = await inspect(s)
        await under.runtime.apply({ ...s, generation: 2 }, { force })
        const second = await inspect(s)
        assert.equal(second.observedGeneration, 2)
        assert.notDeepEqual(second.identity, first.identity)
        redis.disconnect()
        const again = await connected(s)
        assert.equal(await again.get('kept'), 'yes')
        again.disconnect()
      })
    }

    test('another control plane that starts the same generation at the same instant does not start a second process', async () => {
      const s = await spec()
      const others = Array.from({ length: 6 }, () => under.again())
      const before = await under.alive()
      await Promise.all([under.runtime, ...others].map((runtime) => runtime.apply(s, { force: false })))
      const redis = await connected(s)
      assert.equal(await under.alive(), before + 1)
      assert.equal((await inspect(s)).phase, 'running')
      redis.disconnect()
    })

    test('a fresh runtime finds what runs, with the same identity', async () => {
      const s = await spec(7)
      await under.runtime.apply(s, { force: false })
      assert.deepEqual(await inspect(s, under.again()), await inspect(s))
    })

    test('a node that was killed from outside is exited, keeps its generation, and comes back by apply', async () => {
      const s = await spec(3)
      await under.runtime.apply(s, { force: false })
      const first = await inspect(s)
      await under.crash(s, first)
      // A cluster may have revived it by then.
      await until('the exit to be seen', async () => { const now = await inspect(s); return now.phase === 'exited' || now.identity?.startedAt !== first.identity!.startedAt })
      assert.equal((await inspect(s)).observedGeneration, 3)
      await under.runtime.apply(s, { force: false })
      assert.equal((await inspect(s)).phase, 'running')
    })

    test('a process that took over a dead node\'s number is not taken for it', async (t) => {
      if (!under.forge) return t.skip('this runtime knows servers by what is never used again')
      const s = await spec()
      await under.runtime.apply(s, { force: false })
      await under.crash(s, await inspect(s))
      await until('the exit to be seen', async () => (await inspect(s)).phase === 'exited')
      under.forge(s)
      assert.equal((await inspect(s)).phase, 'exited')
      await under.runtime.stop(s.instanceId, [s.id], 0)
      assert.ok(process.pid > 0, 'this process was not killed')
    })

    test('an exit tells the last lines of the log', async () => {
      const s = await spec(1, {})
      await under.runtime.apply({ ...s, files: { 'redis.conf': 'no-such-directive yes\n' } }, { force: false })
      const state = await until('the exit', async () => { const now = await inspect(s); return now.phase === 'exited' && now })
      assert.match(state.exit!.lastLines, /Bad directive|no-such-directive/)
    })

    test('stop ends the process and keeps the data', async () => {
      const s = await spec()
      await under.runtime.apply(s, { force: false })
      const redis = await connected(s)
      await redis.set('kept', 'yes')
      redis.disconnect()
      await under.runtime.stop(s.instanceId, [s.id], 5000)
      assert.equal((await inspect(s)).phase, 'exited')
      await under.runtime.apply(s, { force: false })
      const again = await connected(s)
      assert.equal(await again.get('kept'), 'yes')
      again.disconnect()
    })

    test('a file that is put into a node is there whole, one that is discarded is gone, and both may be repeated', async () => {
      const s = await spec()
      await under.runtime.apply(s, { force: false })
      const redis = await connected(s)
      const source = import.meta.filename
      for (const _ of ['once', 'again']) {
        await under.runtime.put(s.id, 'data/given/file', source)
        assert.equal(await under.sizeOf(s, 'data/given/file'), statSync(source).size)
      }
      for (const _ of ['once', 'again']) {
        await under.runtime.discard(s.id, 'data/given')
        assert.equal(await under.sizeOf(s, 'data/given/file'), null)
      }
      assert.equal(await redis.ping(), 'PONG')
      redis.disconnect()
    })

    test('what a server has forked gives way, and the server only when it is told to and until it is told otherwise', async (t) => {
      if (!under.runtime.giveWay) return t.skip('this runtime has no giveWay, which is optional: nobody but the server\'s own container is at its processes')
      const s = await spec()
      await under.runtime.apply(s, { force: false })
      const redis = await connected(s)
      await redis.set('key', 'value')
      // So that the save is still going on when it is looked at, microseconds a key.
      await redis.config('SET', 'rdb-key-save-delay', '30000000')
      await redis.bgsave()
      const { pid } = (await inspect(s)).identity!
      const { readFileSync } = await import('node:fs')
      const niceness = (of: number | string): number => Number(readFileSync(`/proc/${of}/stat`, 'latin1').split(') ')[1]!.split(' ')[16])
      const child = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim()
      assert.equal(niceness(child), niceness(pid))
      // What counts between sessions; a niceness counts within one.
      const share = (): number => Number(/nice (\d+)/.exec(readFileSync(`/proc/${pid}/autogroup`, 'latin1'))![1])
      const [{ identity }, was] = [await inspect(s), share()]
      under.runtime.giveWay(s.id, identity!, 'children')
      assert.deepEqual([niceness(child) > 0, niceness(pid), share()], [true, 0, was])
      under.runtime.giveWay(s.id, identity!, 'all')
      assert.deepEqual([share() > was, niceness(pid)], [true, 0])
      under.runtime.giveWay(s.id, identity!, 'children')
      assert.equal(share(), was)
      under.runtime.giveWay(s.id, identity!, 'all')
      await inspect(s)
      assert.ok(share() > was)
      await inspect(s, under.again())
      await until('it to be raised by who comes next', () => share() === was, 5000)
      redis.disconnect()
    })

    test('remove leaves neither process nor data, may be repeated, and frees the address', async () => {
      const s = await spec()
      await under.runtime.apply(s, { force: false })
      const before = await under.alive()
      await under.runtime.remove(s.instanceId, [s.id], { all: true })
      await under.runtime.remove(s.instanceId, [s.id], { all: true })
      await under.again().stop(s.instanceId, [s.id], 0)
      assert.equal(await under.alive(), before - 1)
      assert.equal((await inspect(s)).observedGeneration, 0)
      const instanceId = randomUUID()
      const other = { ...s, id: `${instanceId}-0`, instanceId }
      await under.place(instanceId, other.id, { address: s.address, port: s.ports['service']!, ...s.listen ? { listen: s.listen } : {} })
      await under.runtime.apply(other, { force: false })
      const redis = await connected(other)
      assert.equal(await redis.dbsize(), 0)
      redis.disconnect()
    })
  })
}
