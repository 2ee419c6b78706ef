/** Tokens that need no store: a payload and its HMAC, both readable in one header. */
import { createHash, createHmac, randomUUID, timingSafeEqual } from 'node:crypto'

export interface TokenFacts {
  /** Names it where it is revoked; tokens of the first releases have none. */
  readonly id?: string
  readonly userId: string
  readonly userName: string
  readonly domainId: string
  readonly domainName: string
  /** Null: the scope is the domain, or nothing. */
  readonly projectId: string | null
  readonly scope: 'project' | 'domain' | 'none'
  readonly methods: readonly string[]
  /** Which password of the user it was given for; absent: the first user's, whose key is another one for each password. */
  readonly epoch?: number
  /** Epoch ms. */
  readonly issuedAt: number
  readonly expiresAt: number
}

/** Whoever has one can be anybody whose tokens it signs. */
export interface TokenKeys { readonly of: (userId: string) => Buffer; readonly all: readonly Buffer[] }

/** As in the clouds. */
export const tokenLifetimeMs = 24 * 3600_000

export function issueToken(keys: TokenKeys, facts: Omit<TokenFacts, 'id'>): string {
  const payload = Buffer.from(JSON.stringify({ id: randomUUID().replaceAll('-', ''), ...facts }), 'utf8').toString('base64url')
  return `${payload}.${mac(keys.of(facts.userId), payload)}`
}

/** Tokens that were found to be ours, by the keys that say so: a client shows its own again and again. The one least recently shown goes first. */
const verified = new WeakMap<TokenKeys, Map<string, Facts>>()
const verifiedKept = 500

type Facts = TokenFacts & { readonly id: string }

/** What it says; its `id` is always there. */
export function readToken(keys: TokenKeys, token: string, now: number): Facts | 'invalid' | 'expired' {
  const known = verified.get(keys) ?? new Map<string, Facts>()
  verified.set(keys, known)
  const facts = known.get(token) ?? verify(keys, token)
  known.delete(token)
  if (facts === null) return 'invalid'
  if (facts.expiresAt <= now) return 'expired'
  known.set(token, facts)
  if (known.size > verifiedKept) known.delete(known.keys().next().value!)
  return facts
}

function verify(keys: TokenKeys, token: string): Facts | null {
  // Longer than any that we issue; not worth an HMAC.
  if (token.length > 4096) return null
  const dot = token.indexOf('.')
  if (dot < 1) return null
  const payload = token.slice(0, dot)
  // Texts are compared, not bytes: several base64 texts decode to the same bytes, and only one of them is ours.
  if (!keys.all.some((key) => sameText(token.slice(dot + 1), mac(key, payload)))) return null
  const facts = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as TokenFacts
  return { id: createHash('sha256').update(payload).digest('hex').slice(0, 32), ...facts }
}

/** In a time that tells nothing of where two texts differ. */
export function sameText(given: string, wanted: string): boolean {
  const a = Buffer.from(given, 'utf8')
  const b = Buffer.from(wanted, 'utf8')
  return a.length === b.length && timingSafeEqual(a, b)
}

function mac(key: Buffer, payload: string): string { return createHmac('sha256', key).update(payload).digest('base64url') }
