/** Where instances and their nodes are found: moving them, and which addresses are held. */
import { endpointAddresses, insertAddresses, instancesByIds, nodeAddresses, nodesOf } from './instances.ts'
import { leftPorts } from '../core/instance.ts'
import type { Database, Tx } from './database.ts'
import type { AddressRow } from './tables.ts'
import type { Places } from '../core/operation.ts'

/** Moves an instance and its nodes; whoever holds an address already has the last word. What they leave is theirs until `releaseLeft`. */
export async function setPlaces(tx: Tx, id: string, { endpoints, ports }: Places): Promise<void> {
  await tx.updateTable('instances').set({ endpoints: JSON.stringify(endpoints) }).where('id', '=', id).execute()
  for (const [node, own] of Object.entries(ports)) await tx.updateTable('nodes').set({ ports: JSON.stringify(own) }).where('id', '=', node).execute()
  const held = new Set((await heldBy(tx, id)).map(keyOfAddress))
  await insertAddresses(tx, (await dueOf(tx, id)).filter((row) => !held.has(keyOfAddress(row))))
}

/** Frees the addresses that an instance and its nodes have left, unless somebody may still listen there. */
export async function releaseLeft(tx: Tx, id: string): Promise<void> {
  if ((await instancesByIds(tx, [id])).get(id)?.grants[leftPorts] !== undefined) return
  const due = new Set((await dueOf(tx, id)).map(keyOfAddress))
  for (const row of (await heldBy(tx, id)).filter((one) => !due.has(keyOfAddress(one)))) {
    await tx.deleteFrom('addresses').where('host', '=', row.host).where('address', '=', row.address).where('port', '=', row.port).execute()
  }
}

const keyOfAddress = ({ host, address, port }: AddressRow): string => `${host} ${address} ${port}`

/** What belongs to an instance and its nodes where they are now. */
async function dueOf(tx: Tx, id: string): Promise<AddressRow[]> {
  const [instance] = (await instancesByIds(tx, [id])).values()
  return instance ? [...((await nodesOf(tx, [id])).get(id) ?? []).flatMap(nodeAddresses), ...endpointAddresses(instance)] : []
}

async function heldBy(tx: Tx, id: string): Promise<AddressRow[]> {
  const nodes = tx.selectFrom('nodes').select('id').where('instance_id', '=', id)
  return tx.selectFrom('addresses').selectAll().where((q) => q.or([q('node_id', '=', id), q('node_id', 'in', nodes)])).execute()
}

/** The addresses that nodes of this host hold: "127.83.1.2:6379". */
export async function takenAddresses(db: Database | Tx, host: string): Promise<Set<string>> {
  const rows = await db.selectFrom('addresses').select(['address', 'port']).where('host', '=', host).execute()
  return new Set(rows.map((row) => `${row.address}:${row.port}`))
}
