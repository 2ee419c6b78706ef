/** The certificate that every listener shows, taken anew when its files are renewed. */
import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { Config } from '../config.ts'
import type { Logger } from '../core/logger.ts'

type Paths = NonNullable<Config['tls']>

export interface Pair { readonly cert: Buffer; readonly key: Buffer }

/** Renewals are no hurry: certificates are renewed weeks before they end. */
const lookEveryMs = 2000

/** Reads both files. Throws a sentence when one cannot be read, or they do not belong together. */
export function readPair(paths: Paths): Pair {
  const pair = { cert: read('SLUICE_TLS_CERT', paths.cert), key: read('SLUICE_TLS_KEY', paths.key) }
  try { createSecureContext(pair) } catch (error) {
    throw new Error(`the certificate in ${paths.cert} and the key in ${paths.key} cannot be used together: ${(error as Error).message}`)
  }
  return pair
}

/** Calls `renewed` when the files have changed and fit. One that is half written is no pair, and what was there stays. */
export function watchPair(paths: Paths, log: Logger, renewed: (pair: Pair) => void): { close(): void } {
  let shown = readPair(paths)
  const look = (): void => {
    let pair: Pair
    try { pair = readPair(paths) } catch (error) { return log.warn({ reason: (error as Error).message }, 'a renewed certificate cannot be used; the one before stays') }
    if (pair.cert.equals(shown.cert) && pair.key.equals(shown.key)) return
    shown = pair
    log.info({ certificate: paths.cert }, 'the renewed certificate is shown from now on')
    renewed(pair)
  }
  // By looking, not by the kernel's notices: a mounted secret is renewed by moving a link two folders above.
  for (const path of [paths.cert, paths.key]) watchFile(path, { interval: lookEveryMs, persistent: false }, look)
  return { close() { for (const path of [paths.cert, paths.key]) unwatchFile(path, look) } }
}

function read(name: string, path: string): Buffer {
  try { return readFileSync(path) } catch (error) { throw new Error(`${name} ${path} cannot be read: ${(error as Error).message}`) }
}
