/** Clients of a Redis that come from an address of their choice, and the rules that keep some of them away. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { tableOf } from '../../src/runtimes/process/screen.ts'
import { until, type Server } from './server.ts'

export interface Visitor {
  /** Answers one command, as redis-cli would say it; throws when the connection is cut. */
  ask(...words: string[]): Promise<string>
  /** Everything that came. */
  heard(): string
  /** Why it was cut; null while it is open. */
  cut(): string | null
  leave(): void
}

/** Connects and logs in; throws the code of the error that kept it out. */
export async function visit(place: { ip: string; port: number }, from: string | undefined, password: string): Promise<Visitor> {
  let [heard, end]: [string, string | null] = ['', null]
  const socket = connect({ host: place.ip, port: place.port, ...from === undefined ? {} : { localAddress: from } })
  socket.setNoDelay(true).on('data', (data) => { heard += data }).on('close', () => { end ??= 'closed' })
  await new Promise<void>((resolve, reject) => { socket.once('connect', resolve).once('error', reject) }).catch((error) => { throw new Error(error.code) })
  socket.on('error', (error: NodeJS.ErrnoException) => { end = error.code ?? 'error' })
  const visitor: Visitor = {
    async ask(...words) {
      const before = heard.length
      socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`)
      await until('an answer', () => heard.length > before || end !== null, 5000, 1)
      if (end !== null) throw new Error(end)
      return heard.slice(before)
    },
    heard: () => heard, cut: () => end,
    leave() { socket.destroy() },
  }
  await visitor.ask('AUTH', password)
  return visitor
}

/** Whether a client from there gets an answer. */
export async function letsIn(place: { ip: string; port: number }, from: string | undefined, password: string): Promise<boolean> {
  try {
    const visitor = await visit(place, from, password)
    try { return (await visitor.ask('PING')).includes('PONG') } finally { visitor.leave() }
  } catch (error) {
    if (/ECONNREFUSED|ECONNRESET|closed/.test((error as Error).message)) return false
    throw error
  }
}

/** Runs nft and answers what it said; throws with its complaint. Whitelists need root. */
export function nft(...words: string[]): string {
  const done = spawnSync('nft', words, { encoding: 'utf8', env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` } })
  if (done.error) throw new Error(`this test needs nftables: run npm run engines as root, or install the package nftables (${done.error.message})`)
  if (done.status !== 0) throw new Error(`nft ${words.join(' ')}: ${done.stderr}`)
  return done.stdout
}

/** The table of a server's rules. */
export function table({ home }: Pick<Server, 'home'>): string { return tableOf(readFileSync(join(home, 'host-id'), 'utf8').trim()) }
