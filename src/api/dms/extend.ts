/** Reads the body of POST …/extend: more brokers of the same product, for an instance that goes on serving. */
import { findFlavor, storageOf } from './flavors.ts'
import { refused, type Refused } from './errors.ts'
import { isAbsent, wholeNumber, type Body } from '../json.ts'
import type { View } from '../../core/control-plane.ts'

const kinds = ['storage', 'horizontal', 'vertical', 'node']
const here = 'this release of Sluice cannot do it, and will not pretend to'

/** How many brokers there shall be, or the first thing that is wrong. A shrinking is documented as impossible. */
export function readExtend(body: Body, { instance: { spec, attributes } }: View): number | Refused {
  const kind = body['oper_type']
  if (!kinds.includes(kind as string)) return refused('DMS.00400062', 'oper_type must be storage, horizontal or vertical')
  if (kind !== 'horizontal') return refused('DMS.00400062', `oper_type ${kind}: ${here}; horizontal adds brokers`)
  for (const name of ['tenant_ips', 'second_tenant_subnet_id', 'new_product_id']) if (!isAbsent(body[name])) return refused('DMS.00400062', `${name}: ${here}`)
  if (!isAbsent(body['publicip_id'])) return refused('DMS.00400128', here)
  const flavor = findFlavor(spec.flavor)
  const [, most] = flavor?.brokers ?? [1, 1]
  if (most <= spec.nodeCount) return refused('DMS.00400062', `oper_type: ${spec.flavor} has at most ${most} brokers`)
  const brokers = wholeNumber(body['new_broker_num'], spec.nodeCount + 1, most)
  if (brokers === null) return refused('DMS.00400062', `new_broker_num must be ${spec.nodeCount + 1} to ${most}: brokers can only be added`)
  // Terraform leaves it out. What it can be follows from the number of brokers.
  const total = Math.round(Number(attributes['storagePerBroker']) * brokers)
  if (!isAbsent(body['new_storage_space']) && (storageOf(flavor!, brokers, body['new_storage_space']) === null || body['new_storage_space'] !== total)) return refused('DMS.00400500', `new_storage_space must be ${total}: the storage of a broker stays as it is`)
  return brokers
}
