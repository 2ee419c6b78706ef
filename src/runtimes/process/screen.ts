/**
 * Keeps clients away from nodes by where they come from, with nftables. All rules are in one table of this home's own; an
 * instance has two chains in it (what comes, what leaves) and a set of who may. Each change is one transaction, so there is
 * the old list or the new one, and never none. Connections are not looked up: a packet of one that was open before counts
 * like any other. Reasons: decision 0023.
 */
import { createHash } from 'node:crypto'
import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, isIPv4, type Server } from 'node:net'
import { platform } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkpoint } from '../../core/checkpoint.ts'
import { fence } from '../../core/fence.ts'
import { TerminalError } from '../../core/operation.ts'
import { leftPorts, type Instance, type NodeRecord } from '../../core/instance.ts'
import { addressOf, rangesOf, shareAddress } from '../../core/sources.ts'
import { pictures, type Picture } from './screen-listing.ts'

export interface Screen {
  /** Why nobody can be kept away here, as a sentence with the next step; null: it can be done. */
  unable(nodes: readonly NodeRecord[]): Promise<string | null>
  /** Makes the rules those of the instance's spec; read back before it returns. Throws a TerminalError when that cannot be done here. */
  put(instance: Instance, nodes: readonly NodeRecord[]): Promise<void>
  /** Leaves no rule of the instance. */
  take(instanceId: string): Promise<void>
  /** What is not as it should be, as a sentence; by a look that is two seconds old at most. */
  drift(instance: Instance, nodes: readonly NodeRecord[]): Promise<string | null>
}

/** A rule is set within milliseconds; a kernel that is out of memory may take its time. */
const nftWithinMs = 10_000
/** Others who set rules of this home hold its lock for some 50 ms. */
const lockWithinMs = 15_000
/** How old a look at the rules may be by which somebody's flush is noticed. A look costs some 6 ms. */
const lookEveryMs = 2000

/**
 * The address that the control planes of a host connect from, and nodes that have none of their own: let in always. Out of
 * 127.32.0.0 to 127.63.255.255, apart from nodes' addresses and from those that people use by hand.
 */
export function sourceOf(host: string): string {
  const [a, b, c] = createHash('sha256').update(host).digest()
  return `127.${32 + a! % 32}.${b}.${1 + c! % 254}`
}

/** The name of a host's table. */
export function tableOf(host: string): string { return `sluice_${createHash('sha256').update(host).digest('hex').slice(0, 12)}` }

/** `host`: the id that stays the home's own wherever that is moved to, and however it is named. */
export function screen(home: string, host: string): Screen {
  const name = tableOf(host)
  const table = `inet ${name}`
  /** Instances that may have rules: written before these are, removed after them, so that all others need no look. */
  const marks = join(home, 'screened')
  let looked: { readonly at: number; readonly seen: Promise<ReadonlyMap<string, Picture>> } | null = null
  const look = async (): Promise<ReadonlyMap<string, Picture>> => pictures(await list(name))

  async function run(script: string): Promise<void> {
    fence()
    await nft(['-f', '-'], script)
  }

  async function take(instanceId: string): Promise<void> {
    if (!existsSync(join(marks, instanceId))) return
    await locked(name, async () => {
      const seen = await look()
      const found = seen.get(instanceId)
      // The last one takes the table along; the lock sees to it that nobody else is about to use it.
      if (found) await run(seen.size === 1 ? `delete table ${table}\n` : gone(table, instanceId, found))
      checkpoint('runtime.unscreened')
      rmSync(join(marks, instanceId), { force: true })
    })
    looked = null
  }

  async function put(id: string, wanted: Picture): Promise<void> {
    await locked(name, async () => {
      // Who cannot even look has no rules to remember.
      const found = (await look()).get(id)
      mkdirSync(marks, { recursive: true, mode: 0o700 })
      writeFileSync(join(marks, id), '')
      if (isSame(found, wanted)) return
      await run(script(table, home, id, wanted, found))
      checkpoint('runtime.screened')
      if (!isSame((await look()).get(id), wanted)) throw new Error('nftables shows other rules than it was given')
    })
    looked = null
  }

  return {
    unable, take,
    async put(instance, nodes) {
      const wanted = pictureOf(host, instance, nodes)
      if (!wanted) return take(instance.id)
      try { await put(instance.id, wanted) } catch (error) {
        fence()
        const reason = await unable(nodes)
        throw reason === null ? error : new TerminalError(`its whitelist cannot be put in force: ${reason}`)
      }
    },
    async drift(instance, nodes) {
      const wanted = pictureOf(host, instance, nodes)
      if (!wanted) return null
      if (!looked || Date.now() - looked.at > lookEveryMs) looked = { at: Date.now(), seen: look() }
      try {
        return isSame((await looked.seen).get(instance.id), wanted) ? null : 'the rules of its whitelist are not those that were set: somebody changed them'
      } catch (error) { return `nobody can say whether its whitelist is in force: ${(error as Error).message}` }
    },
  }
}

