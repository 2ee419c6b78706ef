/** What must be proven about the nodes of a cluster before slots are given, and after. Each throws a sentence when it is not so in time. */
import { setTimeout as sleep } from 'node:timers/promises'
import { all, readInfo, type Info } from './client.ts'
import { busPort, ownedOf, readPeers, type ClusterView, type Head } from './cluster-views.ts'
import { isWritten } from './warm.ts'

const confirmWithinMs = 500
/** News travel within some milliseconds. */
const heardWithinMs = 1500
const meetAfterMs = 150

/** Of a node that answers. */
export const redisOf = ({ session }: ClusterView): NonNullable<ClusterView['session']>['redis'] => session!.redis

/** All replicas have what their master has written. */
export async function confirmed({ shard, view, members }: Head): Promise<void> {
  const replicas = members.length - 1
  if (replicas > 0 && await redisOf(view).wait(replicas, confirmWithinMs) < replicas) throw new Error(`not every replica of shard ${shard} confirmed within ${confirmWithinMs} ms`)
}

/** SIGKILL would take nothing of what was copied there, of none of its nodes: each may be the next master, and a master that is killed comes back with what it has. */
export async function written({ members }: Head): Promise<void> {
  const giveUp = performance.now() + confirmWithinMs
  await Promise.all(members.map(async (view) => {
    const ask = async (): Promise<Info> => readInfo(await redisOf(view).info('persistence'))
    const size = (now: Info): number => Number(now('aof_current_size'))
    let now = await ask()
    // What clients write meanwhile is not waited for.
    const end = size(now) + Number(now('aof_buffer_length'))
    for (; now('aof_enabled') === '1' && !(isWritten({ info: now }) && (size(now) >= end || now('aof_buffer_length') === '0')); now = await ask()) {
      if (performance.now() > giveUp) throw new Error(`the disk of node ${view.node.ordinal} took longer than ${confirmWithinMs} ms`)
      await sleep(2)
    }
  }))
}

/**
 * Its epoch is above all that it heard of, and its shard knows: what it claims from now on raises none. One that died with a
 * claim that nobody heard would else come back with the epoch of whoever took its place, or a later one, and win.
 */
export async function raised({ id, view, members }: Head): Promise<void> {
  const [said] = await all(redisOf(view), [['CLUSTER', 'BUMPEPOCH']]) as [string]
  const epoch = Number(said.split(' ')[1])
  const giveUp = performance.now() + heardWithinMs
  await Promise.all(members.map(async (member) => {
    while ((readPeers(await redisOf(member).call('CLUSTER', 'NODES') as string).find((peer) => peer.id === id)?.epoch ?? -1) < epoch) {
      if (performance.now() > giveUp) throw new Error(`node ${member.node.ordinal} has not heard of its master's epoch`)
      await sleep(2)
    }
  }))
}

/** The replicas have the stream up to here; WAIT asks them nothing while its master holds writes. */
export async function level({ members, view: master }: Head, offset: number): Promise<void> {
  const giveUp = performance.now() + confirmWithinMs
  await Promise.all(members.filter((view) => view !== master).map(async (view) => {
    while (Number(readInfo(`\n${await redisOf(view).info('replication')}`)('slave_repl_offset')) < offset) {
      if (performance.now() > giveUp) throw new Error(`node ${view.node.ordinal} lags behind its master`)
    }
  }))
}

/**
 * Every node, replicas too, which take no SETSLOT: one that had not heard would, made a master, claim what it believes its
 * shard to own. From 7.0 on the target tells all within milliseconds; otherwise a node that is told to meet another sends
 * it all that it owns within 100 ms, and one that knows it already learns just that.
 */
export async function heard(heads: readonly Head[], slots: readonly number[], to: Head): Promise<void> {
  const began = performance.now()
  await Promise.all(heads.flatMap(({ members }) => members).map(async (view) => {
    for (let met = false; ; await sleep(2)) {
      const peer = readPeers(await redisOf(view).call('CLUSTER', 'NODES') as string).find(({ id }) => id === to.id)
      if (peer && ownedOf({ view: { ...view, me: peer } }, slots, false).length === 0) return
      const waited = performance.now() - began
      if (waited > heardWithinMs) throw new Error(`node ${view.node.ordinal} has not heard of the new owner`)
      if (met || waited < meetAfterMs || view === to.view) continue
      met = true
      await all(redisOf(to.view), [['CLUSTER', 'MEET', view.node.address, view.node.ports['service']!, busPort(view.node)]])
    }
  }))
}
