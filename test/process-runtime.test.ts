/** The runtime contract, by plain processes, in both ways of addressing nodes. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { locateRedis } from '../src/engines/redis/program.ts'
import { spawner } from '../src/runtimes/process/spawner.ts'
import { processRuntime } from '../src/runtimes/process/index.ts'
import { ownAddresses, releaseBlocks, sharedAddress } from '../src/runtimes/process/addresses.ts'
import { readConfig } from '../src/config.ts'
import { processesUnder, until } from './support/server.ts'
import { runtimeContract } from './contracts/runtime.ts'
import type { Addresses } from '../src/core/addresses.ts'

const locate = locateRedis(readConfig(process.env).programs)

for (const mode of ['own', 'shared'] as const) {
  runtimeContract(`process runtime, ${mode === 'own' ? 'an address of its own for each node' : 'one host with a range of ports'}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-runtime-'))
    let blocks: readonly string[] = []
    const addresses: Addresses = mode === 'own'
      ? await ownAddresses(folder, { held: [], async remember(held) { blocks = [...held] } })
      : sharedAddress({ kind: 'shared', host: '127.0.0.1', firstPort: 21_000, lastPort: 21_400 }, [])
    const taken = new Set<string>()
    const again = () => processRuntime(join(folder, 'nodes'), locate)
    return {
      runtime: again(), again,
      async place(_instanceId, _nodeId, again) {
        if (again) return again
        const place = await addresses.place({ service: 6379 }, null, taken)
        if (typeof place === 'string') throw new Error(place)
        const { address, ports } = place
        taken.add(`${address}:${ports['service']}`)
        return { address, port: ports['service']! }
      },
      alive: async () => processesUnder(folder).length,
      async crash(_spec, { identity }) { process.kill(identity!.pid, 'SIGKILL') },
      sizeOf: async (spec, path) => statSync(join(folder, 'nodes', spec.id, path), { throwIfNoEntry: false })?.size ?? null,
      forge(spec) {
        const path = join(folder, 'nodes', spec.id, 'pid')
        writeFileSync(path, readFileSync(path, 'utf8').replace(/^\d+/, String(process.pid)))
      },
      async destroy() {
        for (const pid of processesUnder(folder)) process.kill(pid, 'SIGKILL')
        await until('processes to end', () => processesUnder(folder).length === 0)
        addresses.close()
        releaseBlocks(blocks)
        rmSync(folder, { recursive: true, force: true })
      },
    }
  })
}

test('two homes never get the same block of addresses, and a block is guarded while its server lives', async () => {
  const held: string[][] = []
  const homes = Array.from({ length: 5 }, () => mkdtempSync(join(tmpdir(), 'sluice-home-')))
  const all = await Promise.all(homes.map((home, i) => ownAddresses(home, { held: [], async remember(blocks) { held[i] = [...blocks] } })))
  const places = await Promise.all(all.map((addresses) => addresses.place({ service: 6379 }, null, new Set())))
  assert.equal(new Set(places.map((place) => typeof place === 'string' ? place : place.address)).size, 5)
  await assert.rejects(ownAddresses(homes[1]!, { held: held[0]!, async remember() {} }), /another Sluice server uses/)
  for (const addresses of all) addresses.close()
  const back = await until('the guard to go', () => ownAddresses(homes[0]!, { held: held[0]!, async remember() {} }).catch(() => null))
  assert.deepEqual(await back.place({ service: 6379 }, 7000, new Set()), { address: (places[0] as { address: string }).address, ports: { service: 7000 } })
  back.close()
  releaseBlocks(held.flat())
  for (const home of homes) rmSync(home, { recursive: true })
})

test('a log that grew too large is kept once beside an emptied one, and a reader that follows goes on', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-log-'))
  const runtime = processRuntime(folder, locate)
  const { appendFileSync, statSync } = await import('node:fs')
  mkdirSync(join(folder, 'n-0'))
  const path = join(folder, 'n-0', 'log')
  appendFileSync(path, `${'x'.repeat(1023)}\n`.repeat(10_300))
  const leave = new AbortController()
  let text = ''
  const reading = (async () => { for await (const chunk of runtime.logs('n-0', { lines: 1, follow: true, signal: leave.signal })) text += chunk })()
  await until('the first lines', () => text.length > 0)
  runtime.rotateLogs()
  assert.equal(statSync(path).size, 0)
  assert.ok(statSync(`${path}.1`).size > 10_000_000)
  await until('the emptied log to be seen', () => true)
  appendFileSync(path, 'after the rotation\n')
  await until('the new line', () => text.includes('after the rotation'))
  leave.abort()
  await reading
  rmSync(folder, { recursive: true })
})

test('when somebody kills the helper that starts servers, they run on and the next launch gets another helper', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-spawner-'))
  const spawning = spawner()
  const launch = async (name: string, command: string[]) => {
    mkdirSync(join(folder, name))
    writeFileSync(join(folder, name, 'generation'), '1\n')
    return spawning.launch({ directory: join(folder, name), generation: 1, command, env: { WORD: 'a=b c' } })
  }
  const parent = (pid: number) => Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1])
  const first = await launch('first', ['/bin/sleep', '60'])
  await first.begun
  const helper = parent(first.pid)
  process.kill(helper, 'SIGKILL')
  assert.equal(await first.ended, null)
  process.kill(first.pid, 0)
  const second = await launch('second', ['/bin/sh', '-c', 'echo "$WORD $# $1"; exit 3', 'sh', ' two words\n'])
  assert.equal(await second.ended, 3)
  assert.equal(readFileSync(join(folder, 'second', 'log'), 'utf8'), 'a=b c 1  two words\n\n')
  const missing = await launch('third', ['/no/such/program'])
  assert.equal(await missing.ended, 74)
  assert.match(readFileSync(join(folder, 'third', 'log'), 'utf8'), /\/no\/such\/program cannot be run: No such file/)
  process.kill(first.pid, 'SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})
