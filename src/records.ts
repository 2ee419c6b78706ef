/** Networks: kept, seeded once a project, and never enforced. */
import { createHash } from 'node:crypto'
import { appendAudit } from './store/audit.ts'
import { inTurn, transact, type Database, type Tx } from './store/database.ts'
import { deleteRecord, insertRecords, listRecords, recordById, recordsOf, recordsOfKind, updateRecord } from './store/records.ts'
import { newGroup } from './api/network/groups.ts'
import type { NetworkRecordRow } from './store/tables.ts'
import type { Kind, NetworkRecord, NewRecord, Records } from './api/records.ts'
import type { Tag } from './core/instance.ts'

/** What the documents of the Internet may use as examples (RFC 5737): nobody is ever reached there. */
const examples = ['198.51.100', '203.0.113', '192.0.2']

export interface RecordsOptions {
  /** The name of each project's first subnet. */
  readonly subnet: string
  readonly region: string
  /** Where instances really get their addresses from, `127.70.1.0/24`; absent: not known beforehand. */
  readonly network?: () => Promise<string>
}

/** Whoever shows instances asks for what their networks are called, with every request. What another control plane changed is seen after this. */
const freshMs = 2000
/** Projects are forgotten when so many are kept. */
const sweepAt = 1000

export function networkRecords(db: Database, { subnet, region, network }: RecordsOptions): Records {
  const seeded = new Set<string>()
  const fresh = new Map<string, { readonly until: number; readonly known: Promise<ReadonlyMap<string, NetworkRecord>> }>()

  async function readKnown(projectId: string): Promise<ReadonlyMap<string, NetworkRecord>> {
    const rows = (await Promise.all((['vpc', 'subnet', 'security_group'] as const).map((kind) => listRecords(db, projectId, kind)))).flat()
    return new Map((await Promise.all(rows.map((row) => placed(recordOf(row))))).map((record) => [record.id, record]))
  }

  async function seed(projectId: string): Promise<void> {
    if (seeded.has(projectId)) return
    await transact(db, async (tx) => {
      const at = Date.now()
      // The mark stays when what it stands for was deleted.
      const mark = { id: seedId(projectId, 'mark'), project_id: projectId, kind: 'seed', parent: '', name: '', fields: '{}', tags: '[]', created_at: at }
      if (await insertRecords(tx, [mark]) === 0) return
      const vpc = seedId(projectId, 'vpc')
      const group = newGroup(seedId(projectId, 'group'), 'default', 'default: a record, which nothing enforces')
      await insertRecords(tx, [
        { id: vpc, kind: 'vpc' as const, parent: '', name: 'vpc-default', fields: { description: 'a record, which nothing enforces' } },
        {
          id: seedId(projectId, 'subnet'), kind: 'subnet' as const, parent: vpc, name: subnet,
          fields: { dhcp_enable: true, primary_dns: '100.125.4.25', secondary_dns: '100.125.129.199', availability_zone: `${region}-01`, neutron_subnet_id: seedId(projectId, 'neutron subnet'), description: 'a record, which nothing enforces' },
        },
        ...group,
      ].map((record) => rowOf(projectId, record, at)))
    })
    seeded.add(projectId)
    fresh.delete(projectId)
  }

  /** The first ones have no range of their own: theirs is told when it is asked for, so that a `private_ip` out of it can be had. */
  async function placed(record: NetworkRecord): Promise<NetworkRecord> {
    if (record.kind !== 'vpc' && record.kind !== 'subnet' || record.fields['cidr'] !== undefined) return record
    const cidr = await network?.()
    if (record.kind === 'vpc') return { ...record, fields: { cidr: cidr === undefined ? '192.168.0.0/16' : '127.64.0.0/10', ...record.fields } }
    const range = cidr ?? '192.168.0.0/24'
    return { ...record, fields: { cidr: range, gateway_ip: range.replace(/\d+\/\d+$/, '1'), ...record.fields } }
  }

  return {
    async list(projectId, kind) {
      await seed(projectId)
      return Promise.all((await listRecords(db, projectId, kind)).map((row) => placed(recordOf(row))))
    },
    async get(projectId, kind, id) {
      await seed(projectId)
      const row = await recordById(db, projectId, kind, id.toLowerCase())
      return row && placed(recordOf(row))
    },
    known(projectId) {
      const before = fresh.get(projectId)
      if (before && before.until > performance.now()) return before.known
      if (fresh.size >= sweepAt) fresh.clear()
      const known = readKnown(projectId)
      fresh.set(projectId, { until: performance.now() + freshMs, known })
      known.catch(() => fresh.delete(projectId))
      return known
    },
    async create(caller, records) {
      await seed(caller.projectId)
      return transact(db, async (tx) => {
        await inTurn(tx, 'network')
        const at = Date.now()
        const complete: NewRecord[] = []
        for (const record of records) {
          const address = record.kind === 'public_ip' && !record.fields['public_ip_address'] ? await freeAddress(tx) : undefined
          if (address === null) return null
          complete.push(address === undefined ? record : { ...record, fields: { ...record.fields, public_ip_address: address } })
        }
        const rows = complete.map((record) => rowOf(caller.projectId, record, at))
        await insertRecords(tx, rows)
        await audit(tx, caller.projectId, caller.userName, 'created', rows[0]!)
        return rows.map(recordOf)
      }).finally(() => fresh.delete(caller.projectId))
    },
    async update(caller, kind, id, { name, fields, tags }) {
      const updated = await transact(db, async (tx) => {
        await inTurn(tx, 'network')
        const row = await recordById(tx, caller.projectId, kind, id.toLowerCase())
        if (!row) return null
        const next = { name: name ?? row.name, fields: fields ? JSON.stringify({ ...JSON.parse(row.fields), ...fields }) : row.fields, tags: tags ? JSON.stringify(tags) : row.tags }
        await updateRecord(tx, row.id, next)
        await audit(tx, caller.projectId, caller.userName, 'updated', row)
        return recordOf({ ...row, ...next })
      }).finally(() => fresh.delete(caller.projectId))
      return updated && placed(updated)
    },
    remove: (caller, kind, id) => transact(db, async (tx) => {
      await inTurn(tx, 'network')
      const row = await recordById(tx, caller.projectId, kind, id.toLowerCase())
      if (!row) return 'unknown'
      if (kind === 'vpc' && (await recordsOf(tx, row.id, 'subnet')).length > 0) return 'in use'
      await deleteRecord(tx, row.id)
      await audit(tx, caller.projectId, caller.userName, 'deleted', row)
      return 'removed'
    }).finally(() => fresh.delete(caller.projectId)),
  }
}

