/** Single commands for people, run as the customer's own user, and answered in the words of redis-cli. */
import { withSession, type Session } from './client.ts'
import { rolesOf } from './roles.ts'
import type { Ground } from './topology.ts'
import type { RedisSecrets } from './layout.ts'
import type { NodeRecord } from '../../core/instance.ts'

type Redis = Session['redis']

/** What would hold up others, or lasts longer than one answer: a connection is opened for each command. */
const refusedCategories = ['@admin', '@dangerous', '@blocking', '@pubsub', '@transaction', '@scripting', '@connection']
/** And of those, what does no harm. */
const allowed: readonly string[] = ['info', 'ping', 'echo', 'dbsize', 'lastsave', 'time']
/** In no such category in every release. */
const refusedNames: readonly string[] = ['wait', 'waitaof', 'monitor', 'sync', 'psync']
/** A person reads no more, and the answer goes through our memory. */
const mostText = 100_000

/** Whether the customer's user is let in with this password. The connection is proven to be ours before it is sent. */
export async function admits(ground: Ground, password: string): Promise<boolean> {
  return withSession(reach(ground, masters(ground)[0]!), async ({ redis }) => {
    try { await redis.call('AUTH', 'default', password); return true } catch (error) {
      if ((error as Error).message.startsWith('WRONGPASS')) return false
      throw error
    }
  })
}

export async function runCommand(ground: Ground, secrets: RedisSecrets, words: readonly string[], database: number): Promise<string> {
  const password = secrets.customer(ground.instance) ?? ''
  let node = masters(ground)[0]!
  // In a cluster the first one may name another, once; more often only while slots move.
  for (let hops = 0; ; hops += 1) {
    const text = await withSession(reach(ground, node), async ({ redis }) => {
      const never = await refusal(redis, words)
      if (never) return `(error) ${never}`
      await redis.call('AUTH', 'default', password)
      try {
        if (database !== 0) await redis.call('SELECT', database)
        return shown(await redis.call(...words as [string, ...string[]]))
      } catch (error) {
        if ((error as Error).name !== 'ReplyError') throw error
        return `(error) ${(error as Error).message}`
      }
    })
    const moved = /^\(error\) (?:MOVED|ASK) \d+ (\S+):(\d+)$/.exec(text)
    const next = moved ? ground.nodes.find(({ address, ports }) => address === moved[1] && ports['service'] === Number(moved[2])) : undefined
    if (!next || hops === 3) return text.length > mostText ? `${text.slice(0, mostText)}\n(cut after ${mostText} characters)` : text
    node = next
  }
}

function masters({ instance, nodes }: Ground): NodeRecord[] {
  const roles = rolesOf(instance, nodes)
  return nodes.filter(({ id }) => roles.get(id)!.role === 'master')
}

function reach(ground: Ground, node: NodeRecord): Parameters<typeof withSession>[0] {
  const state = ground.states.find(({ id }) => id === node.id)
  if (state?.phase !== 'running') throw new Error(`node ${node.ordinal} does not run`)
  return ground.reach(node, state)
}

/** Why a command is not for this place, by what the server itself says of it. */
async function refusal(redis: Redis, [name = '', part]: readonly string[]): Promise<string | null> {
  const asked = [name, ...part === undefined ? [] : [`${name}|${part}`]].map((one) => one.toLowerCase())
  const answers = await redis.call('COMMAND', 'INFO', ...asked) as (unknown[] | null)[]
  const categories = answers.flatMap((answer) => answer ? (answer[6] as string[] | undefined) ?? [] : [])
  if (allowed.includes(asked[0]!) || !refusedNames.includes(asked[0]!) && !categories.some((one) => refusedCategories.includes(one))) return null
  return `${name.toUpperCase()} is not for this place: use a client of your own`
}

function shown(answer: unknown, indent = ''): string {
  if (answer === null || answer === undefined) return '(nil)'
  if (typeof answer === 'number' || typeof answer === 'bigint') return `(integer) ${answer}`
  if (Array.isArray(answer)) {
    if (answer.length === 0) return '(empty array)'
    const width = String(answer.length).length
    return answer.map((one, n) => `${n === 0 ? '' : indent}${String(n + 1).padStart(width)}) ${shown(one, `${indent}${' '.repeat(width + 2)}`)}`).join('\n')
  }
  const text = String(answer)
  // A status is one word; texts of a server's own, with lines, are shown as they are.
  return text === 'OK' || text === 'PONG' || text.includes('\r\n') ? text : JSON.stringify(text)
}
