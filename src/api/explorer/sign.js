/** Signs requests as the clouds' SDKs do (SDK-HMAC-SHA256). Plain arithmetic: browsers keep their own only for pages that came over TLS. */

const K = Uint32Array.from({ length: 64 }, (_, n) => fraction(Math.cbrt(prime(n))))
const start = Uint32Array.from({ length: 8 }, (_, n) => fraction(Math.sqrt(prime(n))))

function prime(index) {
  for (let n = 2, seen = -1; ; n += 1) {
    if (Array.from({ length: Math.floor(Math.sqrt(n)) - 1 }, (_, i) => i + 2).every((d) => n % d !== 0)) seen += 1
    if (seen === index) return n
  }
}

function fraction(x) { return Math.floor((x % 1) * 2 ** 32) }

/** Of bytes, as bytes. */
export function sha256(bytes) {
  const length = bytes.length
  const padded = new Uint8Array(Math.ceil((length + 9) / 64) * 64)
  padded.set(bytes)
  padded[length] = 0x80
  const view = new DataView(padded.buffer)
  view.setUint32(padded.length - 8, Math.floor(length / 2 ** 29))
  view.setUint32(padded.length - 4, (length << 3) >>> 0)
  const hash = start.slice()
  const w = new Uint32Array(64)
  const turn = (x, n) => (x >>> n) | (x << (32 - n))
  for (let at = 0; at < padded.length; at += 64) {
    for (let i = 0; i < 16; i += 1) w[i] = view.getUint32(at + i * 4)
    for (let i = 16; i < 64; i += 1) w[i] = w[i - 16] + (turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ (w[i - 15] >>> 3)) + w[i - 7] + (turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ (w[i - 2] >>> 10))
    let [a, b, c, d, e, f, g, h] = hash
    for (let i = 0; i < 64; i += 1) {
      const t1 = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0
      const t2 = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0
      ;[h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0]
    }
    ;[a, b, c, d, e, f, g, h].forEach((value, i) => { hash[i] += value })
  }
  const out = new DataView(new ArrayBuffer(32))
  hash.forEach((value, i) => out.setUint32(i * 4, value))
  return new Uint8Array(out.buffer)
}

function hmac(key, bytes) {
  const block = new Uint8Array(64)
  block.set(key.length > 64 ? sha256(key) : key)
  const join = (pad, rest) => { const all = new Uint8Array(64 + rest.length); all.set(block.map((byte) => byte ^ pad)); all.set(rest, 64); return all }
  return sha256(join(0x5c, sha256(join(0x36, bytes))))
}

const utf8 = (text) => new TextEncoder().encode(text)
const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
const encode = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)

/** The headers to send besides `host`, which is the browser's to send. `query`: pairs, decoded. */
export function signed({ method, host, path, query, body, accessKey, secretKey, now = new Date() }) {
  const date = now.toISOString().replace(/[-:]|\.\d+/g, '')
  const pairs = query.map(([name, value]) => [encode(name), encode(value)]).sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : 1))
  const canonical = [method, `${path.split('/').map((part) => encode(decodeURIComponent(part))).join('/').replace(/\/?$/, '/')}`, pairs.map((pair) => pair.join('=')).join('&'), `host:${host}`, `x-sdk-date:${date}`, '', 'host;x-sdk-date', hex(sha256(utf8(body)))].join('\n')
  const signature = hex(hmac(utf8(secretKey), utf8(['SDK-HMAC-SHA256', date, hex(sha256(utf8(canonical)))].join('\n'))))
  return { 'x-sdk-date': date, authorization: `SDK-HMAC-SHA256 Access=${accessKey}, SignedHeaders=host;x-sdk-date, Signature=${signature}` }
}
