/**
 * A file of lines that nobody else reads and that is only opened whole: compressed, encrypted where there is a passphrase,
 * and refused when it was cut short or altered.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes, randomUUID, scrypt, timingSafeEqual, type DecipherGCM } from 'node:crypto'
import { createReadStream, linkSync, rmSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { Readable, Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { createGunzip, createGzip } from 'node:zlib'

interface Heading { readonly form: 1; readonly cipher: 'aes-256-gcm' | null; /** scrypt's cost, and base64url. */ readonly cost?: number; readonly salt?: string; readonly nonce?: string }

const begins = 'sluice backup '
/** 64 MB and a fifth of a second for each guess. */
const cost = 2 ** 16
const damaged = 'was cut short or altered'

/** Writes a new file, mode 0600, as a whole: there is either all of it or none. Throws a sentence when it is there already. */
export async function writeSealed(file: string, passphrase: string | null, lines: AsyncIterable<string>): Promise<void> {
  const [salt, nonce] = [randomBytes(16), randomBytes(12)]
  const heading: Heading = passphrase === null ? { form: 1, cipher: null } : { form: 1, cipher: 'aes-256-gcm', cost, salt: salt.toString('base64url'), nonce: nonce.toString('base64url') }
  const head = `${begins}${JSON.stringify(heading)}\n`
  const hash = createHash('sha256').update(head)
  const cipher = passphrase === null ? null : createCipheriv('aes-256-gcm', await keyOf(passphrase, salt, cost), nonce).setAAD(Buffer.from(head))
  const seal = cipher ?? new Transform({ transform(chunk, _encoding, done) { hash.update(chunk); done(null, chunk) } })
  const aside = `${file}.${randomUUID()}`
  const handle = await open(aside, 'wx', 0o600).catch((error) => { throw new Error(`${file} cannot be written: ${(error as Error).message}`) })
  try {
    await handle.appendFile(head)
    await pipeline(Readable.from(lines), createGzip(), seal, async (chunks: AsyncIterable<Buffer>) => { for await (const chunk of chunks) await handle.appendFile(chunk) })
    await handle.appendFile(cipher ? cipher.getAuthTag() : hash.digest())
    await handle.sync()
    // Unlike a rename, a link does not replace what is there.
    linkSync(aside, file)
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EEXIST' ? new Error(`${file} is there already: name another file`) : error
  } finally {
    await handle.close()
    rmSync(aside, { force: true })
  }
}

/** The lines of such a file, after all of it was checked. Throws a sentence when it is none, or damaged, or the passphrase is wrong. */
export async function readSealed(file: string, passphrase: string | null): Promise<AsyncIterable<string>> {
  const { size } = await stat(file).catch(() => { throw new Error(`there is no file ${file}`) })
  const handle = await open(file, 'r')
  try {
    const start = await handle.read(Buffer.alloc(1024), 0, 1024, 0)
    const text = start.buffer.subarray(0, start.bytesRead)
    const end = text.indexOf('\n') + 1
    if (end === 0 || !text.subarray(0, begins.length).equals(Buffer.from(begins))) throw new Error(`${file} is not a backup of Sluice`)
    const head = text.subarray(0, end)
    const heading = headingOf(file, head)
    if (heading.cipher && passphrase === null) throw new Error(`${file} is encrypted: name the file with its passphrase in SLUICE_BACKUP_PASSPHRASE_FILE`)
    const tagBytes = heading.cipher ? 16 : 32
    if (size <= end + tagBytes) throw new Error(`${file} ${damaged}`)
    const tag = (await handle.read(Buffer.alloc(tagBytes), 0, tagBytes, size - tagBytes)).buffer
    const key = heading.cipher ? await keyOf(passphrase!, Buffer.from(heading.salt!, 'base64url'), heading.cost!) : null
    const body = (): Readable => createReadStream(file, { start: end, end: size - tagBytes - 1 })
    const decipher = (): DecipherGCM | null => key && createDecipheriv('aes-256-gcm', key, Buffer.from(heading.nonce!, 'base64url')).setAAD(head).setAuthTag(tag)
    const [first, hash] = [decipher(), createHash('sha256').update(head)]
    const nowhere = new Writable({ write(_chunk, _encoding, done) { done() } })
    if (first) await pipeline(body(), first, nowhere).catch(() => { throw new Error(`${file} cannot be opened: the passphrase is another one, or the file ${damaged}`) })
    else {
      for await (const chunk of body()) hash.update(chunk as Buffer)
      if (!timingSafeEqual(hash.digest(), tag)) throw new Error(`${file} ${damaged}`)
    }
    const second = decipher()
    const plain = createGunzip()
    const done = second ? pipeline(body(), second, plain) : pipeline(body(), plain)
    done.catch((error) => plain.destroy(error))
    return linesOf(plain)
  } finally { await handle.close() }
}

/** What comes in pieces, line by line; a last one without its end is one too. */
export async function* linesOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const piece of pieces) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n')
    rest = lines.pop()!
    yield* lines
  }
  if (rest !== '') yield rest
}

function headingOf(file: string, head: Buffer): Heading {
  let heading: Partial<Heading>
  try { heading = JSON.parse(head.toString('utf8').slice(begins.length)) as Partial<Heading> } catch { throw new Error(`${file} ${damaged}`) }
  if (heading.form !== 1) throw new Error(`${file} has a form that this release does not know`)
  // What somebody else wrote here must not keep this machine busy for ever.
  if (heading.cipher !== null && !(heading.cipher === 'aes-256-gcm' && Number.isInteger(heading.cost) && heading.cost! >= 2 && heading.cost! <= 2 ** 20 && heading.salt && heading.nonce)) throw new Error(`${file} ${damaged}`)
  return heading as Heading
}

async function keyOf(passphrase: string, salt: Buffer, n: number): Promise<Buffer> {
  const derive = promisify<string, Buffer, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(scrypt)
  return derive(passphrase.normalize('NFC'), salt, 32, { N: n, r: 8, p: 1, maxmem: 129 * n * 8 + 2 ** 20 })
}
