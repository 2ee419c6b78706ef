/** Waiting for servers, and finding ports for them. */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Asks until the answer is true; network errors are no answer. 120 s is more than any step here needs on a slow machine. */
export async function until<T>(look: () => Promise<T | false>, everyMs = 25): Promise<T> {
  const giveUp = Date.now() + 120_000
  for (let last: unknown; ; await sleep(everyMs)) {
    try { const value = await look(); if (value) return value } catch (error) { if (!(error as { cause?: unknown }).cause) throw error; last = error }
    if (Date.now() > giveUp) throw last ?? new Error('it took longer than 120 s')
  }
}

/** The first of six ports in a row on which nobody listens, in steps of ten. */
export async function freeBase(first: number): Promise<number> {
  for (let port = first; ; port += 10) {
    const open = await Promise.all([0, 1, 2, 3, 4, 5].map((k) => new Promise<boolean>((done) => { const s = connect(port + k, '127.0.0.1'); s.on('connect', () => { s.destroy(); done(true) }); s.on('error', () => done(false)) })))
    if (!open.includes(true)) return port
  }
}
