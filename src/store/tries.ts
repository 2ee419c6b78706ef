/** Wrong passwords in a row, by instance, among the settings: kept over restarts, and the same for all control planes. */
import { readSetting, writeSetting } from './settings.ts'
import type { Tries } from '../core/tries.ts'
import type { Tx } from './database.ts'

const nameOf = (instanceId: string): string => `password tries ${instanceId}`

/** Of an instance whose row is held. */
export function readTries(tx: Tx, instanceId: string): Promise<Tries> { return readSetting(tx, nameOf(instanceId), { wrong: 0, lockedUntil: 0 }) }

export function writeTries(tx: Tx, instanceId: string, tries: Tries): Promise<void> { return writeSetting(tx, nameOf(instanceId), tries) }

export async function forgetTries(tx: Tx, instanceIds: readonly string[]): Promise<void> {
  if (instanceIds.length > 0) await tx.deleteFrom('settings').where('name', 'in', instanceIds.map(nameOf)).execute()
}
