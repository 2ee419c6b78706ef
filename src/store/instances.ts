/** Instances, their nodes and the addresses that these get and give back; moving to others: `places.ts`. */
import { forgetTries } from './tries.ts'
import { changesOf, insertMany, isShared, locked, type Database, type Tx } from './database.ts'
import type { AddressRow, InstanceRow, NodeRow } from './tables.ts'
import type { Action } from '../core/operation.ts'
import { clusterHost, type EngineName, type Grants, type Health, type Instance, type NodeRecord, type RuntimeName, type Tag } from '../core/instance.ts'

type Reader = Database | Tx

export async function insertInstances(tx: Tx, instances: readonly Instance[], nodes: readonly NodeRecord[]): Promise<void> {
  await insertMany(tx, 'instances', instances.map(instanceRow)).execute()
  await insertMany(tx, 'nodes', nodes.map(nodeRow)).execute()
  await insertAddresses(tx, [...nodes.flatMap(nodeAddresses), ...instances.flatMap(endpointAddresses)])
}

/** In a cluster it is the cluster that keeps addresses apart, and it may give one away again before we have forgotten it. */
export async function insertAddresses(tx: Tx, rows: readonly AddressRow[]): Promise<void> {
  const ours = rows.filter((row) => row.host !== clusterHost)
  if (ours.length > 0) await insertMany(tx, 'addresses', ours).execute()
}

/** What a node holds where it is now. */
export function nodeAddresses(node: NodeRecord): AddressRow[] {
  return Object.values(node.ports).map((port) => ({ host: node.host, address: node.address, port, node_id: node.id }))
}

/** What an instance itself holds, whichever node serves there. */
export function endpointAddresses({ id, host, endpoints }: Instance): AddressRow[] {
  return Object.values(endpoints).map(({ address, port }) => ({ host, address, port, node_id: id }))
}

/** More nodes of an instance that exists. */
export async function insertNodes(tx: Tx, nodes: readonly NodeRecord[]): Promise<void> {
  await insertMany(tx, 'nodes', nodes.map(nodeRow)).execute()
  await insertAddresses(tx, nodes.flatMap(nodeAddresses))
}

/** Forgets nodes that are gone, and frees their addresses. */
export async function deleteNodes(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await tx.deleteFrom('addresses').where('node_id', 'in', ids).execute()
  await tx.deleteFrom('nodes').where('id', 'in', ids).execute()
}

/** `name`: another one. */
export async function setSpec(tx: Tx, id: string, { spec, attributes, name }: Pick<Instance, 'spec' | 'attributes'> & { readonly name?: string | undefined }, now: number): Promise<void> {
  await tx.updateTable('instances').set({ spec: JSON.stringify(spec), attributes: JSON.stringify(attributes), ...name === undefined ? {} : { name }, updated_at: now }).where('id', '=', id).execute()
}

export async function setTags(tx: Tx, id: string, tags: readonly Tag[], now: number): Promise<void> {
  await tx.updateTable('instances').set({ tags: JSON.stringify(tags), updated_at: now }).where('id', '=', id).execute()
}

/** Of every instance of a project. */
export async function tagsOf(db: Reader, projectId: string, engine: EngineName): Promise<Tag[]> {
  const rows = await db.selectFrom('instances').select('tags').where('project_id', '=', projectId).where('engine', '=', engine).where('tags', '!=', '[]').orderBy('created_at').execute()
  return rows.flatMap((row) => JSON.parse(row.tags) as Tag[])
}

/** Records grants that a person asked for; a worker's are fenced by its lease. */
export async function setGrants(tx: Tx, id: string, grants: Grants): Promise<void> {
  await tx.updateTable('instances').set({ grants: JSON.stringify(grants) }).where('id', '=', id).execute()
}

/** Forgets instances whose removal is done; their addresses are free with the same commit. */
export async function deleteInstances(tx: Tx, ids: readonly string[]): Promise<void> {
  await tx.deleteFrom('addresses').where('node_id', 'in', tx.selectFrom('nodes').select('id').where('instance_id', 'in', ids)).execute()
  await tx.deleteFrom('addresses').where('node_id', 'in', ids).execute()
  await tx.deleteFrom('nodes').where('instance_id', 'in', ids).execute()
  await tx.deleteFrom('instances').where('id', 'in', ids).execute()
  await forgetTries(tx, ids)
}

/**
 * Holds instances until the transaction ends, so that what is read of them stays true. Everybody takes instances first,
 * sorted, and then what belongs to them.
 */
export async function lockInstances(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length > 0 && isShared(tx)) await locked(tx, tx.selectFrom('instances').select('id').where('id', 'in', ids).orderBy('id')).execute()
}

