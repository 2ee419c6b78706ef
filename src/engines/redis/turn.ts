/** Servers turn from plain text to TLS or back while they serve, and hang up on everybody who came the other way. */
import { checkpoint } from '../../core/checkpoint.ts'
import { TerminalError } from '../../core/operation.ts'
import { all, isFinal } from './client.ts'
import { readPeers } from './cluster-views.ts'
import { askListener, listenerIn, listensFor } from './tls.ts'
import { cut, relisten } from './views.ts'
import type { Spec } from '../../core/instance.ts'
import type { Seen } from './seen.ts'

type Commands = readonly (readonly (string | number)[])[]
const isReplica = ({ info }: Seen): boolean => info('role') === 'slave'

/** All that answer. Masters first: who copies from one comes back at once. May be called again. */
export async function turnAll(views: readonly Seen[], spec: Spec): Promise<void> {
  const there = views.filter((view) => view.session)
  for (const some of [there.filter((view) => !isReplica(view)), there.filter(isReplica)]) await Promise.all(some.map((view) => turn(view, spec)))
}

/** Its port stays, and this connection with it. */
async function turn(view: Seen, spec: Spec): Promise<void> {
  const { session, node } = view
  const { listens: before, port } = listenerIn(await all(session!.redis, askListener) as string[][])
  const after = listensFor(spec)
  if (before === after) return
  const copies = (how: typeof after): readonly string[] => ['CONFIG', 'SET', 'tls-replication', how === 'port' ? 'no' : 'yes']
  const again = isReplica(view) ? await comingAgain(view) : []
  // In one write: a control plane that dies meanwhile leaves a server that listens.
  try { await relisten({ session }, [copies(after), ['CONFIG', 'SET', before, 0]], ['CONFIG', 'SET', after, port], [...cut, ['CLIENT', 'KILL', 'TYPE', 'replica'], ...again]) } catch (error) {
    await relisten({ session }, [copies(before)], ['CONFIG', 'SET', before, port], [])
    throw isFinal(error) ? new TerminalError(`node ${node.ordinal} cannot listen with${after === 'port' ? 'out' : ''} TLS: ${(error as Error).message}`) : error
  }
  checkpoint('engine.turned')
}

/**
 * Has a replica come to its master anew. To hang up on that is not enough: one whose master turned before it may be coming
 * already, in the old way, and a server without TLS lets it wait for as long as `repl-timeout` says.
 */
async function comingAgain({ session, info }: Seen): Promise<Commands> {
  if (info('redis_mode') !== 'cluster') return [['REPLICAOF', info('master_host')!, 1], ['REPLICAOF', info('master_host')!, info('master_port')!]]
  const me = readPeers(await session!.redis.call('CLUSTER', 'NODES') as string).find((peer) => peer.flags.includes('myself'))
  return me?.master ? [['CLUSTER', 'REPLICATE', me.master]] : []
}
