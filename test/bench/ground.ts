/** What the topics stand on: folders and processes of their own, and an end that leaves nothing behind. */
import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive, makeServer, processesUnder, until, type Server } from '../support/server.ts'
import { ownAddresses, releaseBlocks } from '../../src/runtimes/process/addresses.ts'

const endings: (() => Promise<void>)[] = []

/** Called once at the end of the topic, or of the whole run when it is cut short; the latest first. */
export function atEnd(ending: () => Promise<void>): void { endings.push(ending) }

/** Ends and removes everything that was made since. */
export async function endAll(): Promise<void> {
  while (endings.length > 0) await endings.pop()!().catch((error) => console.error(`bench: not cleaned up: ${(error as Error).message}`))
}

/** A folder that is removed at the end, after every process that works in it. */
export function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  atEnd(async () => {
    for (const pid of processesUnder(path)) try { process.kill(pid, 'SIGKILL') } catch { /* ended meanwhile */ }
    await until('processes to be gone', () => processesUnder(path).length === 0, 10_000)
    rmSync(path, { recursive: true, force: true, maxRetries: 5 })
  })
  return path
}

/** A whole control plane, started. */
export async function server(): Promise<Server> {
  const made = await makeServer()
  atEnd(() => made.destroy())
  await made.start()
  return made
}

/** So many loopback addresses that nobody else on this machine uses. */
export async function addresses(home: string, count: number): Promise<string[]> {
  let blocks: readonly string[] = []
  const own = await ownAddresses(home, { held: [], async remember(held) { blocks = held } })
  atEnd(async () => { own.close(); releaseBlocks(blocks) })
  const taken = new Set<string>()
  for (let n = 0; n < count; n += 1) {
    const place = await own.place({ service: 0 }, null, taken)
    if (typeof place === 'string') throw new Error(place)
    taken.add(`${place.address}:0`)
  }
  return [...taken].map((pair) => pair.slice(0, -2))
}

/** A bare server process in a directory, its words in a log there. */
export function bare(directory: string, command: string, argv: readonly string[]): { readonly child: ChildProcess; readonly ended: Promise<void> } {
  const log = openSync(join(directory, 'log'), 'a')
  const child = spawn(command, argv, { cwd: directory, stdio: ['ignore', log, log] })
  closeSync(log)
  return { child, ended: new Promise((done) => child.once('exit', () => done())) }
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

/** Rounds of A and B in turns, each going first as often as the other, until there are enough or the time is over. */
export async function rounds(limits: { readonly most: number; readonly least: number; readonly ms: number }, a: () => Promise<void>, b: () => Promise<void>): Promise<void> {
  const over = Date.now() + limits.ms
  for (let round = 0; round < limits.most && (round < limits.least || Date.now() < over); round += 1) {
    await (round % 2 === 0 ? a : b)()
    await (round % 2 === 0 ? b : a)()
  }
}

/** Runs the work for every item, so many at once. */
export async function each<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  let next = 0
  await Promise.all(Array.from({ length: atOnce }, async () => { while (next < items.length) await work(items[next++]!) }))
}

/** Sends commands to a Redis in one packet and resolves with its answers as they came; null when nobody listens or it hangs up. */
export function askRedis(host: string, secret: string, commands: readonly string[], complete: (answer: string) => boolean, port = 6379): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, noDelay: true })
    let answer = ''
    const end = (result: string | null) => (): void => { socket.destroy(); resolve(result) }
    socket.on('connect', () => socket.write([`AUTH ${secret}`, ...commands].map((line) => `${line}\r\n`).join('')))
    socket.on('data', (data) => { answer += data.toString('latin1'); if (complete(answer)) end(answer)() })
    socket.on('error', end(null)).on('close', end(null))
  })
}

/** Resolves when the Redis there says PONG, which it does not while it is loading. */
export async function pong(host: string, secret: string): Promise<void> {
  while (!(await askRedis(host, secret, ['PING'], (answer) => /PONG|LOADING|ERR|NOAUTH|WRONGPASS/.test(answer)))?.includes('PONG')) await sleep(1)
}

/** Resident memory in MB. */
export function residentMb(pid: number): number { return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024 }

/** Processor time that this process has used so far, in ms; 0 when it is gone. */
export function cpuMs(pid: number): number {
  if (!isAlive(pid)) return 0
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}
