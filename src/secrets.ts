/** The master key and what is derived from it. Nothing here is ever logged. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { keptOnce } from './kept.ts'

export interface Secrets {
  /** Encrypts a text for the database: "v1.<nonce>.<tag>.<ciphertext>", base64url. */
  seal(text: string): string
  /** Throws when the text was sealed with another key. */
  open(sealed: string): string
  /** A secret of its own for a purpose: stable for the life of the master key. */
  derive(purpose: string): Buffer
}

/** Uses SLUICE_MASTER_KEY, else the home's key file, mode 0600, made on first use. */
export function readSecrets(home: string, masterKey: string | null): Secrets {
  const master = masterBytes(home, masterKey)
  const derived = new Map<string, Buffer>()
  const derive = (purpose: string): Buffer => {
    // Asked at every look at an instance; some hundred bytes each are cheaper than as many key derivations a second.
    const known = derived.get(purpose) ?? Buffer.from(hkdfSync('sha256', master, Buffer.alloc(0), `sluice ${purpose}`, 32))
    derived.set(purpose, known)
    return known
  }
  const sealing = derive('seal')
  return {
    derive,
    seal(text) {
      const nonce = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', sealing, nonce)
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return ['v1', nonce.toString('base64url'), cipher.getAuthTag().toString('base64url'), body.toString('base64url')].join('.')
    },
    open(sealed) {
      const [version, nonce, tag, body] = sealed.split('.')
      if (version !== 'v1') throw new Error('a stored secret has an unknown form')
      const decipher = createDecipheriv('aes-256-gcm', sealing, Buffer.from(nonce!, 'base64url')).setAuthTag(Buffer.from(tag!, 'base64url'))
      try { return decipher.update(body!, 'base64url', 'utf8') + decipher.final('utf8') } catch { throw new Error('a stored secret cannot be opened: SLUICE_MASTER_KEY, or master.key in the home, is not the one it was sealed with') }
    },
  }
}

/** The master key itself, for a backup of it. */
export function masterBytes(home: string, masterKey: string | null): Buffer {
  return masterKey === null ? keyFile(join(home, 'master.key')) : Buffer.from(masterKey, 'utf8')
}

function keyFile(path: string): Buffer {
  return Buffer.from(keptOnce(path, () => `${randomBytes(32).toString('base64url')}\n`).trim(), 'base64url')
}
