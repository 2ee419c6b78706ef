/** The node's own log file: its last words, and its size. */
import { closeSync, copyFileSync, fstatSync, openSync, readSync, statSync, truncateSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LogRequest } from '../../core/runtime.ts'

const tailBytes = 16 * 1024
/** A person reads along; nobody needs it sooner. */
const followEveryMs = 200
const rotateAtBytes = 10 * 1024 * 1024

/** The lines that explain an end: the last ones, and before them the last that says it is an error. */
export function lastLines(path: string, count = 6): string {
  const lines = tail(path).split('\n').map((line) => line.trimEnd()).filter((line) => line !== '')
  // Java prints where it happened, line by line; what happened stands above that.
  const words = lines.filter((line) => !/^\s+at |^\s+\.\.\. \d+ more/.test(line))
  const last = words.slice(-count)
  const error = words.findLast((line) => /\b(ERROR|FATAL|Fatal|error:)|\w*(Exception|Error): |Failed|Could not/.test(line))
  return (error && !last.includes(error) ? [error, ...last] : last).join('\n')
}

/** The last lines, then what is added; a log that was emptied is read from its start again. */
export async function* read(path: string, { lines, follow, signal }: LogRequest): AsyncGenerator<string> {
  const first = tail(path, tailBytes * 64).split('\n')
  yield first.slice(-lines - 1).join('\n')
  let position = sizeOf(path)
  while (follow && !signal.aborted) {
    await sleep(followEveryMs, undefined, { signal }).catch(() => {})
    const size = sizeOf(path)
    if (size < position) position = 0
    if (size > position) yield tail(path, size - position)
    position = size
  }
}

/** Keeps one older log beside the present one. The server goes on writing to the same, emptied file. */
export function rotate(path: string): void {
  try {
    if (statSync(path).size < rotateAtBytes) return
    copyFileSync(path, `${path}.1`)
    truncateSync(path, 0)
  } catch { /* the node was just removed */ }
}

function sizeOf(path: string): number {
  try { return statSync(path).size } catch { return 0 }
}

function tail(path: string, most = tailBytes): string {
  let file: number
  try { file = openSync(path, 'r') } catch { return '' }
  try {
    const { size } = fstatSync(file)
    const buffer = Buffer.alloc(Math.min(size, most))
    readSync(file, buffer, 0, buffer.length, size - buffer.length)
    return buffer.toString('utf8')
  } finally { closeSync(file) }
}