async function audit(tx: Tx, projectId: string, actor: string, what: string, { kind, id, name }: NetworkRecordRow): Promise<void> {
  await appendAudit(tx, [{ at: Date.now(), actor, projectId, action: `${kind}.${what}`, instanceId: '', operationId: '', detail: name === '' ? id : `${name} ${id}` }])
}

async function freeAddress(tx: Tx): Promise<string | null> {
  const taken = new Set((await recordsOfKind(tx, 'public_ip')).map((row) => (JSON.parse(row.fields) as { public_ip_address: string }).public_ip_address))
  for (const block of examples) for (let n = 1; n < 255; n += 1) if (!taken.has(`${block}.${n}`)) return `${block}.${n}`
  return null
}

/** The same in every answer of every control plane, also before it is written. */
function seedId(projectId: string, what: string): string {
  const hex = createHash('sha256').update(`sluice ${projectId} ${what}`).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

function rowOf(projectId: string, { id, kind, parent, name, fields }: NewRecord, at: number): NetworkRecordRow {
  return { id, project_id: projectId, kind, parent, name, fields: JSON.stringify(fields), tags: '[]', created_at: at }
}

function recordOf(row: NetworkRecordRow): NetworkRecord {
  return { id: row.id, kind: row.kind as Kind, parent: row.parent, name: row.name, fields: JSON.parse(row.fields) as Record<string, unknown>, tags: JSON.parse(row.tags) as Tag[], createdAt: row.created_at }
}
