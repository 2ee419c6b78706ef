/**
 * X.509 certificates (RFC 5280) with keys on P-256: an authority's own, and those that it issues. Node reads certificates
 * and signs, but writes none; what is missing is the form, below. Nothing that somebody sent is read here. Why no library:
 * docs/decisions/0022.
 */
import { createHash, createPublicKey, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { isIP } from 'node:net'

export interface Pair { /** PEM. */ readonly certificate: string; /** PEM, PKCS #8. */ readonly key: string }

const dayMs = 24 * 3600_000
/** A clock that is behind ours must not find it not begun. */
const backdatedMs = dayMs

/** An authority that signs servers' certificates and no other authority's. `until`: epoch ms. */
export function makeAuthority(name: string, now: number, until: number): Pair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const id = keyId(publicKey)
  const extensions = [
    extension('551d13', true, sequence(der(0x01, Buffer.of(0xff)), integer(Buffer.of(0)))),
    // To sign certificates, and lists of those that do not count any more.
    extension('551d0f', true, der(0x03, Buffer.of(1, 0x06))),
    extension('551d0e', false, der(0x04, id)),
  ]
  return made({ subject: name, issuer: name, now, until, key: privateKey, publicKey, extensions, by: privateKey })
}

/** A certificate for a server at these addresses, with a key of its own. `by`: the authority. `until`: epoch ms. */
export function issue(name: string, addresses: readonly string[], now: number, until: number, by: KeyObject, issuer: string): Pair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const extensions = [
    extension('551d13', true, sequence()),
    extension('551d0f', true, der(0x03, Buffer.of(7, 0x80))),
    // Servers also connect to each other, to copy.
    extension('551d25', false, sequence(oid('2b06010505070301'), oid('2b06010505070302'))),
    extension('551d11', false, sequence(...addresses.map((address) => der(0x87, addressBytes(address))))),
    extension('551d0e', false, der(0x04, keyId(publicKey))),
    extension('551d23', false, sequence(der(0x80, keyId(createPublicKey(by))))),
  ]
  return made({ subject: name, issuer, now, until, key: privateKey, publicKey, extensions, by })
}

interface Parts { readonly subject: string; readonly issuer: string; readonly now: number; readonly until: number; readonly key: KeyObject; readonly publicKey: KeyObject; readonly extensions: readonly Buffer[]; readonly by: KeyObject }

function made({ subject, issuer, now, until, key, publicKey, extensions, by }: Parts): Pair {
  const signedWith = sequence(oid('2a8648ce3d040302'))
  // Chance, positive, and never with a zero in front.
  const serial = randomBytes(16)
  serial[0] = serial[0]! & 0x3f | 0x40
  const body = sequence(
    der(0xa0, integer(Buffer.of(2))), integer(serial), signedWith, nameOf(issuer), sequence(time(now - backdatedMs), time(until)), nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }), der(0xa3, sequence(...extensions)),
  )
  const whole = sequence(body, signedWith, der(0x03, Buffer.of(0), sign('sha256', body, by)))
  return { certificate: `-----BEGIN CERTIFICATE-----\n${whole.toString('base64').replaceAll(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`, key: String(key.export({ type: 'pkcs8', format: 'pem' })) }
}

function keyId(publicKey: KeyObject): Buffer { return createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' })).digest().subarray(0, 20) }

/** DER: a tag, how long it is, and what it is. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const digits = Buffer.from(body.length.toString(16).padStart(body.length > 0xff ? 4 : 2, '0'), 'hex')
  return Buffer.concat([Buffer.of(tag), body.length < 0x80 ? digits : Buffer.concat([Buffer.of(0x80 | digits.length), digits]), body])
}
function sequence(...parts: readonly Buffer[]): Buffer { return der(0x30, ...parts) }
function integer(bytes: Buffer): Buffer { return der(0x02, bytes) }
function oid(hex: string): Buffer { return der(0x06, Buffer.from(hex, 'hex')) }
function extension(id: string, critical: boolean, value: Buffer): Buffer { return sequence(oid(id), ...critical ? [der(0x01, Buffer.of(0xff))] : [], der(0x04, value)) }
/** A common name, which has at most 64 characters. */
function nameOf(name: string): Buffer { return sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(name.slice(0, 64)))))) }
/** Two digits of the year until 2049, four from then on. */
function time(at: number): Buffer {
  const digits = `${new Date(at).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`
  return digits < '2050' ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits))
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  // In the URL's form, which has no dots; one run of zeros may be left out.
  const [head, tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::').map((part) => part.split(':').filter(Boolean)) as [string[], string[]?]
  const groups = tail ? [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail] : head
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex')
}
