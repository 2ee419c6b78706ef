/** Signs requests as the clouds' clients do, written from their description and apart from the server's own code. */
import { createHash, createHmac } from 'node:crypto'

export interface Signable { readonly method: string; readonly path: string; readonly headers: Readonly<Record<string, string>>; readonly body: string }

const sha = (text: string): string => createHash('sha256').update(text).digest('hex')
const mac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
const escape = (text: string): string => [...Buffer.from(text)].map((byte) => /[A-Za-z0-9\-_.~]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')

/** "20261121T094500Z". */
export function sdkDate(at: number): string { return new Date(at).toISOString().replace(/\.\d+/, '').replaceAll(/[-:]/g, '') }

/** The headers to send: those given, x-sdk-date and Authorization. Every given header is signed. */
export function sign(request: Signable, key: { readonly access: string; readonly secret: string }, at: number, form: 'access' | 'credential' = 'access'): Record<string, string> {
  const date = sdkDate(at)
  const headers: Record<string, string> = { ...request.headers, 'x-sdk-date': date }
  const names = Object.keys(headers).map((name) => name.toLowerCase()).sort()
  const [path, search] = request.path.split('?') as [string, string | undefined]
  const uri = `${path.split('/').map((segment) => escape(decodeURIComponent(segment))).join('/')}/`
  const pairs = [...new URLSearchParams(search ?? '')].map(([name, value]) => [name, value] as const).sort(([a, x], [b, y]) => a < b || a === b && x < y ? -1 : 1)
  const hidden = form === 'credential' && request.method === 'POST' && request.body === ''
  const query = hidden ? '' : pairs.map(([name, value]) => `${escape(name)}=${escape(value)}`).join('&')
  const payload = hidden ? pairs.map(([name, value]) => `${escape(name)}=${escape(value)}`.replaceAll('%20', '+')).join('&') : request.body
  const canonical = [request.method, uri, query, ...names.map((name) => `${name}:${headers[name]!.trim()}`), '', names.join(';'), headers['x-sdk-content-sha256'] ?? sha(payload)].join('\n')
  const scope = `${date.slice(0, 8)}///sdk_request`
  const text = form === 'access' ? `SDK-HMAC-SHA256\n${date}\n${sha(canonical)}` : `SDK-HMAC-SHA256\n${date}\n${scope}\n${sha(canonical)}`
  const secret = form === 'access' ? key.secret : mac(mac(mac(mac(`SDK${key.secret}`, date.slice(0, 8)), ''), ''), 'sdk_request')
  const who = form === 'access' ? `Access=${key.access}` : `Credential=${key.access}/${scope}`
  return { ...headers, authorization: `SDK-HMAC-SHA256 ${who}, SignedHeaders=${names.join(';')}, Signature=${mac(secret, text).toString('hex')}` }
}