/** The same for those of one project and engine, and what they are; another tenant's is not found. */
export async function lockedInstances(tx: Tx, projectId: string, engine: EngineName, ids: readonly string[]): Promise<Instance[]> {
  if (ids.length === 0) return []
  const rows = await locked(tx, tx.selectFrom('instances').selectAll().where('id', 'in', ids).orderBy('id')).execute()
  return rows.map(instanceOf).filter((instance) => instance.projectId === projectId && instance.engine === engine)
}

/** By id, of any project; for workers. */
export async function instancesByIds(db: Reader, ids: readonly string[]): Promise<Map<string, Instance>> {
  if (ids.length === 0) return new Map()
  const rows = await db.selectFrom('instances').selectAll().where('id', 'in', ids).execute()
  return new Map(rows.map((row) => [row.id, instanceOf(row)]))
}

/** Of one project and engine: another tenant's id is not found, exactly like an unknown one. */
export async function projectInstances(db: Reader, projectId: string, engine: EngineName | null, ids?: readonly string[]): Promise<Instance[]> {
  // Found by id alone: a planner that sees the project as well reads all of it for fifty rows.
  if (ids) return [...(await instancesByIds(db, ids)).values()].filter((instance) => instance.projectId === projectId && (!engine || instance.engine === engine))
  let query = db.selectFrom('instances').selectAll().where('project_id', '=', projectId)
  if (engine) query = query.where('engine', '=', engine)
  return (await query.orderBy('created_at', 'desc').orderBy('id').execute()).map(instanceOf)
}

export interface Tally extends Pick<Instance, 'readyAt' | 'health'> { readonly open: Action | null; /** Nobody was heard of from its host. */ readonly silent: boolean; readonly count: number }

/** How many instances, of one project or of all, share the facts that their status follows from. Asked by people who wait for fifty, so counted where they are. */
export async function tally(db: Reader, projectId: string | null, engine: EngineName, heard: readonly string[]): Promise<Tally[]> {
  const rows = await db.selectFrom('instances as i').leftJoin('operations as o', (join) => join.onRef('o.instance_id', '=', 'i.id').on('o.finished_at', 'is', null))
    .select((q) => ['i.health', 'o.action', 'i.host', q.fn.max('i.ready_at').as('ready_at'), q.fn.countAll<number>().as('count')])
    .where('i.engine', '=', engine).$if(projectId !== null, (query) => query.where('i.project_id', '=', projectId))
    .groupBy((q) => ['i.health', 'o.action', 'i.host', q('i.ready_at', 'is', null)]).execute()
  return rows.map((row) => ({ readyAt: row.ready_at, health: row.health, open: row.action, silent: !heard.includes(row.host), count: Number(row.count) }))
}

/** Of every project and host. */
export async function everyInstance(db: Reader): Promise<Instance[]> {
  return (await db.selectFrom('instances').selectAll().orderBy('created_at').orderBy('id').execute()).map(instanceOf)
}

/** Every instance whose nodes belong to these hosts. */
export async function hostInstances(db: Reader, ...hosts: string[]): Promise<Instance[]> {
  return (await db.selectFrom('instances').selectAll().where('host', 'in', hosts).execute()).map(instanceOf)
}

/** Those of this host, or of the cluster, for which something is planned; ten thousand without a plan are not read. */
export async function plannedInstances(db: Reader, host: string): Promise<Instance[]> {
  const rows = await db.selectFrom('instances').selectAll().where('host', 'in', [host, clusterHost]).where('ready_at', 'is not', null).where((q) => q.or([q('attributes', 'like', '%"backupPolicy":{%"type":"auto"%'), q('attributes', 'like', '%"survey %":{"enabled":true%')])).execute()
  return rows.map(instanceOf)
}

/** Those of this host, or of the cluster, whose servers show a certificate. */
export async function encryptedInstances(db: Reader, host: string): Promise<Instance[]> {
  const rows = await db.selectFrom('instances').selectAll().where('host', 'in', [host, clusterHost]).where('ready_at', 'is not', null).where('spec', 'like', '%"tls":{%').execute()
  return rows.map(instanceOf).filter(({ spec }) => spec.tls)
}

export interface Settled { readonly instance: Instance; readonly nodes: readonly NodeRecord[] }

/**
 * Reads those of this host, or of the cluster, that were created and that no operation is working on: the ones nobody looks
 * after. It is asked twice a second, so nothing is read again while nothing was written, and a row that is as it was is not
 * read into an instance again.
 */
