/** Who issues the certificates of instances: one authority for each database, made when the first one is needed. */
import { createPrivateKey } from 'node:crypto'
import { issue, makeAuthority } from './certificates.ts'
import { offerSetting, readSetting } from './store/settings.ts'
import type { Database } from './store/database.ts'
import type { Certificate } from './core/instance.ts'

export interface AuthorityParts {
  readonly db: Database
  readonly seal: (text: string) => string
  readonly open: (sealed: string) => string
}

export interface Authority {
  /** Its certificate as PEM, which clients need. */
  certificate(): Promise<string>
  /** A new certificate for the servers of an instance, for all addresses by which they are reached. */
  issue(instanceId: string, addresses: readonly string[]): Promise<Certificate>
}

/** Clients have a copy of it, so it lasts as long as anything here. */
const authorityYears = 20
const yearMs = 365 * 24 * 3600_000
/** Renewed by itself long before that: see calendar.ts. */
const lastsMs = yearMs
export const renewedBeforeMs = lastsMs / 3

interface Kept { readonly name: string; readonly certificate: string; readonly sealedKey: string; readonly expiresAt: number }
const settingName = 'certificate authority'

export function certificateAuthority({ db, seal, open }: AuthorityParts): Authority {
  let found: Promise<Kept> | null = null
  function known(): Promise<Kept> {
    found ??= read()
    found.catch(() => { found = null })
    return found
  }
  async function read(): Promise<Kept> {
    const kept = await readSetting<Kept | null>(db, settingName, null)
    if (kept) return kept
    const [now, name] = [Date.now(), 'Sluice certificate authority']
    const expiresAt = now + authorityYears * yearMs
    const { certificate, key } = makeAuthority(name, now, expiresAt)
    // Another control plane may have been first, and then its one counts.
    return offerSetting<Kept>(db, settingName, { name, certificate, sealedKey: seal(key), expiresAt })
  }
  return {
    async certificate() { return (await known()).certificate },
    async issue(instanceId, addresses) {
      const authority = await known()
      const now = Date.now()
      // None outlives who issued it.
      const expiresAt = Math.min(now + lastsMs, authority.expiresAt)
      const { certificate, key } = issue(`redis ${instanceId}`, addresses, now, expiresAt, createPrivateKey(open(authority.sealedKey)), authority.name)
      return { certificate, authority: authority.certificate, sealedKey: seal(key), addresses, expiresAt }
    },
  }
}
