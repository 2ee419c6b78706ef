/**
 * Hands slots from one shard to another so that whoever dies meanwhile, and is replaced by its replica, takes no key with it.
 *
 * MIGRATE would delete a key at its source as soon as the target's master has it, maybe before the target's replica has;
 * and with a copy at the target a client that deletes the key at the source would be sent to that copy. So:
 * 1. Copies go to the target, which shows them to nobody while it imports; the source serves as ever, and has the last word.
 * 2. The source holds writes, what changed since is copied again, the target's replicas confirm that they have all of it, and
 *    the append-only files there have it, too: of what is the only copy from here on, Redis must keep nothing back while a disk is slow.
 * 3. One script at the source, which refuses if anything was written there meanwhile, deletes the keys, sends clients on to
 *    the target, and leaves a mark, all in one transaction of its stream: a successor has all of that or nothing.
 * 4. The target takes the slots. Only when every node has heard of it the mark goes.
 * Without the mark the source's shard has the last word, with it the target's: that is how a move is finished by looking.
 */
import { createHash } from 'node:crypto'
import { checkpoint } from '../../core/checkpoint.ts'
import { fence } from '../../core/fence.ts'
import { all, readInfo } from './client.ts'
import { confirmed, heard, level, raised, redisOf, written } from './cluster-proof.ts'
import { ownedOf, slotCount, type ClusterView, type Head } from './cluster-views.ts'

/** What a mark says: slots that were given, the node that was to take them, and the slot that the mark itself is in. */
export interface Given { readonly slots: readonly number[]; readonly to: string; readonly at: number }
type Redis = NonNullable<ClusterView['session']>['redis']
/** Of copied keys, by name as latin1: what was sent. */
type Sent = Map<string, { readonly digest: string; readonly ends: number }>

/** When the control plane dies while writes are held, they go on after this. Renewed while many keys are read. */
const pauseMs = 1000
const keysAtOnce = 64
/** Times to live are read as what is left, a moment after they were. */
const ttlBlurMs = 50
const mostKeys = 2 ** 31 - 1

export const span = ({ me }: Pick<ClusterView, 'me'>): number[] => me!.slots.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, n) => first + n))

/**
 * Moves slots with all of their keys; answers for how many ms writes were held because of their number. `own`: what the source owns,
 * where that is less than when it was looked at. `add`: what only the target has stays there.
 */
export async function moveSlots(heads: readonly Head[], slots: readonly number[], from: Head, to: Head, { own = span(from.view), add = false }: { readonly own?: readonly number[]; readonly add?: boolean } = {}): Promise<number> {
  const [source, target] = [redisOf(from.view), redisOf(to.view)]
  const sent: Sent = new Map()
  const mark = markFor(own, slots, heads.length)
  const last = isLast(own, slots) ? '.last' : ''
  await raised(to)
  await setSlots(to, slots, 'IMPORTING', from.id)
  checkpoint(`engine.importing${last}`)
  await copy(slots, source, target, { mark, sent, add })
  checkpoint(`engine.copied${last}`)
  const since = performance.now()
  let held: number
  try {
    const [, info] = await all(source, [['CLIENT', 'PAUSE', pauseMs, 'WRITE'], ['INFO']]) as [string, string]
    checkpoint(`engine.held${last}`)
    await copy(slots, source, target, { mark, sent, add, holding: true })
    // Of a replica that is level, the socket is empty: what the script writes to it survives the death of its master.
    await Promise.all([confirmed(to), level(from, Number(readInfo(info)('master_repl_offset')))])
    held = performance.now() - since
    await written(to)
    checkpoint(`engine.confirmed${last}`)
    const changes = readInfo(info)('rdb_changes_since_last_save')!
    // Together: whoever waited for the end of the pause comes after the script, or the script sees what it wrote.
    const [, gave] = await all(source, [['CLIENT', 'UNPAUSE'], ['EVAL', give, 1, mark.key, changes, to.id, ...slots]])
    if (gave !== 1) throw new Error('something was written meanwhile')
  } catch (error) {
    await all(source, [['CLIENT', 'UNPAUSE']])
    throw error
  }
  checkpoint(`engine.given${last}`)
  await take(heads, slots, from, to, own)
  return held
}

