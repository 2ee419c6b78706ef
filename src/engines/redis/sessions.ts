/** Connections of customers, as a server lists them. */
import { account, all, copier, type Session as Link } from './client.ts'
import { checkpoint } from '../../core/checkpoint.ts'
import { numberOf, rangesOf } from '../../core/sources.ts'
import type { Session } from '../../core/desk.ts'
import type { Instance } from '../../core/instance.ts'

/** CLIENT LIST without the control plane, and without masters and replicas. */
export async function customers(redis: Link['redis']): Promise<Session[]> {
  const [text] = await all(redis, [['CLIENT', 'LIST']]) as [string]
  const sessions = text.split('\n').filter(Boolean).map((line): Session => Object.fromEntries(line.trim().split(' ').map((pair) => { const at = pair.indexOf('='); return [pair.slice(0, at), pair.slice(at + 1)] })))
  return sessions.filter((one) => one['user'] !== account && one['user'] !== copier && !/[SM]/.test(one['flags'] ?? ''))
}

/** By their numbers, which no later connection gets: an address may be somebody else's by now. */
export async function hangUp(redis: Link['redis'], sessions: readonly Session[]): Promise<number> {
  if (sessions.length > 0) await all(redis, sessions.map(({ id }) => ['CLIENT', 'KILL', 'ID', id!]))
  return sessions.length
}

/** Hangs up on those who may not connect any more: nothing of theirs comes through, and so they know. `source`: where the control plane comes from. */
export async function dismiss(redis: Link['redis'], { spec }: Instance, source: string | undefined): Promise<void> {
  if (!spec.sources) return
  const ranges = rangesOf([...spec.sources, ...source === undefined ? [] : [source]])
  const strangers = (await customers(redis)).filter(({ addr = '' }) => {
    const from = numberOf(addr.slice(0, addr.lastIndexOf(':')))
    return !ranges.some(([first, last]) => from >= first && from <= last)
  })
  if (await hangUp(redis, strangers) > 0) checkpoint('engine.dismissed')
}
