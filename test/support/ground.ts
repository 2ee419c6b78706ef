/** A folder, a runtime and addresses for tests below the API. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { processRuntime } from '../../src/runtimes/process/index.ts'
import { ownAddresses, releaseBlocks } from '../../src/runtimes/process/addresses.ts'
import { processesUnder, until } from './server.ts'
import type { Locate, Runtime } from '../../src/core/runtime.ts'

export interface TestGround {
  readonly folder: string
  readonly runtime: Runtime
  place(ports: Readonly<Record<string, number>>): Promise<{ address: string; ports: Readonly<Record<string, number>> }>
  destroy(): Promise<void>
}

export async function testGround(locate: Locate): Promise<TestGround> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-ground-'))
  let blocks: readonly string[] = []
  const addresses = await ownAddresses(folder, { held: [], async remember(held) { blocks = [...held] } })
  const taken = new Set<string>()
  return {
    folder, runtime: processRuntime(join(folder, 'nodes'), locate),
    async place(ports) {
      const place = await addresses.place(ports, null, taken)
      if (typeof place === 'string') throw new Error(place)
      for (const port of Object.values(place.ports)) taken.add(`${place.address}:${port}`)
      return place
    },
    async destroy() {
      for (const pid of processesUnder(folder)) try { process.kill(pid, 'SIGKILL') } catch { /* ended meanwhile */ }
      await until('processes to end', () => processesUnder(folder).length === 0)
      addresses.close()
      releaseBlocks(blocks)
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