/** Slots that were given are taken by the target, and everybody hears of it. May be repeated. */
export async function take(heads: readonly Head[], slots: readonly number[], from: Head, to: Head, own: readonly number[] = span(from.view)): Promise<void> {
  const missing = ownedOf(to, slots, false)
  const last = isLast(own, slots) ? '.last' : ''
  await claim(to, missing, from.id)
  checkpoint(`engine.taken${last}`)
  // Gossip tells them as well; clients that ask them meanwhile go a longer way.
  // A former master that still imports them would believe no gossip about them. Replicas take no such word, nor who has not met it.
  // Nor does one that still has a key of it, the mark: it hears by itself, and lets the key go.
  const masters = heads.flatMap(({ members }) => members).filter((view) => !(last && view.me!.id === from.id) && view.me!.id !== to.id && view.me!.master === null && view.peers.some((peer) => peer.id === to.id))
  await Promise.all(masters.map((view) => setSlots({ view }, slots, 'NODE', to.id)))
  await heard(heads, slots, to)
  checkpoint(`engine.heard${last}`)
  // With its last slot the mark has gone.
  if (last) return
  await all(redisOf(from.view), marksIn(own, heads.length).map(({ key }) => ['DEL', key]))
  checkpoint('engine.unmarked')
}

/** Owns them from now on, with an epoch above all that it heard of: Redis raises it only for slots that were being imported. */
export async function claim(to: Pick<Head, 'view' | 'id'>, slots: readonly number[], from: string): Promise<void> {
  await setSlots(to, slots, 'IMPORTING', from)
  await setSlots(to, slots, 'NODE', to.id)
}

/** What a shard gave and may not have been taken, or not everybody knows; asked of a master or of its successor. */
export async function givenBy(head: Pick<Head, 'view'>, shards: number, slots = span(head.view)): Promise<Given | null> {
  const marks = marksIn(slots, shards)
  if (marks.length === 0) return null
  // A replica answers only who says READONLY; to a master it means nothing. Where most masters are dead nobody answers but who is
  // told to, and without an answer none of the dead could be started; older servers do not know that word. Nobody else is served in between.
  fence()
  const reading = redisOf(head.view).pipeline().config('SET', 'cluster-allow-reads-when-down', 'yes').readonly()
  for (const { key } of marks) reading.get(key)
  const answers = ((await reading.readwrite().config('SET', 'cluster-allow-reads-when-down', 'no').exec()) ?? []).slice(2)
  for (const [n, { slot }] of marks.entries()) {
    const [failed, text] = answers[n] ?? [new Error('the connection ended')]
    if (failed) throw failed
    if (text === null) continue
    const [to, ...given] = String(text).split(' ') as [string, ...string[]]
    return { to, slots: given.map(Number), at: slot }
  }
  return null
}

/** How many keys a node has in these slots. */
export async function keysOf(view: ClusterView, slots: readonly number[]): Promise<number> {
  return (await all(redisOf(view), slots.map((slot) => ['CLUSTER', 'COUNTKEYSINSLOT', slot])) as number[]).reduce((a, b) => a + b, 0)
}

/** SETSLOT for several slots. */
export async function setSlots({ view }: Pick<Head, 'view'>, slots: readonly number[], ...what: readonly string[]): Promise<void> {
  await all(redisOf(view), slots.map((slot) => ['CLUSTER', 'SETSLOT', slot, ...what]))
}

/** Where no memory is left a script may go on writing once it has written, so it begins with what needs none. */
const give = `
if tonumber(string.match(redis.call('INFO', 'persistence'), 'rdb_changes_since_last_save:(%d+)')) ~= tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], table.concat(ARGV, ' ', 2))
for n = 3, #ARGV do
  local keys
  repeat
    keys = {}
    for _, key in ipairs(redis.call('CLUSTER', 'GETKEYSINSLOT', ARGV[n], 1000)) do
      if key ~= KEYS[1] then keys[#keys + 1] = key end
    end
    if #keys > 0 then redis.call('UNLINK', unpack(keys)) end
  until #keys == 0
  redis.call('CLUSTER', 'SETSLOT', ARGV[n], 'MIGRATING', ARGV[2])
end
return 1`

interface Mark { readonly key: string; readonly slot: number }

/** The mark is a key of a slot that its shard keeps: slots are given from the end. Who has too few left has it in its first one, which goes last. */
function markFor(own: readonly number[], given: readonly number[], shards: number): Mark {
  const usual = own.length - given.length < Math.floor(slotCount / shards) ? undefined : usualMark(own, shards)
  const mark = usual ?? firstMark(own)
  if (!mark) throw new Error('a shard without slots gives none')
  return mark
}

