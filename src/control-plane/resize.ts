/** More or fewer nodes for an instance that goes on serving. */
import { appendAudit } from '../store/audit.ts'
import { insertNodes, lockedInstances, nodesOf, projectInstances, setGrants, setSpec } from '../store/instances.ts'
import { takenAddresses } from '../store/places.ts'
import { openOperations, openOperationsOf } from '../store/operations.ts'
import { transact, type Database } from '../store/database.ts'
import { planFor } from '../operations/plan.ts'
import { fullest, unfit } from '../operations/check.ts'
import { exceeds } from './holdings.ts'
import { mib, placeNodes, type Placing } from './places.ts'
import { refusalOf } from '../core/refusal.ts'
import type { Answer, Caller, ResizeWish } from '../core/control-plane.ts'
import type { Addresses } from '../core/addresses.ts'
import type { Facts } from '../core/engine.ts'
import type { Former, Operation } from '../core/operation.ts'
import { addressesOf, isWithin, type Instance, type NodeRecord, type RuntimeName } from '../core/instance.ts'
import type { Authority } from '../authority.ts'

export interface ResizeParts extends Omit<Placing, 'taken' | 'addresses'> {
  readonly addresses: Readonly<Record<RuntimeName, Addresses>>
  readonly db: Database
  readonly authority: Authority
  readonly accepted: (wish: { id: string; instanceId: string; generation: number }, caller: Caller, action: Operation['action'], now: number) => Operation
  readonly newId: () => string
  /** Memory that this machine could give to new processes now, in bytes. */
  readonly available: () => number
  /** What its servers tell of themselves; null: they do not answer, or another host runs them. */
  readonly measure: (instance: Instance, nodes: readonly NodeRecord[]) => Promise<Facts | null>
}

/** Spec, nodes, operation and audit row in one transaction. The dialect has checked that the numbers are sold. */
export async function resize(parts: ResizeParts, { caller, engine, id, shards, replicas, leaving, flavor, memoryBytes, attributes, dryRun }: ResizeWish): Promise<Answer | string> {
  const { db, host, available } = parts
  const [seen] = await projectInstances(db, caller.projectId, engine, [id])
  if (!seen) return { id, refusal: { kind: 'unknown' } }
  const never = parts.engine.resizable?.(seen, { shards, replicas }) ?? null
  if (never) return { id, refusal: { kind: 'unsupported', reason: never } }
  const existing = (await nodesOf(db, [id])).get(id) ?? []
  const wanted = shards * replicas
  const spec = { ...seen.spec, shards, replicas, nodeCount: wanted, flavor: flavor ?? seen.spec.flavor, memoryBytes: memoryBytes ?? seen.spec.memoryBytes }
  const first = Math.max(-1, ...existing.map((node) => node.ordinal)) + 1
  const more = Math.max(0, wanted - existing.length)
  if (more > 0 && !isWithin(seen.host, host)) return { id, refusal: { kind: 'unsupported', reason: 'another host runs this instance, and only a control plane there can find room for more nodes' } }
  if (parts.engine.room && shards < seen.spec.shards) {
    if (!isWithin(seen.host, host)) return { id, refusal: { kind: 'unsupported', reason: 'another host runs this instance, and only a control plane there can ask its servers whether the rest has room' } }
    const facts = await parts.measure(seen, existing)
    const reason = unfit(parts.engine.room({ ...seen, spec }), facts && fullest(facts, seen.spec, spec), 'rescale')
    if (reason !== null) return { id, refusal: { kind: 'full', reason } }
  }
  const needed = parts.engine.leastMemoryBytes * more
  if (more > 0 && seen.runtime === 'process' && needed > available()) return `${mib(needed)} MiB of memory are needed to start and ${mib(available())} MiB are available`
  const added = await placeNodes({ ...parts, addresses: parts.addresses[seen.runtime], host: seen.host, taken: await takenAddresses(db, host) }, id, spec, Array.from({ length: more }, (_, n) => first + n))
  if (typeof added === 'string') return added
  // Those that run are reached where they were; they show the new one from their next start on.
  const tls = seen.spec.tls && added.length > 0 && !dryRun ? await parts.authority.issue(id, addressesOf(seen, [...existing, ...added])) : null
  const now = Date.now()
  const action = more > 0 ? 'extend' : 'shrink'
  return transact(db, async (tx): Promise<Answer> => {
    const [instance] = await lockedInstances(tx, caller.projectId, engine, [id])
    if (!instance) return { id, refusal: { kind: 'unknown' } }
    const refusal = refusalOf(action, instance, (await openOperationsOf(tx, [id])).get(id) ?? null, { flush: false, swap: true })
    if (refusal) return { id, refusal }
    const nodes = (await nodesOf(tx, [id])).get(id) ?? []
    // The numbers were reckoned from what was seen; somebody else's change came between.
    if (wanted !== nodes.length + more - leaving.length || leaving.some((one) => !nodes.some((node) => node.id === one)) || wanted === nodes.length || !instance.spec.tls !== !seen.spec.tls) return { id, refusal: { kind: 'busy', status: 'extending', action: null } }
    const grown = Number(attributes?.['capacity'] ?? instance.attributes['capacity'] ?? 0) - Number(instance.attributes['capacity'] ?? 0)
    const tooMuch = grown > 0 ? await exceeds(tx, engine, caller.projectId, { instances: 0, memoryGb: grown }) : null
    if (tooMuch) return { id, refusal: { kind: 'quota', reason: tooMuch.reason } }
    // Numbers of nodes come again when the last ones went: what was granted to those is nobody else's.
    const grants = Object.fromEntries(Object.entries(instance.grants).filter(([name]) => !added.some((node) => name.endsWith(` ${node.id}`))))
    // Who joins as what follows from the numbers as they will be.
    if (dryRun) return { id, plan: planFor(parts.engine, action === 'extend' ? { ...instance, spec, grants } : instance, nodes, { action, joining: added, leaving }) }
    // When it fails its nodes stay, and the numbers with them.
    const { spec: { shards: s, replicas: r, nodeCount, flavor: f, memoryBytes: m } } = instance
    const former: Former = { spec: { shards: s, replicas: r, nodeCount, flavor: f, memoryBytes: m }, attributes: Object.fromEntries(Object.keys(attributes ?? {}).map((name) => [name, instance.attributes[name]])) }
    const operationId = parts.newId()
    const opened = await openOperations(tx, [{ id: operationId, instance, action, generation: instance.generation, actor: caller.userName, at: now, ...(leaving.length > 0 ? { memo: { leaving: leaving.join(','), former: JSON.stringify(former) } } : {}) }])
    if (opened.size === 0) return { id, refusal: { kind: 'busy', status: 'extending', action: null } }
    await setSpec(tx, id, { spec: { ...instance.spec, shards, replicas, nodeCount: wanted, flavor: spec.flavor, memoryBytes: spec.memoryBytes, ...tls ? { tls } : {} }, attributes: { ...instance.attributes, ...attributes } }, now)
    if (Object.keys(grants).length < Object.keys(instance.grants).length) await setGrants(tx, id, grants)
    if (added.length > 0) await insertNodes(tx, added)
    await appendAudit(tx, [{ at: now, actor: caller.userName, projectId: caller.projectId, action: `${action}.accepted`, instanceId: id, operationId, detail: `${shards} shards of ${replicas} nodes` }])
    return { id, operation: parts.accepted({ id: operationId, instanceId: id, generation: instance.generation }, caller, action, now) }
  })
}
