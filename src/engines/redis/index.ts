/** Redis caches: how they are laid out, asked, stopped and emptied. */
import { fence } from '../../core/fence.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import { factsOf } from './facts.ts'
import { backUp, dataOf, grantsOn, seedsOf, unbackable, unrestorable } from './backup.ts'
import { dataFolder } from './data-folder.ts'
import { desk } from './desk.ts'
import { arrived } from './doors.ts'
import { flushallOf, flushOnce, forgetFlush, type FlushTarget } from './flush.ts'
import { forgetNames } from './names.ts'
import { configureAll } from './configure.ts'
import { connectionOf } from './connection.ts'
import { layout, type RedisSecrets } from './layout.ts'
import { copierPassword, readInfo, withSession, type Info } from './client.ts'
import { maxmemoryOf, parametersOf } from './parameters.ts'
import { plan } from './plan.ts'
import { prefer, rolesOf } from './roles.ts'
import { runnable } from './versions.ts'
import { appends } from './views.ts'
import { isWritten } from './warm.ts'
import { topologyOf, type Ground } from './topology.ts'
import type { Engine, World } from '../../core/engine.ts'
import { leftPorts, turningTls, type Endpoint, type Instance, type RuntimeName } from '../../core/instance.ts'
import type { Target } from './client.ts'
import type { NodeRecord } from '../../core/instance.ts'
import type { NodeState } from '../../core/runtime.ts'

/** How long a forced restart waits for what clients were already told is written. Redis acknowledges before it writes while an fsync is slow. */
const settleWithinMs = 100
/**
 * The same for a file that is being written anew. A replica that copied everything has none of that on disk before, and it may be the
 * master by now. Of very much data this is the part that a forced restart may lose.
 */
const wholeFileWithinMs = 10_000

/** Where a node may listen; while its service port changes, at either. */
function doorsOf(instance: Instance, node: NodeRecord): readonly Endpoint[] {
  const doors = topologyOf(instance.spec).doors(instance, node)
  const ports = instance.grants[leftPorts]?.split(' ').map(Number) ?? []
  return [...doors, ...[...new Set(doors.map(({ address }) => address))].flatMap((address) => ports.map((port) => ({ address, port })))]
}

