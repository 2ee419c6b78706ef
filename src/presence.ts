/** Says to the others who share the database that this control plane lives, and finds out so whether the database does. */
import { othersOn, sayAlive, sayEveryMs, sayGone } from './store/control-planes.ts'
import { isShared, type Database } from './store/database.ts'
import { reporter } from './operations/outages.ts'
import type { Logger } from './core/logger.ts'

export interface Presence {
  /** Whether the database answered when it was last asked. */
  reachable(): boolean
  /** Whether other control planes of this host live. */
  accompanied(): Promise<boolean>
  stop(): Promise<void>
}

/** Resolves when it has been said for the first time. A database that nobody shares is always there, and nobody else is. */
export async function startPresence(db: Database, plane: { readonly id: string; readonly host: string }, log: Logger): Promise<Presence> {
  if (!isShared(db)) return { reachable: () => true, async accompanied() { return false }, async stop() {} }
  let reachable = true
  const away = reporter(log, 'this control plane cannot say that it lives')
  await sayAlive(db, plane, Date.now())
  const saying = setInterval(() => void sayAlive(db, plane, Date.now()).then(() => { reachable = true }, (error) => { reachable = false; away(error) }), sayEveryMs)
  return {
    reachable: () => reachable,
    accompanied: async () => await othersOn(db, plane, Date.now()) > 0,
    async stop() {
      clearInterval(saying)
      // The others find out by themselves when this cannot be said.
      await sayGone(db, plane.id, Date.now()).catch(away)
    },
  }
}
