/** Small files of a home that are made once, by whoever comes first, and stay as they are. */
import { randomUUID } from 'node:crypto'
import { existsSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'

/** The text of the file, made if it is not there yet; of two that make it at once one wins, and both read that. */
export function keptOnce(path: string, make: () => string): string {
  if (!existsSync(path)) {
    const whole = writeAside(path, make())
    // Unlike a rename, a link does not replace what somebody else has made meanwhile.
    try { linkSync(whole, path) } catch (error) { if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error } finally { rmSync(whole) }
  }
  return readFileSync(path, 'utf8')
}

/** Replaces the file as a whole, for its owner only: nobody reads half of it. */
export function keepWhole(path: string, text: string): void { renameSync(writeAside(path, text), path) }

function writeAside(path: string, text: string): string {
  const aside = `${path}.${randomUUID()}`
  writeFileSync(aside, text, { mode: 0o600 })
  return aside
}
