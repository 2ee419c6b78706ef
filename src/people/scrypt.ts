/** Passwords of users, as they are stored: hashed slowly, so that a stolen database does not tell them. */
import { createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

/** As OWASP asks of scrypt in 2026: 32 MiB and some 0.2 s for each. */
const [cost, blockSize, parallel] = [2 ** 15, 8, 3]
const keyBytes = 32
/** Of the four threads that Node has for such work; files and names are looked up by the others. */
const atOnce = 2
/** Whoever comes when so many wait is told to come later: their turn would be in seconds. */
const mostWaiting = 40

let running = 0
const waiting: (() => void)[] = []

/** `scrypt:32768:8:3:<salt>:<key>`. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16)
  const key = await inTurn(() => derive(password, salt, cost, blockSize, parallel))
  return ['scrypt', cost, blockSize, parallel, salt.toString('base64url'), key.toString('base64url')].join(':')
}

/** Whether this is the password; with null for a user that is not there, which takes as long. `busy`: too many ask at once. */
export async function verifyPassword(password: string, stored: string | null): Promise<boolean | 'busy'> {
  const mark = createHmac('sha256', ownKey).update(password).digest('base64url')
  if (stored !== null && right.get(stored) === mark) return true
  if (waiting.length >= mostWaiting) return 'busy'
  const [, n, r, p, salt, key] = (stored ?? nobody).split(':') as [string, string, string, string, string, string]
  const wanted = Buffer.from(key, 'base64url')
  const given = await inTurn(() => derive(password, Buffer.from(salt, 'base64url'), Number(n), Number(r), Number(p)))
  if (!timingSafeEqual(given, wanted) || stored === null) return false
  if (right.size >= mostRemembered) right.clear()
  right.set(stored, mark)
  return true
}

/** What was right once is recognised without the slow way: scripts log in at each run, and only a wrong guess must cost. In memory only. */
const right = new Map<string, string>()
const mostRemembered = 10_000
const ownKey = randomBytes(32)

const nobody = ['scrypt', cost, blockSize, parallel, randomBytes(16).toString('base64url'), randomBytes(keyBytes).toString('base64url')].join(':')

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= atOnce) await new Promise<void>((begin) => waiting.push(begin))
  else running += 1
  try { return await work() } finally {
    const next = waiting.shift()
    // The place is handed on, so that nobody who comes now is before those who wait.
    if (next) next()
    else running -= 1
  }
}

function derive(password: string, salt: Buffer, N: number, r: number, p: number): Promise<Buffer> {
  return new Promise((resolve, reject) => scrypt(password, salt, keyBytes, { N, r, p, maxmem: 256 * N * r }, (error, key) => error ? reject(error) : resolve(key)))
}
