/** Giving way, and that nobody does for ever: whoever was lowered serves as before once it is done, whatever became of who lowered it. Linux with autogroup. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { after, afterEach, before, beforeEach, describe, mock, test } from 'node:test'
import { giveWay } from '../src/runtimes/process/identity.ts'
import type { Identity } from '../src/core/runtime.ts'

describe('giving way', { skip: !existsSync('/proc/self/autogroup') }, () => {
  const nobody = 65_534
  const asRoot = process.getuid!() === 0
  const processes: ChildProcess[] = []
  let identities: readonly Identity[]
  before(async () => {
    for (let n = 0; n < 3; n += 1) processes.push(spawn('sleep', ['60'], { detached: true, stdio: 'ignore', ...asRoot ? { uid: nobody } : {} }))
    await Promise.all(processes.map((one) => once(one, 'spawn')))
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    identities = processes.map(({ pid }) => ({ pid: pid!, startedAt: `${boot} ${readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')[19]}` }))
  })
  after(() => { for (const one of processes) one.kill() })
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }))
  afterEach(() => { mock.timers.reset() })
  const shares = (): number[] => identities.map(({ pid }) => Number(/nice (\d+)/.exec(readFileSync(`/proc/${pid}/autogroup`, 'latin1'))![1]))
  const passes = (ms: number): Promise<void> => new Promise((done) => {
    const until = performance.now() + ms
    const look = (): void => { if (performance.now() > until) done(); else setImmediate(look) }
    look()
  })

  test('who is not told again is raised: a save outlasts the operation that looked, say', () => {
    const [one] = identities as [Identity]
    giveWay(one, 'all')
    mock.timers.tick(14_000)
    giveWay(one, 'all')
    mock.timers.tick(14_000)
    assert.equal(shares()[0], 10)
    mock.timers.tick(1100)
    assert.equal(shares()[0], 0)
  })

  test('who may change one session in 100 ms only raises all in the end', async () => {
    for (const one of identities) { giveWay(one, 'all'); if (!asRoot) await passes(120) }
    assert.deepEqual(shares(), [10, 10, 10])
    if (asRoot) process.seteuid!(nobody)
    try {
      for (const one of identities) giveWay(one, 'children')
      assert.notDeepEqual(shares(), [0, 0, 0], 'this kernel does not mind')
      for (let n = 0; n < 10; n += 1) { await passes(120); mock.timers.tick(110) }
      assert.deepEqual(shares(), [0, 0, 0])
    } finally { if (asRoot) process.seteuid!(0) }
  })
})
