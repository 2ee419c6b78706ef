/** Other settings for an instance that goes on serving. */
import { appendAudit } from '../store/audit.ts'
import { forgetTries } from '../store/tries.ts'
import { exceeds } from './holdings.ts'
import { lockedInstances, nodesOf, setGrants, setSpec } from '../store/instances.ts'
import { setPlaces } from '../store/places.ts'
import { bumpGenerations, openOperations, openOperationsOf } from '../store/operations.ts'
import { transact, type Database, type Tx } from '../store/database.ts'
import { actions } from '../operations/actions.ts'
import { planFor } from '../operations/plan.ts'
import { refusalOf } from '../core/refusal.ts'
import type { Answer, Caller, ChangeWish } from '../core/control-plane.ts'
import type { Engine } from '../core/engine.ts'
import { addressesOf, formerNames, leftPorts, portOf, turningTls, type Certificate, type Instance, type Spec } from '../core/instance.ts'
import type { Former, Operation } from '../core/operation.ts'

export interface ChangeParts {
  readonly db: Database
  readonly engine: Engine
  readonly seal: (text: string) => string
  readonly accepted: (wish: { id: string; instanceId: string; generation: number }, caller: Caller, action: Operation['action'], now: number) => Operation
  readonly newId: () => string
}

/** What one more check needs: whatever it writes is committed, also when it has an answer of its own. */
export type Check<T> = (tx: Tx, instance: Instance) => Promise<T | null>

/**
 * Spec, operation and audit row in one transaction. The dialect has checked the values; `check` comes after the state.
 * `certificate`: for clients who speak TLS from then on; null: they do not. Absent: that stays.
 */
export async function change<T extends object = never>({ db, engine, seal, accepted, newId }: ChangeParts, { caller, id, action, spec: wish, attributes = {}, port, along, detail, memo, dryRun }: ChangeWish, check?: Check<T>, certificate?: Certificate | null): Promise<Answer | T> {
  const now = Date.now()
  const { password, tls: _, ...plain } = wish
  const wanted: Partial<Spec> = { ...plain, ...certificate === undefined ? {} : { tls: certificate }, ...port === undefined ? {} : { port }, ...password === undefined ? {} : { sealedPassword: password === null ? null : seal(password) } }
  return transact(db, async (tx): Promise<Answer | T> => {
    const [instance] = await lockedInstances(tx, caller.projectId, engine.name, [id])
    if (!instance) return { id, refusal: { kind: 'unknown' } }
    if (!engine.configure) return { id, refusal: { kind: 'unsupported', reason: `${engine.name} has no settings that can be changed` } }
    const refusal = refusalOf(action, instance, (await openOperationsOf(tx, [id])).get(id) ?? null, { flush: false, swap: true })
    if (refusal) return { id, refusal }
    const answer = await check?.(tx, instance) ?? null
    if (answer !== null) return answer
    const grown = Number(attributes['capacity'] ?? 0) - Number(instance.attributes['capacity'] ?? 0)
    const tooMuch = 'capacity' in attributes && grown > 0 ? await exceeds(tx, engine.name, caller.projectId, { instances: 0, memoryGb: grown }) : null
    if (tooMuch) return { id, refusal: { kind: 'quota', reason: tooMuch.reason } }
    const nodes = (await nodesOf(tx, [id])).get(id) ?? []
    const places = port === undefined ? null : engine.readdress?.(instance, nodes, port) ?? 'its port stays'
    // More nodes came since it was made.
    if (certificate && certificate.addresses.join() !== addressesOf(instance, nodes).join()) return { id, refusal: { kind: 'busy', status: 'extending', action: null } }
    if (typeof places === 'string') return { id, refusal: { kind: 'taken', reason: places } }
    if (dryRun) return { id, plan: planFor(engine, instance, nodes, { action, joining: [], leaving: [] }) }
    // A list of parameters names those that change, not all that were ever set.
    const spec = { ...instance.spec, ...wanted, parameters: { ...instance.spec.parameters, ...wanted.parameters } }
    // Null, not absent: what there was none of goes again when this is taken back.
    const former: Former = { spec: Object.fromEntries(Object.keys(wanted).map((name) => [name, name === 'port' ? portOf(instance, nodes) : instance.spec[name as keyof Spec] ?? null])), attributes: Object.fromEntries(Object.keys(attributes).map((name) => [name, instance.attributes[name] ?? null])) }
    // Who may set a password without the old one need not wait for a lock either.
    if (password !== undefined) await forgetTries(tx, [id])
    const moves = places === null ? {} : { places: { endpoints: instance.endpoints, ports: Object.fromEntries(nodes.map((node) => [node.id, node.ports])) } }
    const generation = instance.generation + (actions[action].bumps ? 1 : 0)
    const operationId = newId()
    const opened = await openOperations(tx, [{ id: operationId, instance, action, generation, actor: caller.userName, at: now, memo: { ...memo, former: JSON.stringify({ ...former, ...moves }) } }])
    if (opened.size === 0) return { id, refusal: { kind: 'busy', status: 'running', action: null } }
    await setSpec(tx, id, { spec, attributes: { ...instance.attributes, ...attributes, ...along?.attributes }, name: along?.name }, now)
    if (generation > instance.generation) await bumpGenerations(tx, [id], now)
    if (wish.renamedCommands) await setGrants(tx, id, { ...instance.grants, [formerNames]: instance.grants[formerNames] ?? JSON.stringify(instance.spec.renamedCommands) })
    if (certificate !== undefined && (certificate === null) !== !instance.spec.tls) await setGrants(tx, id, { ...instance.grants, [turningTls]: 'yes' })
    if (places !== null) {
      await setPlaces(tx, id, places)
      // Servers are found at either, until each is known to have moved.
      await setGrants(tx, id, { ...instance.grants, [leftPorts]: `${portOf(instance, nodes)} ${port}` })
    }
    await appendAudit(tx, [{ at: now, actor: caller.userName, projectId: caller.projectId, action: `${action}.accepted`, instanceId: id, operationId, detail }])
    return { id, operation: accepted({ id: operationId, instanceId: id, generation }, caller, action, now) }
  })
}
