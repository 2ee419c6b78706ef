/** What an action would do to a Redis, in words for people. Pure. */
import { rolesOf } from './roles.ts'
import type { Instance, NodeRecord } from '../../core/instance.ts'
import type { Gap, Plan, PlannedNode, PlannedWish } from '../../core/plan.ts'

const gib = 1024 ** 3
/** An empty Redis starts in some 20 ms; one with data loads its append-only file at some 17 s a gigabyte. */
const startMs = { least: 20, most: 1000, eachGib: 17_000 }
/** A soft restart as its writers saw it, on two busy cores: 10 to 80 ms when empty, 30 to 180 with two million keys, whose saving and loading takes the processor; where a copy is needed, 260 and more. */
const handover: Gap = { fromMs: 5, toMs: 300, why: "The master's role is handed over while writers wait, some 20 ms when there is little data; clients of the addresses that move are cut and reconnect." }
const nothing: Gap = { fromMs: 0, toMs: 0, why: 'The nodes go on serving.' }
const noRisk = 'None: the new master has every acknowledged write before it takes the role.'

export function plan(instance: Instance, nodes: readonly NodeRecord[], { action, joining, leaving }: PlannedWish): Plan {
  const roles = rolesOf(instance, nodes)
  const isMaster = (node: NodeRecord): boolean => roles.get(node.id)!.role === 'master'
  const shardOf = (node: NodeRecord): number => roles.get(node.id)!.shard
  const replicated = instance.spec.replicas > 1
  const each = (chosen: readonly NodeRecord[], what: string | ((node: NodeRecord) => string)): PlannedNode[] =>
    chosen.map((node) => ({ node, role: replicated ? roles.get(node.id)!.role : 'master', what: typeof what === 'string' ? what : what(node) }))
  /** Who takes the role over, if nothing changes before: equal replicas are told apart by their priorities, then by their order. */
  const successor = (master: NodeRecord): NodeRecord | undefined => nodes
    .filter((node) => node !== master && shardOf(node) === shardOf(master) && !leaving.includes(node.id) && roles.get(node.id)!.priority > 0)
    .toSorted((a, b) => roles.get(a.id)!.priority - roles.get(b.id)!.priority || a.ordinal - b.ordinal)[0]
  const handsOver = (master: NodeRecord): string => `hands its role over to node ${successor(master)?.ordinal ?? '?'}`
  const [masters, replicas] = [nodes.filter(isMaster), nodes.filter((node) => !isMaster(node))]

  switch (action) {
    case 'restart': return { nodes: each(nodes, nodes.length > 1 ? 'killed together with the others, and started' : 'killed and started'), gap: loading(instance, 'Nobody serves until the servers are back'), risk: diskRisk(instance, true) }
    case 'soft_restart':
      if (!replicated) return { nodes: each(nodes, 'told to shut down, and started'), gap: loading(instance, nodes.length > 1 ? 'One node at a time; its part of the keys is away until it is back' : 'Nobody serves until the server is back'), risk: diskRisk(instance, false) }
      return { nodes: [...each(replicas, 'told to shut down, started, and brought up to date'), ...each(masters, (node) => `${handsOver(node)}, then told to shut down, started as a replica, and brought up to date`)], gap: masters.length > 1 ? { ...handover, why: `For each shard: ${handover.why}` } : handover, risk: noRisk }
    case 'swap': {
      const next = masters.map(successor)
      return { nodes: [...each(masters, (node) => `${handsOver(node)} and becomes a replica`), ...each(replicas, (node) => next.includes(node) ? 'becomes the master, and takes the address of the instance' : 'follows the new master')], gap: handover, risk: noRisk }
    }
    case 'whitelist': return { nodes: each(nodes, 'lets in those who are listed from then on, or everybody where nobody is; open connections of others are cut'), gap: nothing, risk: 'None: no node is restarted; clients whose addresses are not listed are shut out.' }
    case 'rename': return { nodes: each(nodes, 'writes its append-only file anew, then is told to shut down together with the others, and started'), gap: loading(instance, 'Nobody serves until the servers are back'), risk: diskRisk(instance, false) }
    case 'port': return { nodes: each(nodes, 'listens on the new port, and hangs up on its clients'), gap: { fromMs: 1, toMs: 1000, why: 'Clients are cut and find the instance on its new port.' }, risk: 'None: no node is restarted.' }
    case 'ssl': return { nodes: each(nodes, instance.spec.tls ? 'speaks plain text from then on, and hangs up on its clients' : 'speaks TLS only from then on, and hangs up on its clients'), gap: { fromMs: 1, toMs: 1000, why: 'Clients are cut and come back in the other way, to the same port.' }, risk: 'None: no node is restarted.' }
    case 'check': return { nodes: each(nodes, 'is asked for its figures'), gap: nothing, risk: 'None.' }
    case 'rescale': return { nodes: each(nodes, 'gets another maxmemory while it serves'), gap: nothing, risk: 'None: what there is fits.' }
    case 'accounts': return { nodes: each(nodes, 'knows the accounts as they will be'), gap: nothing, risk: 'None: no node is restarted; clients of an account that is deleted are cut.' }
    case 'password': return { nodes: each(nodes, 'asks those who come for the new password; open connections stay'), gap: nothing, risk: 'None: no node is restarted.' }
    case 'configure': return { nodes: each(nodes, 'gets the new settings while it serves'), gap: nothing, risk: 'None: no node is restarted.' }
    case 'flush': return { nodes: each(nodes, 'every key removed, from memory and from its append-only file'), gap: { fromMs: 0, toMs: 10, why: 'The keys leave their databases at once; their memory is freed in the background.' }, risk: 'Every key of every database, for good, but for what backups have.' }
    case 'hang_up': return { nodes: each(nodes, 'hangs up on its clients'), gap: nothing, risk: 'None: clients may come back at once.' }
    case 'backup': return { nodes: each(nodes, 'goes on serving'), gap: nothing, risk: 'None: the copy is made from a replica where there is one.' }
    case 'restore': return { nodes: each(nodes, 'stopped together with the others, and started with the data of the backup'), gap: loading(instance, 'Nobody serves until the servers have read the data'), risk: 'Everything that was written since the backup, for good.' }
    case 'delete': return { nodes: each(nodes, 'killed, and its folder removed'), gap: { fromMs: 0, toMs: null, why: 'Nobody answers from then on.' }, risk: 'Everything, for good, and its backups too.' }
    case 'extend': {
      const after = rolesOf(instance, [...nodes, ...joining])
      const fresh = joining.filter((node) => nodes.every((old) => shardOf(old) !== after.get(node.id)!.shard))
      if (fresh.length > 0) {
        return {
          nodes: [
            ...fresh.map((node) => { const { role } = after.get(node.id)!; return { node, role, what: role === 'master' ? 'started, and gets its part of the slots, with their keys, from the other shards' : 'started, and copies the master of its new shard' } }),
            ...each(nodes, (node) => isMaster(node) ? 'goes on serving, and gives slots to the new shards' : 'goes on serving'),
          ],
          gap: moved, risk: keptByMove,
        }
      }
      return { nodes: [...joining.map((node) => ({ node, role: 'replica', what: 'started, and gets its part of the data from the others' })), ...each(nodes, 'goes on serving')], gap: nothing, risk: 'None: the nodes that have the data stay.' }
    }
    case 'shrink': {
      const going = nodes.filter((node) => leaving.includes(node.id))
      const gone = new Set(going.map(shardOf).filter((shard) => nodes.every((node) => shardOf(node) !== shard || leaving.includes(node.id))))
      if (instance.spec.topology === 'cluster' && gone.size > 0) {
        return {
          nodes: [
            ...each(going, (node) => `${isMaster(node) ? 'gives its slots, with their keys, to the shards that stay' : 'goes with its shard'}, then killed, and its folder removed`),
            ...each(nodes.filter((node) => !going.includes(node)), (node) => isMaster(node) ? 'goes on serving, and gets slots' : 'goes on serving'),
          ],
          gap: moved, risk: keptByMove,
        }
      }
      return {
        nodes: [...each(going, (node) => `${isMaster(node) ? handsOver(node) : 'gives up the addresses that it lends'}, then killed, and its folder removed`), ...each(nodes.filter((node) => !going.includes(node)), 'goes on serving')],
        gap: going.some(isMaster) ? handover : nothing, risk: going.some(isMaster) ? noRisk : 'None: the nodes that stay have all of it.',
      }
    }
  }
}

/** Of slots that move between shards. */
const moved: Gap = { fromMs: 0, toMs: 50, why: 'A client is sent to where its slot went; a write waits while its node reads some slots again, longer where a slot or a single key is large.' }
const keptByMove = 'None: a key leaves its old master when the new one and its replicas have it.'

function loading({ spec }: Instance, why: string): Gap {
  return { fromMs: startMs.least, toMs: startMs.most + Math.ceil(startMs.eachGib * spec.memoryBytes / spec.shards / gib), why: `${why}: some 20 ms when it is empty, some 17 s more for each gigabyte of data.` }
}

function diskRisk({ spec }: Instance, forced: boolean): string {
  if (spec.parameters['appendonly'] === 'no') return 'All of it: appendonly is no, so nothing is on disk.'
  const kept = forced ? 'Kept in the append-only file; before the kill Sluice waits up to 100 ms for acknowledged writes to get there.' : 'None: everything is in the append-only file before the server ends.'
  return spec.topology === 'single' ? `${kept} The cloud differs: its documents say that a restart clears a single-node instance.` : kept
}
