/** The use cases about settings of instances that go on serving; part of the control plane. */
import { setTimeout as sleep } from 'node:timers/promises'
import { appendAudit } from '../store/audit.ts'
import { isTaken, transact } from '../store/database.ts'
import { change, type ChangeParts } from './change.ts'
import { changePassword } from './passwords.ts'
import { lockedInstances, nodesOf, projectInstances, setSpec } from '../store/instances.ts'
import { takenAddresses } from '../store/places.ts'
import { openOperationsOf, operationById } from '../store/operations.ts'
import { unfit } from '../operations/check.ts'
import type { Answer, ChangeWish, ControlPlane } from '../core/control-plane.ts'
import type { Engine, Facts } from '../core/engine.ts'
import type { Addresses } from '../core/addresses.ts'
import { addressesOf, isWithin, type Certificate, type EngineName, type Instance, type NodeRecord, type RuntimeName } from '../core/instance.ts'
import type { Authority } from '../authority.ts'
import type { Refusal } from '../core/refusal.ts'
import type { Runtime } from '../core/runtime.ts'
import type { Worker } from '../operations/worker.ts'

export interface SettingsParts extends Omit<ChangeParts, 'engine'> {
  readonly engines: Readonly<Record<EngineName, Engine>>
  readonly authority: Authority
  /** The other way of `seal`; throws when it was sealed with another key. */
  readonly open: (sealed: string) => string
  readonly runtimes: Readonly<Record<RuntimeName, Runtime>>
  readonly addresses: Readonly<Record<RuntimeName, Addresses>>
  /** Ours. */
  readonly host: string
  /** Asks the servers now; null when they do not answer, or cannot be asked from here. */
  readonly measure: (instance: Instance, nodes: readonly NodeRecord[]) => Promise<Facts | null>
  readonly worker: Pick<Worker, 'nudge'>
}

/** A change of settings takes some milliseconds, and its caller waits. */
const lookAgainMs = 10

export function settings({ engines, runtimes, addresses, measure, open, worker, authority, ...parts }: SettingsParts): Pick<ControlPlane, 'change' | 'update' | 'changePassword' | 'ended' | 'parameters'> {
  /** Why what it has would not fit any more, or its runtime cannot do it; asked before the transaction, for servers are. */
  async function misfit({ caller, engine: name, id, action, spec, port }: ChangeWish): Promise<Refusal | null> {
    const engine = engines[name]
    const [instance] = await projectInstances(parts.db, caller.projectId, name, [id])
    if (!instance) return null
    const never = runtimes[instance.runtime].cannot?.(action) ?? null
    if (never) return { kind: 'unsupported', reason: never }
    // Of a machine that is not this one, whoever works on it there finds out.
    if (spec.sources && isWithin(instance.host, parts.host)) {
      const reason = await runtimes[instance.runtime].unscreened((await nodesOf(parts.db, [id])).get(id) ?? [])
      if (reason !== null) return { kind: 'unsupported', reason }
    }
    if (port !== undefined) {
      if (!isWithin(instance.host, parts.host)) return { kind: 'unsupported', reason: 'another host runs this instance, and only a control plane there can find out whether the port is free' }
      const taken = await takenAddresses(parts.db, parts.host)
      const address = instance.endpoints['service']?.address ?? (await nodesOf(parts.db, [id])).get(id)?.[0]?.address ?? ''
      const reason = await addresses[instance.runtime].admits(address, port, taken)
      if (reason !== null) return { kind: 'taken', reason }
    }
    const { password: _, tls: __, ...plain } = spec
    const next = { ...instance, spec: { ...instance.spec, ...plain, parameters: { ...instance.spec.parameters, ...plain.parameters } } }
    if (!engine.room || action === 'check' || engine.room(next) >= engine.room(instance)) return null
    const facts = await measure(instance, (await nodesOf(parts.db, [id])).get(id) ?? [])
    const reason = unfit(engine.room(next), facts, action)
    return reason === null ? null : { kind: 'full', reason }
  }

  /** Before the transaction, which awaits nothing but the database. Null: plain text; absent: nothing changes. */
  async function certificateFor({ caller, engine, id, spec: { tls }, dryRun }: ChangeWish): Promise<Certificate | null | undefined> {
    if (tls === undefined || !tls || dryRun) return tls === undefined ? undefined : null
    const [instance] = await projectInstances(parts.db, caller.projectId, engine, [id])
    return instance ? authority.issue(id, addressesOf(instance, (await nodesOf(parts.db, [id])).get(id) ?? [])) : undefined
  }

  return {
    async change(wish) {
      const refusal = await misfit(wish)
      if (refusal) return { id: wish.id, refusal }
      const certificate = await certificateFor(wish)
      // Another instance, or another control plane of this host, may have come first.
      const answer = await change({ ...parts, engine: engines[wish.engine] }, wish, undefined, certificate).catch((error): Answer => {
        if (wish.port === undefined || !isTaken(error)) throw error
        return { id: wish.id, refusal: { kind: 'taken', reason: `port ${wish.port} is taken` } }
      })
      worker.nudge()
      return answer
    },
    async update({ caller, engine, id, name, attributes }) {
      return transact(parts.db, async (tx): Promise<Refusal | null> => {
        const [instance] = await lockedInstances(tx, caller.projectId, engine, [id])
        if (!instance || (await openOperationsOf(tx, [id])).get(id)?.action === 'delete') return { kind: 'unknown' }
        const now = Date.now()
        await setSpec(tx, id, { spec: instance.spec, attributes: { ...instance.attributes, ...attributes }, name }, now)
        await appendAudit(tx, [{ at: now, actor: caller.userName, projectId: caller.projectId, action: 'instance.updated', instanceId: id, operationId: '', detail: [...name === undefined ? [] : ['name'], ...Object.keys(attributes ?? {})].join(' ') }])
        return null
      })
    },
    async changePassword(wish) {
      const answer = await changePassword({ ...parts, engine: engines[wish.engine], open }, wish)
      worker.nudge()
      return answer
    },
    async ended(projectId, operationId, withinMs) {
      for (const giveUp = Date.now() + withinMs; ; await sleep(lookAgainMs)) {
        const found = await operationById(parts.db, projectId, operationId)
        if (found && found.finishedAt !== null) return found
        if (!found || Date.now() > giveUp) return null
      }
    },
    parameters: (engine, of) => engines[engine].parameters?.(of) ?? [],
  }
}
