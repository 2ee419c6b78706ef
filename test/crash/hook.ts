/**
 * Preloaded into a server by the crash tests: ends it with SIGKILL at the n-th checkpoint after it was armed. Armed means
 * that the file CRASH_FILE exists; its text is n. Each checkpoint passed while armed is written to `CRASH_FILE.passed`.
 */
import { subscribe } from 'node:diagnostics_channel'
import { appendFileSync, readFileSync } from 'node:fs'

const file = process.env['CRASH_FILE']!
let passed = 0

subscribe('sluice:checkpoint', (name) => {
  let at: number
  try { at = Number(readFileSync(file, 'utf8')) } catch { return }
  passed += 1
  appendFileSync(`${file}.passed`, `${passed} ${String(name)}\n`)
  if (passed === at) process.kill(process.pid, 'SIGKILL')
})
