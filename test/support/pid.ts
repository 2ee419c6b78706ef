import { readFileSync } from 'node:fs'

const withinMs = 1000

/** The process that a node's file names. While the node is started the file is empty for an instant; 0 would mean everybody here, the tests among them. */
export function pidIn(path: string): number {
  const giveUp = performance.now() + withinMs
  for (;;) {
    const pid = Number(readFileSync(path, 'utf8').split(' ')[0])
    if (pid > 0) return pid
    if (performance.now() > giveUp) throw new Error(`${path} names no process`)
  }
}
