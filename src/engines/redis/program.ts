/** Finds the redis-server of this machine and refuses one that is too old. */
import { execFile } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import type { Config } from '../../config.ts'
import type { Locate } from '../../core/runtime.ts'

const run = promisify(execFile)
/** `CONFIG SET bind` and ACL files with channels exist from here on; Valkey began later than this. */
const oldest = [6, 2] as const

export interface RedisServer { readonly path: string; readonly version: string; readonly valkey: boolean }

/** How the process runtime starts a Redis node: explicit path, then PATH, then Sluice's own engine folder. */
export function locateRedis(programs: Config['programs']): Locate {
  return async () => {
    const server = await findRedis(programs)
    return { command: server.path, args: [], env: {}, version: server.version }
  }
}

/** The redis-server to use. Throws one sentence with path and version when there is none or it is too old. */
export async function findRedis(programs: Config['programs']): Promise<RedisServer> {
  if (programs.redisServer) return inspect(programs.redisServer)
  // A PATH has many folders: what was found is only looked for again when it is gone, and asked again when it is another one.
  const same = found === undefined ? undefined : known.get(stampOf(found) ?? '')
  if (same) return same
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), join(programs.engineFolder, 'redis')]
  const path = folders.flatMap((folder) => [join(folder, 'redis-server'), join(folder, 'valkey-server')]).find(isProgram)
  found = path
  if (!path) throw new Error('no redis-server was found on PATH: run "npm run engines", or set SLUICE_REDIS_SERVER to its path')
  return inspect(path)
}

/** Whoever shows an instance asks for it, many times a second: so long it is told without looking again. */
const toldForMs = 1000

/** Of the redis-server to use; a second old at most. Rejects as findRedis does. */
export function redisVersion(programs: Config['programs']): () => Promise<string> {
  let told: { readonly at: number; readonly version: Promise<string> } | undefined
  return () => {
    const now = performance.now()
    if (!told || now - told.at > toldForMs) told = { at: now, version: findRedis(programs).then(({ version }) => version) }
    return told.version
  }
}

let found: string | undefined
const known = new Map<string, Promise<RedisServer>>()

/** Fifty creations at once ask one program once. */
async function inspect(path: string): Promise<RedisServer> {
  const stamp = stampOf(path)
  if (stamp === null) throw new Error(`${path} does not exist: SLUICE_REDIS_SERVER must name a redis-server program`)
  const asked = known.get(stamp) ?? askVersion(path)
  known.set(stamp, asked)
  asked.catch(() => known.delete(stamp))
  return asked
}

/** Tells a file from the one that takes its place; null when there is none. */
function stampOf(path: string): string | null {
  try { return `${path}:${statSync(path).mtimeMs}` } catch { return null }
}

async function askVersion(path: string): Promise<RedisServer> {
  // "Redis server v=7.0.15 sha=…" or "Valkey server v=8.0.1 …"; a program that hangs is no redis-server.
  const answer = await run(path, ['--version'], { timeout: 5000 }).then((done) => done.stdout, (error: Error) => { throw new Error(`${path} cannot run: ${error.message.split('\n')[0]}`) })
  const match = /^(\w+) server v=(\d+)\.(\d+)\.(\d+)/i.exec(answer)
  if (!match) throw new Error(`${path} is no redis-server: asked for its version it said ${JSON.stringify(answer.slice(0, 80))}`)
  const server = { path, version: `${match[2]}.${match[3]}.${match[4]}`, valkey: match[1]!.toLowerCase() === 'valkey' }
  if (Number(match[2]) < oldest[0] || (Number(match[2]) === oldest[0] && Number(match[3]) < oldest[1])) {
    throw new Error(`${path} is Redis ${server.version}, and Sluice needs ${oldest.join('.')} or later: install a newer one and set SLUICE_REDIS_SERVER to its path`)
  }
  return server
}

function isProgram(path: string): boolean {
  try { accessSync(path, constants.X_OK); return statSync(path).isFile() } catch { return false }
}
