/**
 * Nodes as plain processes of this machine. Each has a directory with its lock, its generation, its pid file, its log
 * and its data; what runs is read from there and from the kernel, so a control plane that was killed finds everything.
 */
import { randomUUID } from 'node:crypto'
import { closeSync, constants, existsSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { copyFile, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { checkpoint } from '../../core/checkpoint.ts'
import { fence } from '../../core/fence.ts'
import { giveWay, isAlive, killHolder, lockHolders, readPidFile, residentBytes, type PidFile } from './identity.ts'
import { end } from './ending.ts'
import { spawner, type Guard } from './spawner.ts'
import { screen } from './screen.ts'
import { withHint } from './hints.ts'
import { lastLines, read, rotate } from './log.ts'
import type { Locate, NodeReport, NodeSpec, NodeState, Runtime } from '../../core/runtime.ts'

export interface ProcessRuntime extends Runtime {
  /** Empties logs that grew too large. */
  rotateLogs(): void
  /** Called when a process that this control plane started has ended by itself. */
  onExit(listener: (nodeId: string) => void): void
}

/** Room for the largest number, and for a word. */
const generationWidth = 20
/** A launcher needs some 2 ms; a machine that swaps may need much more. */
const launchedWithinMs = 10_000

/** `host`: the id of this home's host, by which its rules are told from those of others. */
export function processRuntime(root: string, locate: Locate, guard?: Guard, host = root): ProcessRuntime {
  const spawning = spawner(guard)
  const screening = screen(dirname(root), host)
  /** Processes that were started here and not told to end. */
  const ours = new Set<number>()
  const exits = new Map<string, { pid: number; code: number | null }>()
  /** The processes that were found when an instance was inspected last. */
  const seen = new Map<string, readonly (number | null)[]>()
  const listeners: ((nodeId: string) => void)[] = []
  const folder = (nodeId: string): string => join(root, nodeId)
  const present = (nodeId: string): PidFile | null => readPidFile(join(folder(nodeId), 'pid'))
  mkdirSync(root, { recursive: true, mode: 0o700 })

  const lastWords = (nodeId: string): string => withHint(lastLines(join(folder(nodeId), 'log')))

  function stateOf(nodeId: string): NodeState {
    const file = present(nodeId)
    if (!file) return { id: nodeId, phase: 'exited', observedGeneration: 0, identity: null, exit: { code: null, lastLines: lastWords(nodeId) } }
    const identity = { pid: file.pid, startedAt: file.startedAt }
    if (isAlive(file)) return { id: nodeId, phase: 'running', observedGeneration: file.generation, identity }
    const exit = exits.get(nodeId)
    return {
      id: nodeId, phase: 'exited', observedGeneration: file.generation, identity,
      exit: { code: exit?.pid === file.pid ? exit.code : null, lastLines: lastLines(join(folder(nodeId), 'log')), ...contents(join(folder(nodeId), 'generation'))?.trim() === 'stopped' ? { asked: true } : {} },
    }
  }

  /** What no late launcher may get past: the generation that is wanted now, or a word that no launcher was given. */
  function want(nodeId: string, generation: string): void {
    const path = join(folder(nodeId), 'generation')
    const now = contents(path)?.trim() ?? ''
    // Another control plane went on with this node, or removed it, while we were held up.
    if (/^\d+$/.test(generation) && (now === 'removed' || Number(now) > Number(generation))) throw new Error(`node ${nodeId} is wanted otherwise by now: ${now}`)
    fence()
    const line = `${generation.padEnd(generationWidth)}\n`
    // In place, for every launch and stop does this and replacing a file costs a wait for the disk. Always as long as before: nobody reads half of it.
    let file: number
    try { file = openSync(path, 'r+') } catch { return writeWhole(path, line) }
    try { writeSync(file, line, 0) } finally { closeSync(file) }
  }

  async function halt(nodeId: string, graceMs: number): Promise<void> {
    const file = present(nodeId)
    if (file) await end(file, graceMs, ours)
    // Fork children outlive their server, and a launcher of a killed control plane may not have said yet who it is.
    fence()
    for (const pid of lockHolders(join(folder(nodeId), 'lock'))) killHolder(pid)
  }

  function writeFiles({ id, files }: NodeSpec): void {
    for (const [path, text] of Object.entries(files)) if (contents(join(folder(id), path)) !== text) writeWhole(join(folder(id), path), text)
  }

  async function launch(spec: NodeSpec): Promise<void> {
    const directory = folder(spec.id)
    const program = await locate(spec.software, spec)
    fence()
    const firstStart = !existsSync(join(directory, 'pid'))
    for (const path of ['data', ...spec.folders ?? []]) mkdirSync(join(directory, path), { recursive: true, mode: 0o700 })
    if (firstStart) for (const [path, source] of Object.entries(program.seed ?? {})) writeWhole(join(directory, path), readFileSync(source))
    writeFiles(spec)
    if (spec.guarded && !existsSync(join(directory, 'guarded'))) writeWhole(join(directory, 'guarded'), '')
    want(spec.id, String(spec.generation))
    checkpoint('runtime.prepared')
    fence()
    const started = await spawning.launch({
      directory, generation: spec.generation,
      command: [program.command, ...program.args, ...spec.argv], env: { ...plainEnvironment(), ...program.env, ...spec.env },
    })
    ours.add(started.pid)
    void started.ended.then((code) => {
      exits.set(spec.id, { pid: started.pid, code })
      if (ours.delete(started.pid)) for (const listener of listeners) listener(spec.id)
    })
    checkpoint('runtime.launched')
    const late = new AbortController()
    const tooLate = sleep(launchedWithinMs, 'late' as const, { signal: late.signal })
    tooLate.catch(() => {})
    try {
      await Promise.race([started.begun, tooLate])
      // It keeps its number when it becomes the server, so its pid file is told from an older one.
      if (present(spec.id)?.pid === started.pid) return
      const code = await Promise.race([started.ended, tooLate])
      if (code === 'late') throw new Error(`the launcher of ${spec.id} did not take over within ${launchedWithinMs / 1000} s`)
      return await launchFailed(spec, code)
    } finally { late.abort() }
  }

  /** 75: somebody holds the lock. 76: overtaken, the next look decides anew. */
  async function launchFailed(spec: NodeSpec, code: number | null): Promise<void> {
    if (code === 76) return
    if (code !== 75) throw new Error(`the launcher of ${spec.id} ended with ${code ?? 'a signal'}: ${lastLines(join(folder(spec.id), 'log'), 2)}`)
    const lock = join(folder(spec.id), 'lock')
    // Another launcher takes a moment to say who it is, a fork child of a dead server a moment to go.
    for (const waitMs of [5, 20, 50, 100, 200, 400, 800]) {
      await sleep(waitMs)
      const file = present(spec.id)
      if (file && isAlive(file)) return
      if (lockHolders(lock).length === 0) return launch(spec)
    }
    fence()
    for (const pid of lockHolders(lock)) killHolder(pid)
    throw new Error(`processes without a name held the lock of ${spec.id} and were killed`)
  }

  return {
    name: 'process',
    async apply(spec, { force }) {
      const file = present(spec.id)
      if (file && isAlive(file)) {
        if (file.generation >= spec.generation) return
        await end(file, force ? spec.forceGraceMs : spec.graceMs, ours)
        checkpoint('runtime.stopped')
      }
      await launch(spec)
    },
    unscreened: screening.unable,
    async provide(instance, nodes) {
      await screening.put(instance, nodes)
      return { nodes, endpoints: instance.endpoints }
    },
    drift: screening.drift,
    async renew(spec) {
      fence()
      writeFiles(spec)
    },
    async inspect(instanceId, nodeIds) {
      const states = nodeIds.map(stateOf)
      const before = seen.get(instanceId) ?? []
      // A control plane that was killed while it had this server give way could not raise it again.
      for (const { phase, identity } of states) if (phase === 'running' && !ours.has(identity!.pid) && !before.includes(identity!.pid)) giveWay(identity!, 'children')
      seen.set(instanceId, states.map((state) => state.phase === 'running' ? state.identity!.pid : null))
      return states
    },
    // The end of what was started here is told; what an earlier control plane has started must be looked at, and so must rules.
    quiet: ({ id, spec }) => !spec.sources && (seen.get(id)?.every((pid) => pid !== null && ours.has(pid)) ?? false),
    async kill(_nodeId, identity) { await end({ ...identity, generation: 0 }, 0, ours) },
    giveWay(_nodeId, identity, who) { giveWay(identity, who) },
    async discard(nodeId, path) {
      fence()
      await rm(join(folder(nodeId), path), { force: true, recursive: true })
    },
    async put(nodeId, path, source) {
      const to = join(folder(nodeId), path)
      const whole = `${to}.${randomUUID()}`
      fence()
      ensureFolder(to)
      await copyFile(source, whole, constants.COPYFILE_FICLONE)
      const file = await open(whole, 'r+')
      try { await file.chmod(0o600); await file.sync() } finally { await file.close() }
      fence()
      await rename(whole, to)
    },
    async stop(_instanceId, nodeIds, graceMs) {
      await Promise.all(nodeIds.filter((id) => existsSync(folder(id))).map(async (id) => {
        fence()
        want(id, 'stopped')
        await halt(id, graceMs)
      }))
    },
    async remove(instanceId, nodeIds, { all }) {
      const ids = new Set([...nodeIds, ...all ? readdirSync(root).filter((name) => name.startsWith(instanceId)) : []])
      seen.delete(instanceId)
      await Promise.all([...ids].filter((id) => existsSync(folder(id))).map(async (id) => {
        want(id, 'removed')
        checkpoint('runtime.unwanted')
        await halt(id, 0)
        checkpoint('runtime.killed')
        fence()
        // A process that was just killed may still write for an instant.
        await rm(folder(id), { recursive: true, force: true, maxRetries: 5, retryDelay: 20 })
        exits.delete(id)
        checkpoint('runtime.removed')
      }))
      // Nobody is there any more to be kept away from.
      if (all) await screening.take(instanceId)
    },
    async report(_instanceId, nodeId): Promise<NodeReport> {
      const state = stateOf(nodeId)
      return { ...state, logPath: join(folder(nodeId), 'log'), residentBytes: state.phase === 'running' ? residentBytes(state.identity!.pid) : null }
    },
    logs: (nodeId, how) => read(join(folder(nodeId), 'log'), how),
    rotateLogs() { for (const name of readdirSync(root)) rotate(join(folder(name), 'log')) },
    onExit(listener) { listeners.push(listener) },
  }
}

/** Another launcher's server may be reading the same file: it must find all of the text, never the beginning. A Redis with half a configuration would listen everywhere. */
function writeWhole(path: string, text: string | Buffer): void {
  ensureFolder(path)
  const whole = `${path}.${randomUUID()}`
  writeFileSync(whole, text, { mode: 0o600 })
  renameSync(whole, path)
}

/** A restart mostly writes what is there already, and replacing a file costs a wait for the disk. */
function contents(path: string): string | null {
  try { return readFileSync(path, 'utf8') } catch { return null }
}

function ensureFolder(path: string): void { mkdirSync(dirname(path), { recursive: true, mode: 0o700 }) }

/** Servers get none of the control plane's environment, which holds secrets. */
function plainEnvironment(): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const name of ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'JAVA_HOME']) if (process.env[name]) kept[name] = process.env[name]!
  return kept
}
