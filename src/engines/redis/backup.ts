/** Copies of a replicated or sharded Redis, taken while it serves, and how its nodes start from one. */
import { join } from 'node:path'
import { checkpoint } from '../../core/checkpoint.ts'
import { copyTo } from './copy.ts'
import { byShard, lookAtCluster, ownerOf, shardsOf } from './cluster-views.ts'
import { closeAll, isLinked, type Seen } from './seen.ts'
import { appends, lookAtAll, offsetOf } from './views.ts'
import { dataGrant, usualFolder } from './data-folder.ts'
import { warmPrefix } from './warm.ts'
import type { BackupFile, BackupFormat } from '../../core/backups.ts'
import type { Seed } from '../../core/engine.ts'
import type { Grants, Instance } from '../../core/instance.ts'
import type { Ground } from './topology.ts'

/** Why there are no backups of it; null: there are. */
export function unbackable({ spec }: Pick<Instance, 'spec'>): string | null {
  return spec.topology === 'single' ? 'an instance of a single node has no backups' : null
}

interface Source { readonly shard: number; readonly seen: Seen; readonly slots?: string }

/** One file a shard, from a replica that is up to date, or from the master where there is none. */
export async function backUp(ground: Ground, folder: string, { format, signal }: { readonly format: BackupFormat; readonly signal: AbortSignal }): Promise<BackupFile[]> {
  const sources = await findSources(ground)
  const files: BackupFile[] = []
  // One after another: each fork copies what is written meanwhile, and all share the machine.
  for (const { shard, seen: { node, state }, slots } of sources) {
    const name = `shard-${shard}.${format}`
    const place = sources.length > 1 ? ` of shard ${shard}` : ''
    const { bytes, sum } = await copyTo(join(folder, name), ground.reach(node, state), signal, (came) => ground.progress(`copying the data${place} from node ${node.ordinal}: ${came} bytes`))
    checkpoint('backup.copied')
    files.push({ name, shard, bytes, sum, ...slots === undefined ? {} : { slots } })
  }
  return files
}

async function findSources(ground: Ground): Promise<Source[]> {
  if (ground.instance.spec.topology !== 'cluster') {
    const views = await lookAtAll(ground)
    try {
      const best = views.filter((view) => isLinked(view) && view.info('loading') === '0').toSorted((a, b) => offsetOf(b) - offsetOf(a))[0] ?? views.find((view) => view.session && view.node.id === ground.instance.grants['master'])
      if (!best) throw new Error('neither a replica that is up to date nor the master answers')
      return [{ shard: 0, seen: best }]
    } finally { closeAll(views) }
  }
  const views = await lookAtCluster(ground)
  try {
    return byShard(views, shardsOf(ground.instance, ground.nodes)).map(([shard, members]) => {
      const owner = ownerOf(members)
      if (!owner) throw new Error(`nobody owns the slots of shard ${shard}`)
      if (owner.me!.moving.length > 0) throw new Error(`slots of shard ${shard} are on their way`)
      const replica = members.find((view) => view !== owner && isLinked(view) && view.info('master_replid') === owner.info('master_replid'))
      return { shard, seen: replica ?? owner, slots: owner.me!.slots.map(([first, last]) => `${first}-${last}`).join(',') }
    })
  } finally { closeAll(views) }
}

/** Why these files cannot be loaded, by what is on record; null: nothing is. */
export function unrestorable({ spec }: Pick<Instance, 'spec'>, files: readonly BackupFile[]): string | null {
  return files.length === spec.shards ? null : `the backup is of ${files.length} shards, and the instance has ${spec.shards}`
}

/** What each node starts from: by node id the file, and where in the node's folder it belongs. A sentence when these files are not of this instance as it is. */
export async function seedsOf(ground: Ground, files: readonly BackupFile[], folder: string): Promise<ReadonlyMap<string, Seed> | string> {
  const { instance, nodes } = ground
  const shards = instance.spec.topology === 'cluster' ? shardsOf(instance, nodes) : new Map(nodes.map(({ id }) => [id, 0]))
  const never = unrestorable(instance, files)
  if (never !== null) return never
  if (instance.spec.topology === 'cluster') {
    const now = new Map((await findSources(ground)).map(({ shard, slots }) => [shard, slots]))
    const other = files.find(({ shard, slots }) => now.get(shard) !== slots)
    if (other) return `shard ${other.shard} had other slots when the backup was made`
  }
  // A dump with this name is what an append-only file begins with, and every release that Sluice runs goes on from it.
  const name = appends(instance.spec) ? 'appendonly.aof' : 'dump.rdb'
  return new Map(nodes.map((node) => [node.id, { file: files.find(({ shard }) => shard === shards.get(node.id))!, path: `${folder}/${name}` }]))
}

/** The grants under which nodes start from that folder, knowing nothing of the histories of other data. */
export function grantsOn(grants: Grants, folder: string): Grants {
  const kept = Object.entries(grants).filter(([name]) => name !== dataGrant && name !== 'replid' && name !== 'previous' && !name.startsWith('replid ') && !name.startsWith(warmPrefix))
  return { ...Object.fromEntries(kept), ...folder === usualFolder ? {} : { [dataGrant]: folder } }
}

/** All that a node can have in a folder of data, by its path in the node's folder; a cluster's own file is elsewhere. */
export function dataOf(folder: string): readonly string[] {
  return folder === usualFolder ? ['appendonlydir', 'appendonly.aof', 'dump.rdb'].map((name) => `${folder}/${name}`) : [folder]
}
