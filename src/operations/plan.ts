/** What an action would do to the nodes of an instance: told by the engine, or in general words. Pure. */
import type { Engine } from '../core/engine.ts'
import type { Instance, NodeRecord } from '../core/instance.ts'
import type { Gap, Plan, PlannedWish } from '../core/plan.ts'

/** Longer than an empty server of any engine needs to start. */
const startMs = 30_000

export function planFor(engine: Engine, instance: Instance, nodes: readonly NodeRecord[], wish: PlannedWish): Plan {
  return engine.plan?.(instance, nodes, wish) ?? generalPlan(engine, instance, nodes, wish)
}

const whats: Readonly<Record<PlannedWish['action'], string>> = {
  restart: 'stopped, all at once, and started again', soft_restart: 'stopped and started when its turn comes', flush: 'emptied',
  delete: 'killed, and its folder removed', swap: 'hands its role over, or takes one', configure: 'gets the new settings while it serves', accounts: 'asks its users for their own passwords from then on', password: 'asks for the new password from then on', rescale: 'may use another amount of memory from then on', check: 'goes on serving', port: 'listens on another port from then on', ssl: 'shows another certificate, or none, from then on', whitelist: 'lets in who is let in', rename: 'stopped, all at once, and started with other names for commands',
  extend: 'goes on serving', shrink: 'goes on serving',
  backup: 'goes on serving', hang_up: 'hangs up on its clients', restore: 'stopped, and started with the data of the backup',
}

function generalPlan(engine: Engine, instance: Instance, nodes: readonly NodeRecord[], { action, joining, leaving }: PlannedWish): Plan {
  const roles = engine.roles?.(instance, nodes)
  const of = (node: NodeRecord): { node: NodeRecord; role: string } => ({ node, role: roles?.get(node.id)?.role ?? 'node' })
  const going = nodes.filter((node) => leaving.includes(node.id))
  return {
    nodes: [
      ...going.map((node) => ({ ...of(node), what: 'hands over what it has, then is stopped and its folder removed' })),
      ...joining.map((node) => ({ node, role: 'node', what: 'started, and joins the others' })),
      ...nodes.filter((node) => !going.includes(node)).map((node) => ({ ...of(node), what: whats[action] })),
    ],
    gap: gapOf(engine, instance, nodes, action),
    risk: { flush: 'Everything that is stored, for good: there is no backup.', delete: 'Everything, for good: there is no backup.', restore: 'Everything that was written since the backup, for good.' }[action as string] ?? 'None: what the nodes have on disk stays.',
  }
}

function gapOf(engine: Engine, instance: Instance, nodes: readonly NodeRecord[], action: PlannedWish['action']): Gap {
  const specs = engine.layout(instance, nodes)
  const stopMs = Math.max(0, ...specs.map((spec) => action === 'restart' ? spec.forceGraceMs : spec.graceMs))
  if (action === 'delete') return { fromMs: 0, toMs: null, why: 'Nobody answers from then on.' }
  if (action === 'restart' || action === 'soft_restart' && nodes.length === 1) return { fromMs: 100, toMs: stopMs + startMs, why: `Nobody serves between the stop and the start: a stop may take ${stopMs / 1000} s, a start mostly a few seconds.` }
  if (action === 'soft_restart') return { fromMs: 0, toMs: stopMs, why: 'One node at a time: the others serve meanwhile, and clients look for the new leaders.' }
  return { fromMs: 0, toMs: 0, why: 'The nodes go on serving.' }
}
