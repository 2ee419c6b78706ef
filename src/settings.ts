/** The use cases about settings of instances that go on serving; part of the control plane. */
import { setTimeout as sleep } from 'node:timers/promises'
import { change, type ChangeParts } from './change.ts'
import { changePassword } from './passwords.ts'
import { operationById } from './store/operations.ts'
import type { ControlPlane } from './core/control-plane.ts'
import type { Engine } from './core/engine.ts'
import type { EngineName } from './core/instance.ts'
import type { Worker } from './operations/worker.ts'

export interface SettingsParts extends Omit<ChangeParts, 'engine'> {
  readonly engines: Readonly<Record<EngineName, Engine>>
  /** The other way of `seal`; throws when it was sealed with another key. */
  readonly open: (sealed: string) => string
  readonly worker: Pick<Worker, 'nudge'>
}

/** A change of settings takes some milliseconds, and its caller waits. */
const lookAgainMs = 10

export function settings({ engines, open, worker, ...parts }: SettingsParts): Pick<ControlPlane, 'change' | 'changePassword' | 'ended' | 'parameters'> {
  return {
    async change(wish) {
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
