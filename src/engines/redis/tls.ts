/**
 * Servers listen for plain text or for TLS, never for both, and on the same port either way. Nodes copy from each other the
 * same way as clients come, for there is no other listener.
 */
import { checkpoint } from '../../core/checkpoint.ts'
import { TerminalError } from '../../core/operation.ts'
import { all, type Session } from './client.ts'
import type { Certificate, Spec } from '../../core/instance.ts'
import type { RedisSecrets } from './layout.ts'

/** The setting with the port that a server listens on; the other one is 0. */
export type Listens = 'port' | 'tls-port'

/** In the node's folder. Key and certificate are one file, so that one rename replaces both. */
const [pairFile, authorityFile] = ['tls.pem', 'authority.pem'] as const
/** As a server sees them, whose folder of data is beside. */
const settings = [['tls-cert-file', `../${pairFile}`], ['tls-key-file', `../${pairFile}`], ['tls-ca-cert-file', `../${authorityFile}`], ['tls-auth-clients', 'no']] as const

export const listensFor = ({ tls }: Pick<Spec, 'tls'>): Listens => tls ? 'tls-port' : 'port'

/** Lines of redis.conf. */
export function listeners({ tls }: Pick<Spec, 'tls'>, port: number): readonly string[] {
  return tls ? ['port 0', `tls-port ${port}`, ...settings.map((one) => one.join(' ')), 'tls-replication yes'] : [`port ${port}`]
}

export function certificateFiles({ tls }: Pick<Spec, 'tls'>, secrets: Pick<RedisSecrets, 'open'>): Readonly<Record<string, string>> {
  return tls ? { [pairFile]: `${secrets.open(tls.sealedKey)}${tls.certificate}`, [authorityFile]: tls.authority } : {}
}

/** What a node has no use for without TLS. */
export const leftFiles: readonly string[] = [pairFile, authorityFile]

/** Asks where a server listens; what it answers is read by `listenerIn`. */
export const askListener = [['CONFIG', 'GET', 'port'], ['CONFIG', 'GET', 'tls-port']] as const
/** A Redis that was built without TLS knows the first setting only. */
export function listenerIn([plain, tls]: readonly (readonly string[])[]): { readonly listens: Listens; readonly port: string } {
  return (tls![1] ?? '0') === '0' ? { listens: 'port', port: plain![1]! } : { listens: 'tls-port', port: tls![1]! }
}

/** Has a server read the files that are in its folder now: from the next connection on it shows that certificate. */
export async function showCertificate({ redis, info }: Session, ordinal: number, { addresses }: Certificate): Promise<void> {
  // The port of a cluster's own traffic could not be said to an older one, which counts from a port that is 0.
  if (info('redis_mode') === 'cluster' && Number.parseInt(info('redis_version') ?? '') < 7) throw new TerminalError(`node ${ordinal} runs Redis ${info('redis_version')}, and a cluster with TLS needs 7.0 or later`)
  try { await all(redis, settings.map((one) => ['CONFIG', 'SET', ...one])) } catch (error) {
    throw new TerminalError(`node ${ordinal} does not take a certificate for ${addresses[0]}: ${(error as Error).message}`)
  }
  checkpoint('engine.certified')
}
