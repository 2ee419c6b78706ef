/**
 * Loads a backup into its instance. The nodes get the new data in a folder of its own; which folder they start from is one
 * durable fact, so there is either the old data or the new, and the old folder goes only when every node serves from the
 * new one. What does not load is left, and the nodes start from the old folder again.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { isAway } from '../core/away.ts'
import { checkpoint } from '../core/checkpoint.ts'
import { TerminalError, type Step, type StepContext } from '../core/operation.ts'
import { converge, worldOf } from './converge.ts'
import type { BackupFile } from '../core/backups.ts'
import type { NodeSpec } from '../core/runtime.ts'
import type { Parts } from './actions.ts'

/** Some 17 s a gigabyte. After this the old data is given back, while the operation still has time for that. */
const loadsWithinMs = 15 * 60_000

/**
 * What is remembered. `phase`, in this order: absent (copying, the old data serves), `stopping`, `loading`, `cleaning`; or after
 * `loading` `returning`, `returned`.
 */
interface RestoreMemo {
  readonly backup: string; /** JSON. */ readonly files: string; readonly from: string; readonly to: string
  readonly phase?: 'stopping' | 'loading' | 'cleaning' | 'returning' | 'returned'
  /** When loading began, epoch ms. */
  readonly since?: number
  /** Why it is given back. */
  readonly why?: string
}

export function restore(parts: Parts): Step {
  const { engine, scratch } = parts
  const heal = converge({ force: false, rolling: false })(parts)
  return async (context) => {
    const memo = context.operation.memo as unknown as RestoreMemo
    const to = (phase: RestoreMemo['phase'], more: Partial<RestoreMemo> = {}): Promise<void> => context.remember({ ...memo, ...more, phase } as never)
    switch (memo.phase) {
      case undefined: {
        // A disk that is full, say: the instance has not been touched.
        const wrong = await copy(context, memo, parts).catch((error: Error) => { if (isAway(error)) throw error; return error.message })
        if (wrong) {
          await discard(context, memo.to, parts)
          return { failed: wrong }
        }
        checkpoint('restore.copied')
        await to('stopping')
        return { waitMs: 0 }
      }
      case 'stopping':
      case 'returning': {
        context.progress('stopping every node')
        await stopAll(context, parts)
        checkpoint('restore.stopped')
        // From this commit on every start is from the other data.
        await context.grant(engine.backups!.on(context.instance.grants, memo.phase === 'stopping' ? memo.to : memo.from))
        checkpoint('restore.switched')
        await to(memo.phase === 'stopping' ? 'loading' : 'returned', { since: Date.now() })
        // What was counted of the other data says nothing of this.
        scratch.clear()
        return { waitMs: 0 }
      }
      case 'loading': {
        const giveBack = async (why: string): Promise<{ waitMs: number }> => { await to('returning', { why: why.slice(0, 2000) }); return { waitMs: 0 } }
        let healed: Awaited<ReturnType<Step>>
        try { healed = await heal(context) } catch (error) {
          if (error instanceof TerminalError) return giveBack(error.message)
          throw error
        }
        if (healed !== 'done') return Date.now() - memo.since! > loadsWithinMs ? giveBack(`the data was not loaded within ${loadsWithinMs / 60_000} minutes`) : healed
        checkpoint('restore.loaded')
        await to('cleaning')
        return { waitMs: 0 }
      }
      case 'cleaning':
        await discard(context, memo.from, parts)
        return 'done'
      default: {
        const healed = await heal(context)
        if (healed !== 'done') return healed
        await discard(context, memo.to, parts)
        return { failed: `the backup could not be loaded, and the instance has its old data again: ${memo.why}` }
      }
    }
  }
}

/** Gives every node what it will start from. A sentence when it cannot be. */
async function copy(context: StepContext, memo: RestoreMemo, { engine, runtime, vault }: Parts): Promise<string | null> {
  const { instance, nodes } = context
  const files = JSON.parse(memo.files) as BackupFile[]
  const folder = vault.folder(instance.id, memo.backup)
  for (const file of files) {
    context.progress(`checking ${file.name}`)
    const sum = await sumOf(join(folder, file.name)).catch(() => null)
    if (sum !== file.sum) return sum === null ? `${file.name} of the backup cannot be read here: control planes that share instances need one folder of backups` : `${file.name} of the backup is damaged: its checksum is wrong`
  }
  const states = await runtime.inspect(instance.id, nodes.map((node) => node.id))
  const seeds = await engine.backups!.seeds(worldOf(context, states, runtime), files, memo.to)
  if (typeof seeds === 'string') return seeds
  // Of an earlier try, maybe in part.
  await discard(context, memo.to, { engine, runtime })
  for (const node of nodes) {
    context.progress('getting the data of the backup', node.id)
    const { file, path } = seeds.get(node.id)!
    await runtime.put(node.id, path, join(folder, file.name))
    checkpoint('restore.put')
  }
  return null
}

async function discard({ nodes }: StepContext, folder: string, { engine, runtime }: Pick<Parts, 'engine' | 'runtime'>): Promise<void> {
  for (const { id } of nodes) for (const path of engine.backups!.contents(folder)) await runtime.discard(id, path)
  checkpoint('restore.discarded')
}

/** All at once, in their own time: what was acknowledged is on the disk if the old data is needed again. */
async function stopAll({ instance, nodes }: StepContext, { engine, runtime }: Parts): Promise<void> {
  const states = await runtime.inspect(instance.id, nodes.map((node) => node.id))
  await Promise.all(nodes.map(async (node) => {
    const state = states.find(({ id }) => id === node.id)!
    if (state.phase === 'running') await engine.drain?.(instance, node, state, { force: true })
    checkpoint('engine.drained')
  }))
  await runtime.stop(instance.id, nodes.map((node) => node.id), Math.max(...engine.layout(instance, nodes).map((spec: NodeSpec) => spec.graceMs)))
}

async function sumOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
