/**
 * Signed requests: `SDK-HMAC-SHA256 Access=…` of Huawei's SDKs and `SDK-HMAC-SHA256 Credential=…/date///sdk_request` of
 * gophertelekomcloud, with what each of them really puts on the wire.
 */
import { createHash, createHmac } from 'node:crypto'
import { isJson } from './json.ts'
import { sameText } from './tokens.ts'
import type { Call } from './http.ts'

/** Both ways; the clouds allow as much. */
const skewMs = 15 * 60_000

interface Claim {
  readonly accessKey: string
  /** The date inside a `Credential=`; null in the `Access=` form. */
  readonly scopeDate: string | null
  readonly signedHeaders: string
  readonly signature: string
}

/** Whether an Authorization header claims to be a signature of ours, and what it says; null when it is malformed. */
export function readClaim(authorization: string): Claim | null {
  const parts = /^SDK-HMAC-SHA256 (?:Access=([^,\s/]+)|Credential=([^,\s/]+)\/(\d{8})\/\/\/sdk_request), *SignedHeaders=([^,\s]+), *Signature=([0-9a-f]{64})$/.exec(authorization)
  if (!parts) return null
  return { accessKey: parts[1] ?? parts[2]!, scopeDate: parts[3] ?? null, signedHeaders: parts[4]!, signature: parts[5]! }
}

/**
 * The official Go SDK never signs the host; the clouds take that, so it is the one client that may. It signs its name, but for what
 * it looks up by itself, when it was given a region in place of a project: those two come under the name of Go's own HTTP client.
 */
function isGoSdk(names: readonly string[], call: Call): boolean {
  const agent = header(call, 'user-agent') ?? ''
  if (names.includes('user-agent')) return agent.startsWith('huaweicloud-usdk-go/')
  return call.method === 'GET' && goLookups.has(call.path) && agent.startsWith('Go-http-client/')
}

const goLookups = new Set(['/v3/projects', '/v3/auth/domains'])

/** What is wrong with a claim before any secret is looked at, so that it can be said; null when nothing is. */
export function claimProblem(claim: Claim, call: Call, now: number): 'unsigned host' | 'stale signature' | null {
  const names = claim.signedHeaders.split(';')
  if (!names.includes('x-sdk-date') || !names.includes('host') && !isGoSdk(names, call)) return 'unsigned host'
  const at = parseDate(header(call, 'x-sdk-date') ?? '')
  return at === null || Math.abs(now - at) > skewMs ? 'stale signature' : null
}

/** Whether a claim without a problem holds for this call. Hashes the raw body. */
export function signatureHolds(claim: Claim, secret: string, call: Call): boolean {
  const names = claim.signedHeaders.split(';')
  const date = header(call, 'x-sdk-date') ?? ''
  if (claim.scopeDate !== null && claim.scopeDate !== date.slice(0, 8)) return false
  const lines: string[] = []
  for (const name of names) {
    const value = header(call, name)
    if (value === null) return false
    // gophertelekomcloud folds inner blanks, the SDKs only trim.
    lines.push(`${name}:${claim.scopeDate === null ? value.trim() : value.trim().replaceAll(/\s+/g, ' ')}\n`)
  }
  const head = `${lines.join('')}\n${claim.signedHeaders}`
  const key = signingKey(claim, secret)
  let holds = false
  for (const [query, hash] of payloads(claim, call)) for (const uri of canonicalUris(call.path)) {
    // Header values are latin1 text of the bytes on the wire; so hashed, they are those bytes again.
    const request = sha256(Buffer.from(`${call.method}\n${uri}\n${query}\n${head}\n${hash}`, 'latin1'))
    const scope = claim.scopeDate === null ? '' : `${claim.scopeDate}///sdk_request\n`
    if (sameText(claim.signature, createHmac('sha256', key).update(`SDK-HMAC-SHA256\n${date}\n${scope}${request}`).digest('hex'))) holds = true
  }
  return holds
}

/** "20261121T094500Z" in epoch ms; null when it is not such a time. */
function parseDate(text: string): number | null {
  const p = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text)
  if (!p) return null
  const at = Date.parse(`${p[1]}-${p[2]}-${p[3]}T${p[4]}:${p[5]}:${p[6]}Z`)
  return Number.isNaN(at) ? null : at
}

function header(call: Call, name: string): string | null {
  const value = call.headers[name]
  return typeof value === 'string' ? value : null
}

function signingKey(claim: Claim, secret: string): string | Buffer {
  if (claim.scopeDate === null) return secret
  // Date, region and service, of which the last two are empty, as that client leaves them.
  return [claim.scopeDate, '', '', 'sdk_request'].reduce((key: string | Buffer, part) => createHmac('sha256', key).update(part).digest(), `SDK${secret}`)
}

/** The pairs of canonical query and body hash that a client may have signed for this call; none when the claim is unsafe. */
function payloads(claim: Claim, call: Call): [query: string, hash: string][] {
  const pairs = queryPairs(call.query)
  const query = canonicalQuery(pairs, claim.scopeDate !== null)
  const hash = sha256(call.body)
  const given = header(call, 'x-sdk-content-sha256')
  if (given === 'UNSIGNED-PAYLOAD') {
    // The SDKs do this for what is not JSON. JSON must be covered: nobody may put a body under another's signature.
    const type = header(call, 'content-type')
    const harmless = call.body.length === 0 || (type !== null && !isJson(type))
    return harmless ? [[query, given], ...(call.body.length === 0 ? [[query, hash] as [string, string]] : [])] : []
  }
  // Clients sign the header's text in place of the hash, so the text must be the hash.
  if (given !== null && given !== hash) return []
  if (claim.scopeDate !== null && call.method === 'POST' && call.body.length === 0 && pairs.length > 0) {
    // gophertelekomcloud signs the query as the body of a POST that has none, in Go's form encoding.
    return [[query, hash], ['', sha256(Buffer.from(canonicalQuery(pairs, false).replaceAll('%20', '+')))]]
  }
  return [[query, hash]]
}

function queryPairs(query: URLSearchParams): [string, string][] { return [...query.entries()] }

function canonicalQuery(pairs: readonly [string, string][], foldCase: boolean): string {
  const order = (text: string): string => foldCase ? text.toLowerCase() : text
  const sorted = pairs.toSorted(([a, x], [b, y]) => compare(order(a), order(b)) || compare(x, y))
  return sorted.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&')
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

/** Clients sign either the decoded path, encoded again, or (Node) the path as sent, encoded a second time. A slash ends it. */
function canonicalUris(path: string): string[] {
  const slashed = path.endsWith('/') ? path : `${path}/`
  const segments = slashed.split('/')
  if (!path.includes('%')) return [segments.map(encode).join('/')]
  const twice = segments.map(encode).join('/')
  try { return [segments.map((segment) => encode(decodeURIComponent(segment))).join('/'), twice] } catch { return [twice] }
}

/** Percent-encodes everything but A-Z a-z 0-9 - _ . ~ */
function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

function sha256(bytes: Buffer): string { return createHash('sha256').update(bytes).digest('hex') }