export function redisEngine(secrets: RedisSecrets, installed: (runtime: RuntimeName) => Promise<string>): Engine {
  const target = (instance: Instance, node: NodeRecord, state: NodeState): Target =>
    ({ doors: doorsOf(instance, node), identity: state.identity!, password: secrets.account(instance.id), speaks: instance.grants[turningTls] === undefined ? instance.spec.tls ? 'tls' : 'plain' : 'both', ...sourced(secrets.source?.(instance)) })
  const ground = (world: World): Ground =>
    ({ ...world, reach: (node, state) => target(world.instance, node, state), password: copierPassword(secrets.account(world.instance.id)) })
  async function flushTargets(world: World, key: string): Promise<FlushTarget[]> {
    const masters = await topologyOf(world.instance.spec).masters(ground(world), `sluice:flushed:${key}`)
    return masters.map(({ node, replicas, key: marker }) => ({
      ...target(world.instance, node, world.states.find((state) => state.id === node.id)!), replicas, marker, flushall: flushallOf(world.instance.spec),
    }))
  }

  return {
    name: 'redis',
    ports: (spec) => topologyOf(spec).ports,
    endpoints: (spec) => topologyOf(spec).endpoints,
    // Measured: 8 to 13 MiB resident.
    leastMemoryBytes: 16 * 1024 * 1024,
    layout: (instance, nodes) => layout(instance, nodes, secrets),
    connection: (instance, nodes) => connectionOf(instance, nodes, secrets),
    async probe(instance, nodes, states) {
      for (const node of nodes) {
        const state = states.find((one) => one.id === node.id)
        if (state?.phase !== 'running') return { ok: false, reason: `node ${node.ordinal} does not run${state?.exit?.lastLines ? `; its last lines:\n${state.exit.lastLines}` : ''}` }
      }
      // A probe changes nothing, so it is given nothing to change with.
      return topologyOf(instance.spec).probe(ground({ instance, nodes, states, grant: refuse, kill: refuse, giveWay() {}, discard: refuse, progress() {} }))
    },
    async arrange(world) { return await topologyOf(world.instance.spec).arrange?.(ground(world)) ?? { ok: true } },
    async choose(world, behind) { return await topologyOf(world.instance.spec).choose?.(ground(world), behind) ?? behind[0]! },
    readdress: (instance, nodes, port) => topologyOf(instance.spec).readdress(instance, nodes, port),
    room: maxmemoryOf,
    forgetNames: (world, asked) => forgetNames(ground(world), asked, secrets),
    parameters: parametersOf,
    configure: (world, before, settles = false) => configureAll(ground(world), before, secrets, settles),
    arrived: (world) => arrived(ground(world)),
    async swap(world, before) { return await topologyOf(world.instance.spec).swap?.(ground(world), before) ?? { ok: true } },
    async promote(world, to) { return await topologyOf(world.instance.spec).promote?.(ground(world), to) ?? { ok: true } },
    async vacate(world, leaving) { return await topologyOf(world.instance.spec).vacate?.(ground(world), leaving) ?? { ok: true } },
    async drain(instance, node, state, { force }) {
      if (state.phase !== 'running') return true
      // A server that does not answer is stopped by signals; that is the runtime's part.
      await withSession(target(instance, node, state), async ({ redis, info }) => {
        if (!force) {
          fence()
          await redis.call('SHUTDOWN', 'NOSAVE').catch(() => {})
          return
        }
        const begun = performance.now()
        const within = (ms: number): boolean => performance.now() - begun < ms
        const unsettled = (now: Info): boolean => now('aof_buffer_length') !== '0' || now('aof_pending_bio_fsync') !== '0'
        const owes = (now: Info): boolean => now('aof_enabled') === '1' && (!isWritten({ info: now }) && within(wholeFileWithinMs) || unsettled(now) && within(settleWithinMs))
        for (let now = info; owes(now); await sleep(5)) now = readInfo(await redis.info('persistence'))
        // Between here and its end it would acknowledge again what it keeps back while an fsync is slow; so it writes all of that now, and what comes before it answers.
        if (appends(instance.spec) && instance.spec.parameters['appendfsync'] !== 'always') await redis.config('SET', 'appendfsync', 'no')
      }).catch(() => {})
      return true
    },
    roles: rolesOf,
    prefer,
    plan,
    swappable: ({ spec }, named) => topologyOf(spec)[named ? 'promote' : 'swap'] !== undefined && spec.replicas > 1,
    resizable({ spec }, to) {
      const can = topologyOf(spec).resizes ?? []
      const wrong = (['shards', 'replicas'] as const).find((number) => to[number] !== spec[number] && !can.includes(number))
      return wrong ? `the ${wrong} of a ${spec.topology} instance cannot be changed in this release` : null
    },
    flushable: (instance) => Number(instance.version.split('.')[0]) >= 4,
    async flush(world, key) { await Promise.all((await flushTargets(world, key)).map((one) => flushOnce(one, key))) },
    async forgetFlush(world, key) {
      // A customer's, or one that was restored: without an append-only file it would be what the next start is from.
      await Promise.all(world.nodes.map((node) => world.discard(node, `${dataFolder(world.instance)}/dump.rdb`)))
      await Promise.all((await flushTargets(world, key)).map(forgetFlush))
    },
    async facts(instance, nodes, states) {
      const roles = rolesOf(instance, nodes)
      const reach = (role: 'master' | 'replica'): Target[] => nodes.filter((node) => roles.get(node.id)?.role === role).map((node) => target(instance, node, states.find((state) => state.id === node.id)!))
      return factsOf(reach('master'), reach('replica'))
    },
    desk: desk(ground, secrets),
    backups: {
      unbackable, unrestorable, folder: dataFolder, on: grantsOn, contents: dataOf,
      take: (world, folder, how) => backUp(ground(world), folder, how),
      seeds: (world, files, folder) => seedsOf(ground(world), files, folder),
    },
    async runsOn(version, runtime) { return runnable(version, await installed(runtime)) },
  }
}

const sourced = (from: string | undefined): Pick<Target, 'from'> => from === undefined ? {} : { from }

async function refuse(): Promise<never> { throw new Error('a probe changes nothing') }
