/** The node's own log file: its last words, and its size. */
import { closeSync, copyFileSync, fstatSync, openSync, readSync, statSync, truncateSync } from 'node:fs'

const tailBytes = 16 * 1024
const rotateAtBytes = 10 * 1024 * 1024

/** The lines that explain an end: the last ones, and before them the last that says it is an error. */
export function lastLines(path: string, count = 6): string {
  const lines = tail(path).split('\n').map((line) => line.trimEnd()).filter((line) => line !== '')
  const last = lines.slice(-count)
  const error = lines.findLast((line) => /\b(ERROR|FATAL|Exception|Fatal|error:)|Failed|Could not/.test(line))
  return (error && !last.includes(error) ? [error, ...last] : last).join('\n')
}

/** Keeps one older log beside the present one. The server goes on writing to the same, emptied file. */
export function rotate(path: string): void {
  try {
    if (statSync(path).size < rotateAtBytes) return
    copyFileSync(path, `${path}.1`)
    truncateSync(path, 0)
  } catch { /* the node was just removed */ }
}

function tail(path: string): string {
  let file: number
  try { file = openSync(path, 'r') } catch { return '' }
  try {
    const { size } = fstatSync(file)
    const buffer = Buffer.alloc(Math.min(size, tailBytes))
    readSync(file, buffer, 0, buffer.length, size - buffer.length)
    return buffer.toString('utf8')
  } finally { closeSync(file) }
}
