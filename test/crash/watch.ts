/** Four clients that write all the time, and a look every few milliseconds at who takes writes. */
import { connect, type Socket } from 'node:net'
import { Redis, type Cluster } from 'ioredis'
import { isAlive, password, sleep } from '../support/server.ts'

export interface Door { readonly host: string; readonly port: number }

/** A write that a process confirmed: sent then, confirmed then. */
interface Taken { readonly pid: number; readonly sent: number; readonly acked: number }

const writersAtOnce = 4
/** Between two writes of a client: some thousand keys in all, and the machine has other things to do. */
const writeEveryMs = 3
const probeEveryMs = 5
/** Less than there is between two acknowledgements. */
const instantMs = 1e-6
/** Nobody hands a role over and gets it back within this, so who takes writes again by then never lost it; unless the other one was killed. */
const backAgainMs = 150

export interface Watch {
  /** Acknowledged writes so far. */
  acked(): number
  /** The first acknowledged write after this instant (performance.now()), or null. */
  firstAfter(at: number): number | null
  /** The longest time between two acknowledged writes of one client between these instants, if it ended by then. */
  longestGap(since: number, until?: number): number
  /** The longest time in which nobody's write was acknowledged, likewise; or none of these writers'. */
  addressGap(since: number, until?: number, writers?: readonly number[]): number
  /** The same while a client changed its connection: what a switchover alone costs, on a machine that has other things to do as well. */
  switchGap(since: number, until?: number): number
  /** Ends all of it. Afterwards the rest can be asked. */
  stop(): Promise<void>
  /** Keys of acknowledged writes, by writer, in their order. */
  readonly keys: readonly (readonly string[])[]
  /** Sentences about two processes that took writes at the same time. */
  rivals(): string[]
}

let watches = 0

export interface Watching {
  /** Between two writes of a client. */
  readonly everyMs?: number
  /** Another place where the role may be, for clients that look for it themselves. */
  readonly orElse?: Door
  /** What the keys of each writer begin with: hash tags, of shards. */
  readonly tags?: readonly string[]
  /** What a writer writes through; by default a plain connection, which goes wherever MOVED says. */
  readonly client?: (door: Door) => Redis | Cluster
}

/** `doors`: wherever a node of the instance may listen. */
export function watch(service: Door, doors: readonly Door[], { everyMs = writeEveryMs, orElse, tags, client = plain }: Watching = {}): Watch {
  watches += 1
  const run = watches
  const keyOf = (w: number, n: number): string => `${tags?.[w] ?? ''}${run}:${w}:${n}`
  let stopped = false
  /** Numbers of acknowledged writes, and when they were confirmed, by writer. */
  const [numbers, times]: [Column[], Column[]] = [[], []]
  const all = (writers?: readonly number[]): Float64Array => Float64Array.from(times.flatMap((when, w) => writers && !writers.includes(w) ? [] : [...when.values()])).sort()
  /** What a writer waits for comes to an end; for one that is about to connect again disconnect() alone does not do that. */
  const leave: (() => void)[] = []
  /** From the last acknowledged write through one connection to the first through the next. */
  const changes: (readonly [from: number, to: number])[] = []
  const writing = Array.from({ length: writersAtOnce }, async (_, w) => {
    const [mine, when] = [new Column(), new Column()]
    numbers.push(mine)
    times.push(when)
    let places = [service, orElse ?? service]
    let redis = client(places[0]!)
    let connection: unknown = null
    for (let n = 0; !stopped; n += 1) {
      // An error is no acknowledgement: the key may be there or not.
      const answer = await new Promise<string>((resolve) => {
        leave[w] = () => resolve('stopped')
        redis.set(keyOf(w, n), `${n}`).then(resolve, (error: Error) => resolve(error.message))
      })
      if (answer === 'OK') {
        const now = performance.now()
        const stream = 'stream' in redis ? redis.stream : null
        if (stream !== connection && when.length > 0) changes.push([when.values().at(-1)!, now])
        connection = stream
        mine.push(n)
        when.push(now)
      }
      const moved = /^MOVED \d+ (.*):(\d+)$/.exec(answer)
      if (moved || orElse && answer.startsWith('READONLY')) {
        redis.disconnect()
        places = moved ? [{ host: moved[1]!, port: Number(moved[2]) }, places[0]!] : places.toReversed()
        redis = client(places[0]!)
      } else await sleep(everyMs)
    }
    redis.disconnect()
  })
  const taken: Taken[] = []
  const ends = doors.map((door) => probe(door, taken))
  return {
    get keys() { return numbers.map((mine, w) => Array.from(mine.values(), (n) => keyOf(w, n))) },
    acked: () => numbers.reduce((sum, mine) => sum + mine.length, 0),
    firstAfter(at) {
      const firsts = times.map((when) => when.values().find((time) => time > at)).filter((time) => time !== undefined)
      return firsts.length > 0 ? Math.min(...firsts) : null
    },
    longestGap: (since, until) => Math.max(...times.map((when) => longest(when.values(), since, until))),
    addressGap: (since, until, writers) => longest(all(writers), since, until),
    switchGap(since, until = Infinity) {
      const sorted = all()
      return Math.max(0, ...changes.filter(([from, to]) => from >= since && to < until).map(([from, to]) => longest(sorted, from + instantMs, to + instantMs)))
    },
    async stop() {
      stopped = true
      for (const one of leave) one()
      for (const end of ends) end()
      await Promise.all(writing)
    },
    rivals: () => rivals(taken),
  }
}

