/** What Redis servers tell of themselves, as an instance's figures. */
import { withSession, type Info, type Target } from './client.ts'
import type { Facts } from '../../core/engine.ts'

/** Nobody's figures are worth more. */
const patienceMs = 500
const databases = 256

/** The figures of these masters together; `replicas` tell only which release they run. Throws when one does not answer. */
export async function factsOf(masters: readonly Target[], replicas: readonly Target[]): Promise<Facts> {
  const [own, versions] = await Promise.all([
    Promise.all(masters.map((target) => withSession(target, async ({ redis, info }) => one(info, await redis.info('commandstats')), { patienceMs }))),
    Promise.all(replicas.map((target) => withSession(target, async ({ info }) => info('redis_version') ?? '', { patienceMs }))),
  ])
  const sum = (field: Exclude<keyof Facts, 'versions'>): number => own.reduce((total, facts) => total + facts[field], 0)
  return {
    usedBytes: sum('usedBytes'), fullestBytes: Math.max(0, ...own.map((facts) => facts.fullestBytes)), keys: sum('keys'), gets: sum('gets'), sets: sum('sets'), cpuSeconds: sum('cpuSeconds'), inKbps: sum('inKbps'), outKbps: sum('outKbps'),
    versions: [...new Set([...own.flatMap((facts) => facts.versions), ...versions])].filter(Boolean),
  }
}

function one(info: Info, commands: string): Facts {
  const number = (field: string): number => Number(info(field) ?? 0)
  const calls = (command: string): number => Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(commands)?.[1] ?? 0)
  const keys = Array.from({ length: databases }, (_, db) => Number(/^keys=(\d+)/.exec(info(`db${db}`) ?? '')?.[1] ?? 0)).reduce((total, count) => total + count, 0)
  return {
    usedBytes: number('used_memory'), fullestBytes: countedBytes(info), keys, gets: calls('get'), sets: calls('set'), cpuSeconds: number('used_cpu_sys') + number('used_cpu_user'),
    inKbps: number('instantaneous_input_kbps'), outKbps: number('instantaneous_output_kbps'), versions: [info('redis_version') ?? ''],
  }
}

/** What Redis compares with `maxmemory`, in bytes: not what waits to be written to its file or sent to replicas, which is much for a moment on a slow disk. */
export function countedBytes(info: Info): number { return Math.max(0, Number(info('used_memory') ?? 0) - Number(info('mem_not_counted_for_evict') ?? 0)) }
