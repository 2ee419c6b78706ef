/**
 * A copy of all that a Redis process has at one instant, while it goes on serving: asked for as a replica asks for its first
 * copy. The process forks, and the child sends a dump (RDB) through this connection; no file is made on its side.
 */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { addAbortSignal } from 'node:stream'
import { account, dialing, readInfo, waysTo, type Target } from './client.ts'
import type { Endpoint } from '../../core/instance.ts'

/** While it forks and between its packets it says something every ten seconds at least. */
const silentForMs = 30_000
/** `$EOF:` is followed by so many bytes of chance, which end the dump. */
const markLength = 40
/** Begins a dump; ends it, before its checksum of eight bytes. */
const [magic, lastOpcode] = ['REDIS', 0xff] as const

export interface Copied { readonly bytes: number; /** SHA-256, hexadecimal. */ readonly sum: string }

/** Writes the copy to a new file, mode 0600, and on to the disk. Throws a sentence when it did not come whole; then the file means nothing. */
export async function copyTo(path: string, target: Target, signal: AbortSignal, came: (bytes: number) => void): Promise<Copied> {
  let failure: unknown
  for (const [door, way] of waysTo(target).flatMap((way) => target.doors.map((door) => [door, way] as const))) {
    const link = await openProven(door, way, target, signal).catch((error) => { failure ??= error })
    if (!link) continue
    try { return await receive(path, link, came) } finally { link.socket.destroy() }
  }
  throw failure
}

interface Link {
  readonly socket: Socket
  /** The next bytes; null at the end. */
  next(): Promise<Buffer | null>
  /** Puts bytes back that were read too far. */
  unread(rest: Buffer): void
}

async function openLink({ address, port }: Endpoint, way: 'plain' | 'tls', from: string | undefined, signal: AbortSignal): Promise<Link> {
  const to = { host: address, port, ...from === undefined ? {} : { localAddress: from } }
  const socket = addAbortSignal(signal, (await dialing(way))(to))
  socket.setTimeout(silentForMs, () => socket.destroy(new Error(`nothing came for ${silentForMs / 1000} s`)))
  await new Promise<void>((resolve, reject) => { socket.once(way === 'tls' ? 'secureConnect' : 'connect', resolve).once('error', reject) })
  const chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let kept: Buffer | null = null
  return {
    socket,
    async next() {
      if (kept) { const chunk = kept; kept = null; return chunk }
      const { value, done } = await chunks.next()
      return done ? null : value as Buffer
    },
    unread(rest) { if (rest.length > 0) kept = rest },
  }
}

/** One line without its end. Redis sends empty ones while it forks. */
async function line(link: Link): Promise<string> {
  let text = Buffer.alloc(0)
  for (;;) {
    const chunk = await link.next()
    if (!chunk) throw new Error('the server hung up')
    text = Buffer.concat([text, chunk])
    const end = text.indexOf('\n')
    if (end < 0) continue
    link.unread(text.subarray(end + 1))
    const found = text.subarray(0, end).toString('utf8').trimEnd()
    if (found !== '') return found
    text = Buffer.alloc(0)
  }
}

async function block(link: Link, length: number): Promise<string> {
  let text = Buffer.alloc(0)
  while (text.length < length + 2) {
    const chunk = await link.next()
    if (!chunk) throw new Error('the server hung up')
    text = Buffer.concat([text, chunk])
  }
  link.unread(text.subarray(length + 2))
  return text.subarray(0, length).toString('utf8')
}

/** The answer to a command: of a list, its texts. */
async function ask(link: Link, ...command: readonly string[]): Promise<readonly string[]> {
  link.socket.write(`*${command.length}\r\n${command.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`)
  return answer(link)
}

async function answer(link: Link): Promise<readonly string[]> {
  const said = await line(link)
  const count = Number(said.slice(1))
  if (said.startsWith('-')) throw new Error(said.slice(1))
  if (said.startsWith('$')) return [await block(link, count)]
  if (!said.startsWith('*')) return [said.slice(1)]
  const parts: string[] = []
  for (let n = 0; n < count; n += 1) parts.push(...await answer(link))
  return parts
}

/** Nothing but the account's own password has been sent before it is known who answers. */
async function openProven(door: Endpoint, way: 'plain' | 'tls', target: Target, signal: AbortSignal): Promise<Link> {
  const link = await openLink(door, way, target.from, signal)
  try { await recognise(link, target, door) } catch (error) {
    link.socket.destroy()
    throw error
  }
  return link
}

async function recognise(link: Link, { identity, password }: Target, { address, port }: Endpoint): Promise<void> {
  await ask(link, 'AUTH', account, password)
  const info = readInfo((await ask(link, 'INFO', 'server'))[0]!)
  const said = identity.token === undefined ? undefined : (await ask(link, 'CONFIG', 'GET', 'syslog-ident'))[1]
  if (Number(info('process_id')) !== identity.pid || said !== identity.token) throw new Error(`another server (process ${info('process_id')}) answers on ${address}:${port}, ours is process ${identity.pid}`)
}

async function receive(path: string, link: Link, came: (bytes: number) => void): Promise<Copied> {
  // Through the connection instead of by way of a file, and nothing after it; a server that does not know the second word sends more, which is not read.
  await ask(link, 'REPLCONF', 'capa', 'eof')
  await ask(link, 'REPLCONF', 'rdb-only', '1').catch(() => {})
  link.socket.write('SYNC\r\n')
  const head = await line(link)
  if (!head.startsWith('$EOF:') || head.length !== 5 + markLength) throw new Error(head.startsWith('-') ? head.slice(1) : 'the server offers no copy')
  const mark = Buffer.from(head.slice(5), 'latin1')
  const hash = createHash('sha256')
  const file = await open(path, 'wx', 0o600)
  let [bytes, first, last] = [0, '', Buffer.alloc(0)]
  async function take(part: Buffer): Promise<void> {
    if (part.length === 0) return
    hash.update(part)
    await file.write(part)
    bytes += part.length
    if (first.length < magic.length) first = (first + part.toString('latin1')).slice(0, magic.length)
    last = Buffer.concat([last, part]).subarray(-9)
    came(bytes)
  }
  try {
    for (let held = Buffer.alloc(0); ;) {
      const chunk = await link.next()
      if (!chunk) throw new Error('the server hung up before the end of the copy')
      const seen = Buffer.concat([held, chunk])
      const end = seen.indexOf(mark)
      if (end >= 0) { await take(seen.subarray(0, end)); break }
      // The mark may have begun at the end of what came.
      const safe = Math.max(0, seen.length - markLength + 1)
      await take(seen.subarray(0, safe))
      held = Buffer.from(seen.subarray(safe))
    }
    if (first !== magic || last.length < 9 || last[0] !== lastOpcode) throw new Error('what the server sent is no dump')
    await file.sync()
  } finally { await file.close() }
  return { bytes, sum: hash.digest('hex') }
}
