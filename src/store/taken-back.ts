/** What becomes of an instance's settings when an operation that had changed them fails. */
import { setGrants } from './instances.ts'
import { setPlaces } from './places.ts'
import { closing, formerNames, unsettled, type Grants, type Spec } from '../core/instance.ts'
import { formerOf, type Operation } from '../core/operation.ts'
import type { Tx } from './database.ts'

/**
 * The spec is what it was before. `well`: servers have that as well, and prove it. Otherwise some may have the other one, or what they
 * were told before a stop that did not come: that is granted, and a recovery has it put right.
 */
export async function takeBack(tx: Tx, { action, instanceId, memo }: Operation, well: boolean): Promise<void> {
  const former = formerOf(memo)
  const row = await tx.selectFrom('instances').select(['spec', 'attributes', 'grants']).where('id', '=', instanceId).executeTakeFirst()
  if (!row || !former && action !== 'restore') return
  const [spec, attributes, { [formerNames]: names, ...grants }] = [JSON.parse(row.spec), JSON.parse(row.attributes), JSON.parse(row.grants) as Grants]
  // No file knows the former names any more, and every node starts with the new ones.
  if (action === 'rename' && names === undefined) return
  if (!well && action !== 'shrink' && action !== 'rename') await setGrants(tx, instanceId, { ...grants, [unsettled]: JSON.stringify({ ...unsettledIn(grants), ...only(spec, Object.keys(former?.spec ?? {})) }) })
  if (action === 'rename') await setGrants(tx, instanceId, grants)
  if (action === 'shrink') await setGrants(tx, instanceId, Object.fromEntries(Object.entries(grants).filter(([name]) => name !== closing)))
  if (!former) return
  await tx.updateTable('instances').set({ spec: JSON.stringify({ ...spec, ...former.spec }), attributes: JSON.stringify({ ...attributes, ...former.attributes }) }).where('id', '=', instanceId).execute()
  if (former.places) await setPlaces(tx, instanceId, former.places)
}

const unsettledIn = (grants: Grants): Partial<Spec> => JSON.parse(grants[unsettled] ?? '{}') as Partial<Spec>

/** Null, not absent, for what there is none of: JSON has no other word for it. */
const only = (spec: Readonly<Record<string, unknown>>, names: readonly string[]): Readonly<Record<string, unknown>> => Object.fromEntries(names.map((name) => [name, spec[name] ?? null]))