export function settledReader(db: Reader, host: string, runtime: RuntimeName): () => Promise<Settled[]> {
  let known = new Map<string, { readonly row: InstanceRow; readonly instance: Instance }>()
  const open = db.selectFrom('operations').select('instance_id').where('finished_at', 'is', null)
  const settled = db.selectFrom('instances').where('host', 'in', [host, clusterHost]).where('runtime', '=', runtime).where('ready_at', 'is not', null).where('id', 'not in', open)
  let [last, changes]: [Settled[], number | null] = [[], null]
  return async () => {
    // Read before the rows: what is written in between is seen the next time.
    const now = changesOf(db)
    if (now === null || now !== changes) last = await read()
    changes = now
    return last
  }
  async function read(): Promise<Settled[]> {
    const rows = await settled.selectAll().execute()
    if (rows.length === 0) return []
    const nodes = byInstance(await db.selectFrom('nodes').selectAll().where('instance_id', 'in', settled.select('instances.id')).orderBy('ordinal').execute())
    known = new Map(rows.map((row) => {
      const before = known.get(row.id)
      return [row.id, before && isSame(before.row, row) ? before : { row, instance: instanceOf(row) }]
    }))
    // One that has none by now was taken up by an operation between the two.
    return rows.flatMap(({ id }) => nodes.has(id) ? [{ instance: known.get(id)!.instance, nodes: nodes.get(id)! }] : [])
  }
}

function isSame(a: InstanceRow, b: InstanceRow): boolean { return (Object.keys(b) as (keyof InstanceRow)[]).every((column) => a[column] === b[column]) }

export async function nodesOf(db: Reader, instanceIds: readonly string[]): Promise<Map<string, NodeRecord[]>> {
  if (instanceIds.length === 0) return new Map()
  return byInstance(await db.selectFrom('nodes').selectAll().where('instance_id', 'in', instanceIds).orderBy('ordinal').execute())
}

function byInstance(rows: readonly NodeRow[]): Map<string, NodeRecord[]> {
  const nodes = new Map<string, NodeRecord[]>()
  for (const row of rows) {
    const siblings = nodes.get(row.instance_id)
    if (siblings) siblings.push(nodeOf(row))
    else nodes.set(row.instance_id, [nodeOf(row)])
  }
  return nodes
}

export async function setHealth(tx: Tx, id: string, health: Health, cause: string | null, now: number): Promise<void> {
  await tx.updateTable('instances').set({ health, cause, updated_at: now }).where('id', '=', id).execute()
}

export function instanceOf(row: InstanceRow): Instance {
  return {
    id: row.id, projectId: row.project_id, name: row.name, engine: row.engine, version: row.version, runtime: row.runtime, host: row.host,
    spec: specOf(row.spec), endpoints: JSON.parse(row.endpoints), grants: JSON.parse(row.grants), attributes: JSON.parse(row.attributes), tags: JSON.parse(row.tags),
    generation: row.generation, floor: row.floor ?? row.generation, health: row.health, cause: row.cause, readyAt: row.ready_at, crashes: row.crashes,
    createdAt: row.created_at, updatedAt: row.updated_at,
  }
}

function instanceRow(instance: Instance): InstanceRow {
  return {
    id: instance.id, project_id: instance.projectId, name: instance.name, engine: instance.engine, version: instance.version,
    runtime: instance.runtime, host: instance.host, spec: JSON.stringify(instance.spec), attributes: JSON.stringify(instance.attributes),
    tags: JSON.stringify(instance.tags), endpoints: JSON.stringify(instance.endpoints), grants: JSON.stringify(instance.grants),
    generation: instance.generation, floor: instance.floor === instance.generation ? null : instance.floor, health: instance.health, cause: instance.cause,
    ready_at: instance.readyAt, crashes: instance.crashes, created_at: instance.createdAt, updated_at: instance.updatedAt,
  }
}

/** Instances of the first releases had one node and one user, and did not say so. */
const alone = { topology: 'single', shards: 1, replicas: 1, accounts: [] } as const

export function specOf(text: string): Instance['spec'] { return { ...alone, ...JSON.parse(text) } }

function nodeRow(node: NodeRecord): NodeRow {
  return { id: node.id, instance_id: node.instanceId, ordinal: node.ordinal, host: node.host, address: node.address, ports: JSON.stringify(node.ports), listen: node.listen ? JSON.stringify(node.listen) : null }
}

export function nodeOf(row: NodeRow): NodeRecord {
  return { id: row.id, instanceId: row.instance_id, ordinal: row.ordinal, host: row.host, address: row.address, ports: JSON.parse(row.ports), ...row.listen === null ? {} : { listen: JSON.parse(row.listen) } }
}
