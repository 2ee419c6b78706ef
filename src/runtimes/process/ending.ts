/** How the process of a node ends: when it is asked, or by force. */
import { setTimeout as sleep } from 'node:timers/promises'
import { checkpoint } from '../../core/checkpoint.ts'
import { fence } from '../../core/fence.ts'
import { isAlive, signalGroup, signalProcess, type PidFile } from './identity.ts'

/** A killed process is gone within milliseconds unless the disk hangs; then an error says so and the step is tried again. */
const killedWithinMs = 10_000

/** Asks, waits, then kills the whole group; returns when the process is gone. `ours`: those that end by themselves, of which this is none any more. */
export async function end(file: PidFile, graceMs: number, ours: Set<number>): Promise<void> {
  fence()
  ours.delete(file.pid)
  if (graceMs > 0 && signalProcess(file, 'SIGTERM') && await gone(file, graceMs)) return
  fence()
  signalGroup(file, 'SIGKILL')
  checkpoint('runtime.signalled')
  if (!await gone(file, killedWithinMs)) throw new Error(`process ${file.pid} does not end although it was killed: the disk may hang`)
}

async function gone(file: PidFile, withinMs: number): Promise<boolean> {
  const giveUp = Date.now() + withinMs
  for (let pause = 1; isAlive(file); pause = Math.min(pause * 1.5, 25)) {
    if (Date.now() > giveUp) return false
    await sleep(pause)
  }
  return true
}
