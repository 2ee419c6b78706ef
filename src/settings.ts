/** The use cases about settings of instances that go on serving; part of the control plane. */
import { setTimeout as sleep } from 'node:timers/promises'
import { change, type ChangeParts } from './change.ts'
import { changePassword } from './passwords.ts'
import { nodesOf, projectInstances } from './store/instances.ts'
import { operationById } from './store/operations.ts'
import { unfit } from './operations/check.ts'
import type { ChangeWish, ControlPlane } from './core/control-plane.ts'
import type { Engine, Facts } from './core/engine.ts'
import type { EngineName, Instance, NodeRecord, RuntimeName } from './core/instance.ts'
import type { Refusal } from './core/refusal.ts'
import type { Runtime } from './core/runtime.ts'
import type { Worker } from './operations/worker.ts'

export interface SettingsParts extends Omit<ChangeParts, 'engine'> {
  readonly engines: Readonly<Record<EngineName, Engine>>
  /** The other way of `seal`; throws when it was sealed with another key. */
  readonly open: (sealed: string) => string
  readonly runtimes: Readonly<Record<RuntimeName, Runtime>>
  /** Asks the servers now; null when they do not answer, or cannot be asked from here. */
  readonly measure: (instance: Instance, nodes: readonly NodeRecord[]) => Promise<Facts | null>
  readonly worker: Pick<Worker, 'nudge'>
}

/** A change of settings takes some milliseconds, and its caller waits. */
const lookAgainMs = 10

export function settings({ engines, runtimes, measure, open, worker, ...parts }: SettingsParts): Pick<ControlPlane, 'change' | 'changePassword' | 'ended' | 'parameters'> {
  /** Why what it has would not fit any more, or its runtime cannot do it; asked before the transaction, for servers are. */
  async function misfit({ caller, engine: name, id, action, spec }: ChangeWish): Promise<Refusal | null> {
    const engine = engines[name]
    const [instance] = await projectInstances(parts.db, caller.projectId, name, [id])
    if (!instance) return null
    const never = runtimes[instance.runtime].cannot?.(action) ?? null
    if (never) return { kind: 'unsupported', reason: never }
    const { password: _, ...plain } = spec
    const next = { ...instance, spec: { ...instance.spec, ...plain, parameters: { ...instance.spec.parameters, ...plain.parameters } } }
    if (!engine.room || action === 'check' || engine.room(next) >= engine.room(instance)) return null
    const facts = await measure(instance, (await nodesOf(parts.db, [id])).get(id) ?? [])
    const reason = unfit(engine.room(next), facts, action)
    return reason === null ? null : { kind: 'full', reason }
  }

  return {
    async change(wish) {
      const refusal = await misfit(wish)
      if (refusal) return { id: wish.id, refusal }
      const answer = await change({ ...parts, engine: engines[wish.engine] }, wish)
      worker.nudge()
      return answer
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
