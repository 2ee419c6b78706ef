/** Meeting the nodes of an instance: each through one open session, or with the reason why there is none. */
import { keepSession, resumeSession, type Info, type Session } from './client.ts'
import { words } from './headway.ts'
import type { Ground } from './topology.ts'
import type { NodeRecord } from '../../core/instance.ts'
import type { NodeState } from '../../core/runtime.ts'

export interface Seen {
  readonly node: NodeRecord
  readonly state: NodeState
  readonly running: boolean
  /** Null: it does not run, or does not answer. */
  readonly session: Session | null
  /** Why there is no session. */
  readonly silence: string
  /** Whether it said something, be it only that a script keeps it busy: it does not hang. */
  readonly answers: boolean
  /** INFO, as of the last look. */
  info: Info
}

/** Opens a session to each node and reads more from it; `blank` stands for what a silent one does not say. */
export function meetAll<T extends object>(ground: Ground, blank: T, read: (session: Session) => Promise<Partial<T>>): Promise<(Seen & T)[]> {
  return Promise.all(ground.nodes.map((node) => meet(ground, node, blank, read)))
}

export function closeAll(views: readonly Pick<Seen, 'session'>[]): void {
  for (const { session } of views) if (session) keepSession(session)
}

async function meet<T extends object>(ground: Ground, node: NodeRecord, blank: T, read: (session: Session) => Promise<Partial<T>>): Promise<Seen & T> {
  const state = ground.states.find((one) => one.id === node.id)!
  const nothing = { ...blank, node, state, session: null, info: (): undefined => undefined }
  if (state.phase !== 'running') return { ...nothing, running: false, answers: false, silence: `node ${node.ordinal} does not run` }
  try {
    const session = await resumeSession(ground.reach(node, state))
    try {
      return { ...blank, ...await read(session), node, state, running: true, answers: true, session, silence: '', info: session.info }
    } catch (error) {
      session.redis.disconnect()
      throw error
    }
  } catch (error) { return { ...nothing, running: true, answers: (error as Error).name === 'ReplyError', silence: `node ${node.ordinal} does not answer: ${words(error)}` } }
}

/** A replica that lost its master longer ago than this may lack what the master was told later. Its master comes back in place instead, with all of it. */
const linkDownAtMostS = 10
/** A dead master is seen within half a second, and links are counted in whole ones: who lost it longer ago lost it before it died. */
const linkDownWithItS = 1
/** Whether a replica heard its master until now or a moment ago; -1: never, since it has been one. While one of `among` runs and says nothing, that one may have what this one lacks. */
export function wasLinked({ info }: Pick<Seen, 'info'>, among: readonly Pick<Seen, 'running' | 'session'>[]): boolean {
  const downS = info('master_link_down_since_seconds')
  return info('master_link_status') === 'up' || downS !== undefined && downS !== '-1' && Number(downS) <= (among.some((one) => one.running && !one.session) ? linkDownWithItS : linkDownAtMostS)
}

/** A replica that has all that its master has, but for what is on its way. */
export const isLinked = ({ info }: Pick<Seen, 'info'>): boolean => info('role') === 'slave' && info('master_link_status') === 'up' && info('master_sync_in_progress') === '0'