/** Where a mark may be. */
function marksIn(slots: readonly number[], shards: number): readonly Mark[] {
  return [usualMark(slots, shards), firstMark(slots)].filter((mark) => mark !== undefined)
}

function usualMark(slots: readonly number[], shards: number): Mark | undefined {
  const least = Math.floor(slotCount / shards)
  return slots.length < least ? undefined : markWithin(new Set(slots.toSorted((a, b) => a - b).slice(0, least)))
}

/** To find a name for a slot takes some milliseconds, and the same few are asked for at every look. */
const firstMarks = new Map<number, Mark>()

function firstMark(slots: readonly number[]): Mark | undefined {
  if (slots.length === 0) return undefined
  const slot = slots.reduce((a, b) => Math.min(a, b))
  const mark = firstMarks.get(slot) ?? markWithin(new Set([slot]))
  firstMarks.set(slot, mark)
  return mark
}

function markWithin(slots: ReadonlySet<number>): Mark {
  for (let n = 0; ; n += 1) {
    const slot = slotOf(String(n))
    if (slots.has(slot)) return { key: `sluice:given:{${n}}`, slot }
  }
}

/** Whether a shard that gives these has none left. */
function isLast(own: readonly number[], slots: readonly number[]): boolean { return own.every((slot) => slots.includes(slot)) }

/** CRC-16/XMODEM, as the specification of Redis Cluster has it. */
function slotOf(text: string): number {
  let crc = 0
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8
    for (let n = 0; n < 8; n += 1) crc = ((crc & 0x8000) === 0 ? crc << 1 : crc << 1 ^ 0x1021) & 0xffff
  }
  return crc % slotCount
}

/** Makes what the target has of these slots what the source has. Keys are bytes, not text. */
async function copy(slots: readonly number[], source: Redis, target: Redis, { mark, sent, add, holding = false }: { readonly mark: Mark; readonly sent: Sent; readonly add: boolean; readonly holding?: boolean }): Promise<void> {
  const [present, there] = await Promise.all([keysIn(source, slots), keysIn(target, slots)])
  const here = present.filter((key) => key.toString('latin1') !== mark.key)
  const names = new Set(here.map((key) => key.toString('latin1')))
  const gone = add ? [] : there.filter((key) => !names.has(key.toString('latin1')))
  if (gone.length > 0) await each(target, gone.flatMap((key) => [['ASKING'], ['UNLINK', key]]))
  const kept = new Set(there.map((key) => key.toString('latin1')))
  for (let from = 0; from < here.length; from += keysAtOnce) {
    const keys = here.slice(from, from + keysAtOnce)
    if (holding && from > 0) await all(source, [['CLIENT', 'PAUSE', pauseMs, 'WRITE']])
    const read = await each(source, keys.flatMap((key) => [['DUMP', key], ['PTTL', key]]))
    const now = Date.now()
    const commands = keys.flatMap((key, n) => {
      const [value, left] = [read[n * 2] as Buffer | null, Number(read[n * 2 + 1])]
      const name = key.toString('latin1')
      // It has expired, or was deleted: the next pass finds that, and the target knows of the expiry by itself.
      if (value === null || left === -2) return []
      const [digest, ends] = [createHash('sha1').update(value).digest('base64'), left < 0 ? Infinity : now + left]
      const last = sent.get(name)
      if (last?.digest === digest && kept.has(name) && (last.ends === ends || Math.abs(last.ends - ends) <= ttlBlurMs)) return []
      sent.set(name, { digest, ends })
      // 0 would mean for ever.
      return [['RESTORE-ASKING', key, left < 0 ? 0 : Math.max(1, left), value, 'REPLACE']]
    })
    await each(target, commands)
    if (commands.length > 0) checkpoint('engine.sent')
  }
}

async function keysIn(redis: Redis, slots: readonly number[]): Promise<Buffer[]> {
  return (await each(redis, slots.map((slot) => ['CLUSTER', 'GETKEYSINSLOT', slot, mostKeys])) as Buffer[][]).flat()
}

/** Like `all`, for bytes. */
async function each(redis: Redis, commands: readonly (readonly (string | number | Buffer)[])[]): Promise<unknown[]> {
  if (commands.length === 0) return []
  fence()
  const pipeline = redis.pipeline()
  for (const [name, ...args] of commands) pipeline.callBuffer(String(name), ...args)
  return ((await pipeline.exec()) ?? []).map(([error, answer]) => { if (error) throw error; return answer })
}
