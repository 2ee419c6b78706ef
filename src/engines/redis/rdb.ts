/**
 * Reads the keys of a dump (RDB, versions 9 to 11) from a file, one after another: name, type, how many elements, and how
 * many bytes each takes in the file. Values are passed over; of packed ones the head is read, which has the count.
 */
import { open, type FileHandle } from 'node:fs/promises'

export interface DumpedKey { readonly name: string; readonly type: 'string' | 'list' | 'set' | 'zset' | 'hash' | 'stream' | 'module'; readonly elements: number; readonly bytes: number; readonly database: number }

const chunkBytes = 1024 * 1024
/** The heads of packed values are shorter than this. */
const headBytes = 16

const op = { slot: 244, function: 245, oldFunction: 246, module: 247, idle: 248, freq: 249, aux: 250, resize: 251, expireMs: 252, expire: 253, select: 254, end: 255 } as const

/** Throws a sentence for what is no dump, or one that this release does not know. */
export async function* keysOf(path: string): AsyncGenerator<DumpedKey> {
  const file = await open(path, 'r')
  try { yield* read(new Source(file)) } finally { await file.close() }
}

/** A file as a row of bytes, of which long stretches are passed over unread. */
class Source {
  /** Of the next byte, in the file. */
  at = 0
  private buffer = Buffer.alloc(0)
  /** Where the buffer begins in the file. */
  private from = 0
  private readonly file: FileHandle
  constructor(file: FileHandle) { this.file = file }

  /** The next bytes, as they stand in the file; throws when it ends before. */
  async peek(count: number): Promise<Buffer> {
    const offset = this.at - this.from
    if (offset < 0 || offset + count > this.buffer.length) {
      const next = Buffer.alloc(Math.max(chunkBytes, count))
      const { bytesRead } = await this.file.read(next, 0, next.length, this.at)
      this.buffer = next.subarray(0, bytesRead)
      this.from = this.at
      if (bytesRead < count) throw new Error('the dump ends in the middle')
      return this.buffer.subarray(0, count)
    }
    return this.buffer.subarray(offset, offset + count)
  }

  async take(count: number): Promise<Buffer> {
    const bytes = await this.peek(count)
    this.at += count
    return bytes
  }

  async byte(): Promise<number> { return (await this.take(1))[0]! }

  /** A length, or with `encoded` one of the special forms of a text. */
  async length(): Promise<{ readonly value: number; readonly encoded: boolean }> {
    const first = await this.byte()
    switch (first >> 6) {
      case 0: return { value: first & 0x3f, encoded: false }
      case 1: return { value: (first & 0x3f) << 8 | await this.byte(), encoded: false }
      case 3: return { value: first & 0x3f, encoded: true }
      default: return first === 0x80 ? { value: (await this.take(4)).readUInt32BE(), encoded: false } : { value: Number((await this.take(8)).readBigUInt64BE()), encoded: false }
    }
  }

  async count(): Promise<number> { return (await this.length()).value }

  /** Passes over a text; answers its length, and its first bytes up to so many. */
  async text(most: number): Promise<{ readonly length: number; readonly head: Buffer }> {
    const { value, encoded } = await this.length()
    if (!encoded) {
      const head = Buffer.from(await this.peek(Math.min(value, most)))
      this.at += value
      return { length: value, head }
    }
    if (value <= 2) {
      const bytes = Buffer.from(await this.take(1 << value))
      const text = Buffer.from(String(value === 0 ? bytes.readInt8() : value === 1 ? bytes.readInt16LE() : bytes.readInt32LE()))
      return { length: text.length, head: text.subarray(0, most) }
    }
    if (value !== 3) throw new Error(`the dump has a text of an unknown form, ${value}`)
    const [packed, length] = [await this.count(), await this.count()]
    // What is short when unpacked cannot need more than this of what is packed.
    const head = unpack(await this.peek(Math.min(packed, most * 2 + 64)), Math.min(length, most))
    this.at += packed
    return { length, head }
  }

  async skipText(): Promise<number> { return (await this.text(0)).length }
}

/** LZF, as far as so many bytes. */
function unpack(packed: Buffer, most: number): Buffer {
  const out = Buffer.alloc(most)
  for (let at = 0, to = 0; at < packed.length && to < most;) {
    const control = packed[at++]!
    if (control < 32) {
      for (let n = 0; n <= control && to < most; n += 1) out[to++] = packed[at + n]!
      at += control + 1
      continue
    }
    let length = control >> 5
    if (length === 7) length += packed[at++]!
    let back = to - ((control & 0x1f) << 8) - packed[at++]! - 1
    for (let n = 0; n < length + 2 && to < most; n += 1) out[to++] = out[back++]!
  }
  return out
}