/** A list of numbers that garbage collection does not walk through: of a hundred thousand it would make a gap that nobody else made. */
class Column {
  length = 0
  #room = new Float64Array(1024)
  push(value: number): void {
    if (this.length === this.#room.length) {
      const more = new Float64Array(2 * this.length)
      more.set(this.#room)
      this.#room = more
    }
    this.#room[this.length] = value
    this.length += 1
  }
  values(): Float64Array { return this.#room.subarray(0, this.length) }
}

function longest(when: Float64Array, since: number, until = Infinity): number {
  let gap = 0
  for (let n = 1; n < when.length; n += 1) if (when[n]! >= since && when[n]! < until) gap = Math.max(gap, when[n]! - when[n - 1]!)
  return gap
}

/** A client as customers have one. */
function plain(door: Door): Redis {
  const redis = new Redis({ ...door, password, protocol: 2, maxRetriesPerRequest: null, retryStrategy: () => 1, connectTimeout: 2000 })
  redis.on('error', () => {})
  return redis
}

/** Writes a key through one door again and again. A connection belongs to one process, which is asked for its name first. */
function probe(door: Door, taken: Taken[]): () => void {
  let socket: Socket | null = null
  const timer = setInterval(() => {
    if (socket) return
    const mine = connect({ ...door, noDelay: true })
    socket = mine
    let [text, pid, sent] = ['', 0, 0]
    const ask = (): void => { sent = performance.now(); mine.write('SET probe 1\r\n') }
    mine.on('connect', () => mine.write(`AUTH ${password}\r\nINFO server\r\nECHO end-of-info\r\n`))
    mine.on('data', (data) => {
      text += data.toString('latin1')
      if (text.includes('-LOADING')) { mine.destroy(); return }
      if (pid === 0) {
        if (!text.includes('end-of-info')) return
        pid = Number(/process_id:(\d+)/.exec(text)?.[1])
        text = ''
        return ask()
      }
      if (!text.endsWith('\r\n')) return
      if (text.startsWith('+OK')) taken.push({ pid, sent, acked: performance.now() })
      text = ''
      setTimeout(() => { if (!mine.destroyed) ask() }, probeEveryMs)
    })
    mine.on('error', () => {}).on('close', () => { if (socket === mine) socket = null })
  }, probeEveryMs)
  return () => { clearInterval(timer); socket?.destroy() }
}

/** One took a write, then another one did, then the first again, too soon to be two changes of role. */
function rivals(taken: readonly Taken[]): string[] {
  const sorted = taken.toSorted((a, b) => a.acked - b.acked)
  const last = new Map<number, Taken>()
  const ends = new Map(sorted.map((one) => [one.pid, one]))
  const found: string[] = []
  let before: Taken | null = null
  for (const now of sorted) {
    if (before && before.pid !== now.pid) {
      const earlier = last.get(now.pid)
      const died = ends.get(before.pid) === before && !isAlive(before.pid)
      if (earlier && !died && now.acked - earlier.sent < backAgainMs && earlier.acked < before.sent && before.acked < now.sent) {
        found.push(`process ${now.pid} took a write, ${before.pid} did ${(before.acked - earlier.acked).toFixed(1)} ms later, and ${now.pid} again ${(now.acked - before.acked).toFixed(1)} ms after that`)
      }
    }
    last.set(now.pid, now)
    before = now
  }
  return found
}