/** What the rules of an instance say when they are right; null: it needs none. */
function pictureOf(host: string, { endpoints, grants, spec }: Instance, nodes: readonly NodeRecord[]): Picture | null {
  if (!spec.sources) return null
  const listeners = [
    ...nodes.flatMap(({ address, ports }) => Object.values(ports).map((port) => ({ address, port }))),
    ...Object.values(endpoints),
  ]
  // While its port changes, servers may be at either.
  const left = grants[leftPorts]?.split(' ').map(Number).filter(Boolean) ?? []
  const doors = [...listeners, ...listeners.flatMap(({ address }) => left.map((port) => ({ address, port })))]
  const own = [sourceOf(host), ...shareAddress(nodes) ? [] : nodes.map(({ address }) => address)]
  return {
    doors: [...new Set(doors.map(({ address, port }) => `${address} . ${port}`))].toSorted(),
    sources: rangesOf([...spec.sources, ...own]).map(([first, last]) => first === last ? addressOf(first) : `${addressOf(first)}-${addressOf(last)}`),
    whole: true,
  }
}

const isSame = (found: Picture | undefined, wanted: Picture): boolean => JSON.stringify(found) === JSON.stringify(wanted)

/** Written so that it works whatever of it is there already. The comments are what `screen-listing.ts` looks for. */
function script(table: string, home: string, id: string, { doors, sources }: Picture, found: Picture | undefined): string {
  const stale = (found?.doors ?? []).filter((door) => !doors.includes(door))
  return [
    `add table ${table} { comment "${home.replaceAll(/[^\w./-]/g, '?').slice(-100)}"; }`,
    `add map ${table} doors { type ipv4_addr . inet_service : verdict; }`, `add map ${table} exits { type ipv4_addr . inet_service : verdict; }`,
    `add chain ${table} arriving { type filter hook input priority filter; policy accept; }`, `add chain ${table} leaving { type filter hook output priority filter; policy accept; }`,
    `flush chain ${table} arriving`, `flush chain ${table} leaving`,
    // Ends of connections harm nobody, and without them whoever is cut would not be told.
    `add rule ${table} arriving tcp flags & rst == rst return comment "ends"`, `add rule ${table} arriving ip daddr . tcp dport vmap @doors comment "doors"`,
    `add rule ${table} leaving tcp flags & (fin | rst) != 0 return comment "ends"`, `add rule ${table} leaving ip saddr . tcp sport vmap @exits comment "exits"`,
    ...mine(table, id), `add element ${table} may-${id} { ${sources.join(', ')} }`,
    ...[['in', 'saddr'], ['out', 'daddr']].flatMap(([way, end]) => [
      `add rule ${table} ${way}-${id} ip ${end} @may-${id} return comment "listed"`, `add rule ${table} ${way}-${id} meta l4proto tcp reject with tcp reset comment "others"`,
    ]),
    ...leading(table, id, [...doors, ...stale]), ...without(table, stale), '',
  ].join('\n')
}

function gone(table: string, id: string, { doors }: Picture): string {
  // What somebody took away by hand comes back for the moment in which it goes with the rest.
  return [...mine(table, id), ...leading(table, id, doors), ...without(table, doors), `delete chain ${table} in-${id}`, `delete chain ${table} out-${id}`, `delete set ${table} may-${id}`, ''].join('\n')
}

