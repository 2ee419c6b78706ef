/** Who a process is: a number alone is reused, so its start time and the machine's boot count as well. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { platform, setPriority } from 'node:os'
import type { Identity } from '../../core/runtime.ts'

export interface PidFile extends Identity { readonly generation: number }

/** What the launcher wrote: "pid generation boot start"; null while it is absent or half written. */
export function readPidFile(path: string): PidFile | null {
  let text: string
  try { text = readFileSync(path, 'utf8') } catch { return null }
  const match = /^(\d+) (\d+) (\S+) (.+)\n$/.exec(text)
  return match ? { pid: Number(match[1]), generation: Number(match[2]), startedAt: `${match[3]} ${match[4]!.trim()}` } : null
}

/** Whether exactly this process still runs. A zombie does not. */
export function isAlive(identity: Identity): boolean {
  const now = look(identity.pid)
  return now !== null && `${bootId()} ${now}` === identity.startedAt
}

/** Sends a signal to the process group that this process leads, if it is still this process. Its fork children go with it. */
export function signalGroup(identity: Identity, signal: NodeJS.Signals): boolean {
  return isAlive(identity) && send(-identity.pid, signal)
}

/** Sends a signal to this process alone. */
export function signalProcess(identity: Identity, signal: NodeJS.Signals): boolean {
  return isAlive(identity) && send(identity.pid, signal)
}

/** Resident memory in bytes; null where the platform does not say. */
export function residentBytes(pid: number): number | null {
  try { return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024 || null } catch { return null }
}

/** A tenth of what a server gets where both want the same processor; all of it where nobody else does. */
const lowNiceness = 10
/** Whoever is not told again within this is raised: what it prepared is over, was cancelled, or nobody looks after it any more. Looks are some milliseconds apart, and seconds where a node hangs. */
const lowForMs = 15_000
/** Linux lets those who may not administer the machine change one session every 100 ms, of all there are. */
const againMs = 110
/** What is still to be done about the share of a process's session, by its number. */
const pending = new Map<number, NodeJS.Timeout>()

/**
 * Lowers the priority of all that this process has forked, and of the process itself or not. Linux only; what has ended meanwhile
 * needs none. The kernel shares processors among sessions first (sched(7), autogroup), and a session's share may be raised again by whoever
 * lowered it, which a niceness may not.
 */
export function giveWay(identity: Identity, who: 'all' | 'children'): void {
  const { pid } = identity
  clearTimeout(pending.get(pid))
  pending.delete(pid)
  if (!isAlive(identity)) return
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
    for (const child of children.split(' ').filter(Boolean)) setPriority(Number(child), lowNiceness)
  } catch { /* Ended, or a kernel that does not say. */ }
  const done = share(pid, who === 'all' ? lowNiceness : 0)
  if (done && who === 'children') return
  pending.set(pid, setTimeout(() => giveWay(identity, done ? 'children' : who), done ? lowForMs : againMs).unref())
}

/** Gives a process's session so much of the processors; false when it has to be asked again later. */
function share(pid: number, niceness: number): boolean {
  const path = `/proc/${pid}/autogroup`
  try {
    if (/nice (-?\d+)/.exec(readFileSync(path, 'latin1'))?.[1] !== String(niceness)) writeFileSync(path, String(niceness))
    return true
  } catch (error) { return (error as NodeJS.ErrnoException).code !== 'EAGAIN' }
}

/** Processes that hold the launcher's descriptor on this lock file: servers, their fork children, launchers. Linux only. */
export function lockHolders(lockPath: string): number[] {
  if (platform() !== 'linux') return []
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((pid) => {
    try {
      const target = readlinkSync(`/proc/${pid}/fd/9`)
      return target === lockPath || target === `${lockPath} (deleted)`
    } catch { return false }
  }).map(Number)
}

/** SIGKILL to one process by number; for lock holders only, which were found by what they hold open. */
export function killHolder(pid: number): void { send(pid, 'SIGKILL') }

function send(target: number, signal: NodeJS.Signals): boolean {
  try { process.kill(target, signal); return true } catch { return false }
}

/** The start time of a living process in the platform's own unit, or null. */
function look(pid: number): string | null {
  if (platform() === 'linux') {
    try {
      // As UTF-8, which Node reads in one call: this is looked at more often than anything else.
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      // The first thread of a Java may be gone while others still hold its files and ports.
      if (fields[0] === 'X' || (fields[0] === 'Z' && readdirSync(`/proc/${pid}/task`).length <= 1)) return null
      return fields[19]!
    } catch { return null }
  }
  try {
    const line = execFileSync('ps', ['-o', 'state=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim()
    return line.startsWith('Z') ? null : line.replace(/^\S+\s+/, '')
  } catch { return null }
}

let boot: string | undefined
function bootId(): string {
  boot ??= platform() === 'linux'
    ? readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    : /\d+/.exec(execFileSync('sysctl', ['-n', 'kern.boottime'], { encoding: 'utf8' }))![0]
  return boot
}
