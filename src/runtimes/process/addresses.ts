/** Where nodes may listen: an own loopback address each, or one host with a range of ports. */
import { randomInt } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, unlinkSync, writeSync, chmodSync, statSync, readdirSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import type { Addresses } from '../../core/addresses.ts'
import type { Config } from '../../config.ts'

/** In a block: low ones last, for those are what people ask for by hand. */
const order: readonly number[] = [...Array.from({ length: 223 }, (_, n) => n + 32), ...Array.from({ length: 30 }, (_, n) => n + 2)]

/** Own addresses come out of blocks of 127.x.y.0/24 that this home alone uses on this machine. `blocks` remembers them. */
export async function ownAddresses(home: string, blocks: { readonly held: readonly string[]; remember(blocks: readonly string[]): Promise<void> }): Promise<Addresses> {
  const held = [...blocks.held]
  const guards = new Map<string, Server>()
  for (const block of held) {
    const guard = await guardBlock(block)
    // Control planes that share a home share its addresses; the database sees to it that each is given once.
    if (!guard && claimant(block) === home) continue
    if (!guard) throw new Error(`another Sluice server uses the addresses ${block}.0/24, which belong to ${home}: stop it first`)
    guards.set(block, guard)
  }
  async function more(): Promise<void> {
    const [name, guard] = await claimBlock(home)
    held.push(name)
    guards.set(name, guard)
    await blocks.remember(held)
  }
  return {
    async place(ports, wanted, taken, at) {
      const used = new Set([...taken].map((pair) => pair.slice(0, pair.lastIndexOf(':'))))
      if (at !== undefined) {
        const [, block, last] = /^(\d+\.\d+\.\d+)\.(\d+)$/.exec(at) ?? []
        if (!held.includes(block ?? '') || Number(last) < 2 || Number(last) > 254) return `${at} is not among the addresses of this server: ${held.length === 0 ? 'it has none yet' : held.map((one) => `${one}.2 to ${one}.254`).join(', ')}`
        return used.has(at) ? `${at} is in use` : { address: at, ports: wanted === null ? ports : { ...ports, service: wanted } }
      }
      for (let block = 0; ; block += 1) {
        if (block === held.length) await more()
        for (const last of order) {
          const address = `${held[block]}.${last}`
          if (!used.has(address)) return { address, ports: wanted === null ? ports : { ...ports, service: wanted } }
        }
      }
    },
    // An address of its own has all ports.
    async admits() { return null },
    async network() {
      if (held.length === 0) await more()
      return `${held[0]}.0/24`
    },
    close() { for (const guard of guards.values()) guard.close() },
  }
}

/** One address for all nodes; ports from a range, apart from our own listeners and from whatever listens now. */
export function sharedAddress(nodes: Extract<Config['nodes'], { kind: 'shared' }>, ownPorts: readonly number[]): Addresses {
  return {
    async place(ports, wanted, taken, at) {
      if (at !== undefined && at !== nodes.host) return `every instance has the address ${nodes.host}`
      const chosen: Record<string, number> = {}
      const free = async (port: number): Promise<boolean> =>
        !ownPorts.includes(port) && !taken.has(`${nodes.host}:${port}`) && !Object.values(chosen).includes(port) && await canBind(nodes.host, port)
      let next = nodes.firstPort
      for (const name of Object.keys(ports)) {
        if (name === 'service' && wanted !== null && wanted >= nodes.firstPort && wanted <= nodes.lastPort && await free(wanted)) { chosen[name] = wanted; continue }
        while (next <= nodes.lastPort && !await free(next)) next += 1
        if (next > nodes.lastPort) return `no port between ${nodes.firstPort} and ${nodes.lastPort} is free on ${nodes.host}: delete an instance, or widen SLUICE_NODE_PORTS`
        chosen[name] = next
      }
      return { address: nodes.host, ports: chosen }
    },
    async admits(address, port, taken) {
      if (address !== nodes.host) return null
      if (port < nodes.firstPort || port > nodes.lastPort) return `nodes have ports from ${nodes.firstPort} to ${nodes.lastPort} here`
      return ownPorts.includes(port) || taken.has(`${address}:${port}`) || !await canBind(address, port) ? `port ${port} of ${address} is taken` : null
    },
    close() {},
  }
}

/** Claims are files, so that a home's addresses stay its own while its control plane is down but its nodes are not. */
const registry = '/var/tmp/sluice-addresses'

async function claimBlock(home: string): Promise<[string, Server]> {
  mkdirSync(registry, { recursive: true })
  // Shared by every user of the machine, like /tmp; only the owner of a claim may remove it.
  try { chmodSync(registry, 0o1777) } catch { /* somebody else's folder, already so */ }
  forgetOldClaims()
  for (let attempt = 0; attempt < 200; attempt += 1) {
    // 127.64-127.x: far from 127.0.0.1 and from the low addresses that people use by hand.
    const block = `127.${randomInt(64, 128)}.${randomInt(0, 256)}`
    const path = join(registry, block)
    let file: number
    try { file = openSync(path, 'wx', 0o644) } catch { continue }
    writeSync(file, `${home}\n`)
    closeSync(file)
    const guard = await guardBlock(block)
    if (guard) return [block, guard]
    unlinkSync(path)
  }
  throw new Error(`no block of loopback addresses is free: remove claims of homes that are gone from ${registry}`)
}

/** The home that a block was claimed for. */
function claimant(block: string): string | null {
  try { return readFileSync(join(registry, block), 'utf8').trim() } catch { return null }
}

/** Gives back the claims of a home that is being removed. */
export function releaseBlocks(blocks: readonly string[]): void {
  for (const block of blocks) try { unlinkSync(join(registry, block)) } catch { /* never claimed, or gone */ }
}

/** While this server lives, nobody on this machine's network takes the block: an abstract socket vanishes with its process. */
function guardBlock(block: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => { if (error.code === 'EADDRINUSE') resolve(null); else reject(error) })
    server.listen(`\0sluice-addresses-${block}`, () => { server.unref(); resolve(server) })
  })
}

/** A claim whose home does not exist any more, and that is not just being made, is nobody's. */
function forgetOldClaims(): void {
  for (const name of readdirSync(registry)) {
    const path = join(registry, name)
    try {
      if (Date.now() - statSync(path).mtimeMs > 3_600_000 && !existsSync(readFileSync(path, 'utf8').trim())) unlinkSync(path)
    } catch { /* somebody else's, or gone meanwhile */ }
  }
}

function canBind(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
