/**
 * Preloaded into a server by the crash tests: does something at the n-th checkpoint after it was armed. Armed means that
 * the file CRASH_FILE exists; its text is `n`, or a checkpoint's name for the first time that it is passed, and what to do, by default `end`: the control plane ends with SIGKILL.
 * `@NAME` before that: only checkpoints of this name count. `freeze MS`: it is stopped for so long. `kill FILE`, `stop FILE`, `freeze MS FILE`: the process of that pid file instead.
 * Each checkpoint passed while armed is written to `CRASH_FILE.passed`, with the time.
 */
import { spawn } from 'node:child_process'
import { subscribe } from 'node:diagnostics_channel'
import { appendFileSync, readFileSync, statSync } from 'node:fs'
import { pidIn } from '../support/pid.ts'

const file = process.env['CRASH_FILE']!
let passed = 0
let armed = ''
let done = false

subscribe('sluice:checkpoint', (name) => {
  let [order, arming] = ['', '']
  // The same order written again counts from the beginning.
  try { [order, arming] = [readFileSync(file, 'utf8'), String(statSync(file).mtimeMs)] } catch { return }
  if (arming !== armed) [passed, armed, done] = [0, arming, false]
  const [at, ...rest] = order.split(' ')
  const only = rest[0]?.startsWith('@') ? rest.shift()!.slice(1) : null
  if (only !== null && only !== name) return
  passed += 1
  appendFileSync(`${file}.passed`, `${passed} ${String(name)} ${performance.timeOrigin + performance.now()}\n`)
  if (done || passed !== Number(at) && name !== at) return
  done = true
  act(rest)
})

function act([how = 'end', ...rest]: readonly string[]): void {
  const path = rest[how === 'freeze' ? 1 : 0]
  const pid = path === undefined ? process.pid : pidIn(path)
  // Somebody else must wake us. In a session of its own, or it would be stopped with us.
  if (how === 'freeze') spawn('sh', ['-c', `sleep ${Number(rest[0]) / 1000}; kill -CONT ${pid}`], { detached: true, stdio: 'ignore' }).unref()
  try { process.kill(pid, how === 'freeze' || how === 'stop' ? 'SIGSTOP' : 'SIGKILL') } catch { /* It had ended already. */ }
}