async function* read(source: Source): AsyncGenerator<DumpedKey> {
  const heading = (await source.take(9)).toString('latin1')
  if (!/^REDIS\d{4}$/.test(heading)) throw new Error('the file is no dump')
  let database = 0
  for (;;) {
    const begun = source.at
    const type = await source.byte()
    switch (type) {
      case op.end: return
      case op.select: database = await source.count(); continue
      case op.resize: await source.count(); await source.count(); continue
      case op.slot: await source.count(); await source.count(); await source.count(); continue
      case op.aux: await source.skipText(); await source.skipText(); continue
      case op.function: await source.skipText(); continue
      case op.expireMs: source.at += 8; continue
      case op.expire: source.at += 4; continue
      case op.idle: await source.count(); continue
      case op.freq: source.at += 1; continue
      case op.module: await source.count(); await skipModule(source); continue
      case op.oldFunction: throw new Error('the dump has functions of a release that was never finished')
      default: {
        const name = (await source.text(1024)).head.toString('utf8')
        const value = await skipValue(source, type)
        yield { name, ...value, bytes: source.at - begun, database }
      }
    }
  }
}

const packed = { zipmap: (head: Buffer) => head[0]!, ziplist: (head: Buffer) => head.readUInt16LE(8), listpack: (head: Buffer) => head.readUInt16LE(4), intset: (head: Buffer) => head.readUInt32LE(4) }

async function skipValue(source: Source, type: number): Promise<Pick<DumpedKey, 'type' | 'elements'>> {
  const texts = async (each: number): Promise<number> => {
    const count = await source.count()
    for (let n = 0; n < count * each; n += 1) await source.skipText()
    return count
  }
  const head = async (form: keyof typeof packed): Promise<number> => packed[form]((await source.text(headBytes)).head)
  switch (type) {
    case 0: return { type: 'string', elements: await source.skipText() }
    case 1: return { type: 'list', elements: await texts(1) }
    case 2: return { type: 'set', elements: await texts(1) }
    case 3: return { type: 'zset', elements: await scored(source, false) }
    case 4: return { type: 'hash', elements: await texts(2) }
    case 5: return { type: 'zset', elements: await scored(source, true) }
    case 7: await source.count(); await skipModule(source); return { type: 'module', elements: 1 }
    case 9: return { type: 'hash', elements: await head('zipmap') }
    case 10: return { type: 'list', elements: await head('ziplist') }
    case 11: return { type: 'set', elements: await head('intset') }
    case 12: return { type: 'zset', elements: await head('ziplist') / 2 }
    case 13: return { type: 'hash', elements: await head('ziplist') / 2 }
    case 14: return { type: 'list', elements: await nodes(source, async () => head('ziplist')) }
    case 16: return { type: 'hash', elements: await head('listpack') / 2 }
    case 17: return { type: 'zset', elements: await head('listpack') / 2 }
    // Large elements stand alone, each as it is.
    case 18: return { type: 'list', elements: await nodes(source, async () => await source.count() === 1 ? (await source.skipText(), 1) : head('listpack')) }
    case 20: return { type: 'set', elements: await head('listpack') }
    case 15: case 19: case 21: return { type: 'stream', elements: await stream(source, type) }
    default: throw new Error(`the dump has a value of an unknown type, ${type}`)
  }
}

async function nodes(source: Source, each: () => Promise<number>): Promise<number> {
  const count = await source.count()
  let elements = 0
  for (let n = 0; n < count; n += 1) elements += await each()
  return elements
}

/** Members with scores: eight bytes, or a text with a length of one byte, of which three stand for no numbers. */
async function scored(source: Source, binary: boolean): Promise<number> {
  const count = await source.count()
  for (let n = 0; n < count; n += 1) {
    await source.skipText()
    if (binary) { source.at += 8; continue }
    const length = await source.byte()
    if (length < 253) source.at += length
  }
  return count
}

async function stream(source: Source, type: number): Promise<number> {
  const nodes = await source.count()
  for (let n = 0; n < nodes * 2; n += 1) await source.skipText()
  const elements = await source.count()
  for (let n = 0; n < (type === 15 ? 2 : 7); n += 1) await source.count()
  const groups = await source.count()
  for (let g = 0; g < groups; g += 1) {
    await source.skipText()
    for (let n = 0; n < (type === 15 ? 2 : 3); n += 1) await source.count()
    // What was delivered and not confirmed: an id of 16 bytes, a time of 8, how often.
    const pending = await source.count()
    for (let n = 0; n < pending; n += 1) { source.at += 24; await source.count() }
    const consumers = await source.count()
    for (let c = 0; c < consumers; c += 1) {
      await source.skipText()
      source.at += type === 21 ? 16 : 8
      // Read first: what is added to is looked at before what is waited for.
      const unconfirmed = await source.count()
      source.at += unconfirmed * 16
    }
  }
  return elements
}

/** A module's value says of each of its parts what it is. */
async function skipModule(source: Source): Promise<void> {
  for (;;) {
    const part = await source.count()
    if (part === 0) return
    if (part === 1 || part === 2) await source.count()
    else if (part === 3) source.at += 4
    else if (part === 4) source.at += 8
    else if (part === 5) await source.skipText()
    else throw new Error('the dump has a module of an unknown form')
  }
}