/** What an instance has of its own, empty. */
function mine(table: string, id: string): string[] {
  return [`add set ${table} may-${id} { type ipv4_addr; flags interval; }`, ...['in', 'out'].flatMap((way) => [`add chain ${table} ${way}-${id}`, `flush chain ${table} ${way}-${id}`]), `flush set ${table} may-${id}`]
}

const ways = [['doors', 'in'], ['exits', 'out']] as const
function leading(table: string, id: string, doors: readonly string[]): string[] {
  return doors.length === 0 ? [] : ways.map(([map, way]) => `add element ${table} ${map} { ${doors.map((door) => `${door} : jump ${way}-${id}`).join(', ')} }`)
}
function without(table: string, doors: readonly string[]): string[] {
  return doors.length === 0 ? [] : ways.map(([map]) => `delete element ${table} ${map} { ${doors.join(', ')} }`)
}

async function unable(nodes: readonly NodeRecord[]): Promise<string | null> {
  const other = nodes.find(({ address }) => !isIPv4(address))
  if (other) return `a whitelist is of IPv4, and its nodes have the address ${other.address}: set SLUICE_NODE_HOST to an IPv4 address and create the instance anew`
  if (platform() !== 'linux') return "this platform has no nftables: use its own firewall, or run Sluice on Linux"
  if (!program()) return 'nftables is not installed here: install the package nftables ("npm run engines" does), and try again'
  try {
    // Only checked, as what it would be: whether it is allowed, and whether the kernel knows all of it.
    await nft(['-c', '-f', '-'], script('inet sluice_check', '', 'check', { doors: ['127.0.0.1 . 1'], sources: ['127.0.0.1-127.0.0.2'], whole: true }, undefined))
    await list('sluice_check')
    return null
  } catch (error) {
    const { message } = error as Error
    return /not permitted|denied/i.test(message) ? "this server may not set the machine's packet filter: run it as root or with CAP_NET_ADMIN, or use a firewall of your own" : `nftables does not work here (${message}): put that right, or use a firewall of your own`
  }
}

/** Its administrators' programs are not on everybody's PATH. */
function program(): string | null {
  for (const folder of [...(process.env['PATH'] ?? '').split(':').filter(Boolean), '/usr/sbin', '/sbin', '/usr/local/sbin']) {
    try { accessSync(join(folder, 'nft'), constants.X_OK); return join(folder, 'nft') } catch { /* Not here. */ }
  }
  return null
}

/** Throws with the first line of what it complains of. */
function nft(args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const path = program()
    if (!path) return reject(new Error('nft is not installed'))
    const child = execFile(path, args, { timeout: nftWithinMs, maxBuffer: 64 * 2 ** 20, env: { LC_ALL: 'C' } }, (error, out, complaint) => {
      if (error) reject(new Error(complaint.trim().split('\n')[0] || error.message))
      else resolve(out)
    })
    child.stdin!.on('error', () => {})
    child.stdin!.end(input)
  })
}

/** The table as JSON; empty when there is none. */
async function list(table: string): Promise<string> {
  try { return await nft(['-j', 'list', 'table', 'inet', table]) } catch (error) {
    if (/No such file or directory/.test((error as Error).message)) return ''
    throw error
  }
}

/** One at a time in this machine's network, whoever shares the home; what a process held is free when it ends. */
async function locked<T>(table: string, work: () => Promise<T>): Promise<T> {
  const lock = await acquire(`\0${table}`)
  try { return await work() } finally { await new Promise<void>((done) => { lock.close(() => done()) }) }
}

async function acquire(name: string): Promise<Server> {
  for (const giveUp = Date.now() + lockWithinMs; ; await sleep(5)) {
    const server = createServer()
    const taken = await new Promise<NodeJS.ErrnoException | null>((resolve) => { server.once('error', resolve).listen(name, () => resolve(null)) })
    if (!taken) return server
    if (taken.code !== 'EADDRINUSE') throw taken
    if (Date.now() > giveUp) throw new Error('another control plane of this home has been setting whitelists for too long')
  }
}
