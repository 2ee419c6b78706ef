/** What a dump is made of: types, the largest keys, the largest groups of keys that begin alike. */
import { setImmediate as turn } from 'node:timers/promises'
import { keysOf, type DumpedKey } from './rdb.ts'
import type { Analysis } from '../../core/desk.ts'

const most = { keys: 100, prefixes: 100 } as const
/** Names that all begin in ways of their own have no prefixes worth telling, and must not fill the memory. */
const prefixesKept = 100_000
/** Other work gets its turn after so many keys. */
const atOnce = 2000

/** Bytes are those of the dump, which packs what it can. */
export async function analyse(paths: readonly string[], signal: AbortSignal): Promise<Analysis> {
  const types = new Map<string, { bytes: number; keys: number }>()
  const prefixes = new Map<string, { prefix: string; type: string; bytes: number; keys: number }>()
  let largest: DumpedKey[] = []
  let keys = 0
  for (const path of paths) {
    for await (const key of keysOf(path)) {
      keys += 1
      const type = types.get(key.type) ?? { bytes: 0, keys: 0 }
      types.set(key.type, type)
      type.bytes += key.bytes
      type.keys += 1
      const prefix = /^[^:;,_\-+@=|#]+[:;,_\-+@=|#]/.exec(key.name)?.[0]
      const group = prefix === undefined ? undefined : prefixes.get(`${key.type} ${prefix}`) ?? (prefixes.size < prefixesKept ? { prefix, type: key.type, bytes: 0, keys: 0 } : undefined)
      if (group) {
        prefixes.set(`${key.type} ${prefix}`, group)
        group.bytes += key.bytes
        group.keys += 1
      }
      largest.push(key)
      if (largest.length >= most.keys * 10) largest = top(largest)
      if (keys % atOnce === 0) { signal.throwIfAborted(); await turn() }
    }
  }
  return {
    bytes: [...types.values()].reduce((sum, type) => sum + type.bytes, 0), keys, types: Object.fromEntries(types),
    largest: top(largest).map(({ name, type, bytes, elements }) => ({ name, type, bytes, elements })),
    prefixes: [...prefixes.values()].toSorted((a, b) => b.bytes - a.bytes).slice(0, most.prefixes),
  }
}

function top(keys: DumpedKey[]): DumpedKey[] { return keys.toSorted((a, b) => b.bytes - a.bytes).slice(0, most.keys) }
