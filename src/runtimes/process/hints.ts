/** What a server's last words do not say: who has its address. */
import { readFileSync } from 'node:fs'

/** Adds a sentence when the lines tell of an address in use. Any listener on all addresses blocks every own address. */
export function withHint(lines: string): string {
  const busy = /\b((?:\d+\.){3}\d+):(\d+)\b.*(?:Address already in use|BindException)/i.exec(lines)
  if (!busy) return lines
  const port = Number(busy[2])
  return `${lines}\n${listensEverywhere(port)
    ? `Another program listens on port ${port} of every address (0.0.0.0 or ::) and blocks ${busy[1]}: stop it, or bind it to one address, or set SLUICE_NODE_HOST and SLUICE_NODE_PORTS.`
    : `Another program listens on ${busy[1]}:${port}: stop it.`}`
}

function listensEverywhere(port: number): boolean {
  const wanted = `:${port.toString(16).padStart(4, '0').toUpperCase()}`
  return ['/proc/net/tcp', '/proc/net/tcp6'].some((file) => {
    try {
      return readFileSync(file, 'latin1').split('\n').some((line) => {
        const [, local, , state] = line.trim().split(/\s+/)
        return state === '0A' && local !== undefined && local.endsWith(wanted) && /^0+:/.test(local)
      })
    } catch { return false }
  })
}
