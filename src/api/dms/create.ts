/** Reads the body of a creation, in each of its three forms. The order of the rows is the order of the checks. */
import { findFlavor, kafkaVersions, storageCodes, storageOf, type DmsFlavor } from './flavors.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { isAbsent, isObject, isText, uuid, wholeNumber, type Body } from '../json.ts'
import type { Caller, CreateWish } from '../../core/control-plane.ts'
import type { Tag } from '../../core/instance.ts'

/** The wish, or the first thing that is wrong with it. Only the old form may leave out the number of brokers. */
export function readCreate(body: Body, caller: Caller, form: { readonly old: boolean }): CreateWish | Refused {
  for (const [fine, code, why] of checks) if (!fine(body)) return refused(code, why ?? null)
  const flavor = findFlavor(body['product_id'])
  if (!flavor) return refused('DMS.00400009')
  const brokers = readBrokers(flavor, body['broker_num'], form.old)
  if (brokers === null) return refused('DMS.00400062', `broker_num of ${flavor.productId} is ${[...new Set(flavor.brokers)].join(' to ')}`)
  const storage = storageOf(flavor, brokers, body['storage_space'])
  if (storage === null) return refused('DMS.00400500', `storage_space is the total: ${flavor.storage.map((gb) => gb * brokers).join(' to ')} GB for ${brokers} brokers of ${flavor.productId}`)
  const window = maintainWindow(body)
  const tags = readTags(body['tags'])
  if (isRefused(window)) return window
  if (isRefused(tags)) return tags
  const autoTopic = body['enable_auto_topic'] === true || body['enable_auto_topic'] === 'true'
  return {
    caller, engine: 'kafka', names: [body['name'] as string], version: body['engine_version'] as string, tags,
    spec: {
      flavor: flavor.productId, memoryBytes: flavor.memoryBytes, port: null,
      // One group of nodes; which broker has which partition is Kafka's own affair.
      topology: flavor.brokers[1] === 1 ? 'single' : 'cluster', shards: 1, replicas: brokers, nodeCount: brokers, renamedCommands: {}, password: null,
      parameters: { 'auto.create.topics.enable': String(autoTopic) },
    },
    attributes: {
      description: body['description'] ?? null, // Per broker, for an extension brings more of the same.
      storagePerBroker: storage / brokers, storageSpecCode: body['storage_spec_code'],
      vpcId: uuid(body['vpc_id']), subnetId: uuid(body['subnet_id']), securityGroupId: uuid(body['security_group_id']), availableZones: body['available_zones'],
      enterpriseProjectId: isAbsent(body['enterprise_project_id']) ? '0' : String(body['enterprise_project_id']),
      retentionPolicy: isAbsent(body['retention_policy']) ? 'time_base' : body['retention_policy'], autoTopic, ...window,
    },
  }
}

const offOrAbsent = (value: unknown): boolean => isAbsent(value) || value === false || value === 'false'
const flag = (value: unknown): boolean => offOrAbsent(value) || value === true || value === 'true'
const here = 'this release of Sluice cannot do it, and will not pretend to'

/** What would be a lie to accept, for nobody acts on it, is refused by its name. */
const checks: readonly (readonly [fine: (body: Body) => boolean, code: string, why?: string])[] = [
  [(body) => isText(body['name'], 64) && /^[A-Za-z][A-Za-z0-9_-]{3,63}$/.test(body['name']), 'DMS.00400010'],
  [(body) => isAbsent(body['description']) || typeof body['description'] === 'string' && body['description'].length <= 1024, 'DMS.00400011'],
  [(body) => isAbsent(body['description']) || isText(body['description'], 1024), 'DMS.00400062', 'description'],
  [(body) => body['engine'] === 'kafka', 'DMS.00400007'],
  [(body) => (kafkaVersions as readonly unknown[]).includes(body['engine_version']), 'DMS.00400008'],
  [(body) => findFlavor(body['product_id']) === undefined || wholeNumber(body['storage_space'], 100, 1_500_000) !== null, 'DMS.00400500'],
  [(body) => storageCodes.includes(body['storage_spec_code'] as string), 'DMS.00400062', 'storage_spec_code'],
  [(body) => !isAbsent(body['vpc_id']), 'DMS.00400013'],
  [(body) => uuid(body['vpc_id']) !== null, 'DMS.00400068'],
  [(body) => !isAbsent(body['subnet_id']), 'DMS.00400016'],
  [(body) => uuid(body['subnet_id']) !== null, 'DMS.00400018'],
  [(body) => !isAbsent(body['security_group_id']), 'DMS.00400014'],
  [(body) => uuid(body['security_group_id']) !== null, 'DMS.00400046'],
  [(body) => Array.isArray(body['available_zones']) && body['available_zones'].length > 0 && body['available_zones'].every((az) => isText(az, 64) && /^[A-Za-z0-9][\w.-]*$/.test(az)), 'DMS.00400042'],
  [(body) => !oneZone(findFlavor(body['product_id'])) || (body['available_zones'] as unknown[]).length === 1, 'DMS.00400067'],
  [(body) => (body['available_zones'] as unknown[]).length !== 2, 'DMS.00400062', 'available_zones: one, or three and more'],
  [(body) => offOrAbsent(body['ssl_enable']), 'DMS.00400062', `ssl_enable: ${here}`],
  [(body) => offOrAbsent(body['enable_publicip']) && isAbsent(body['publicip_id']), 'DMS.00400128', here],
  [(body) => offOrAbsent(body['ipv6_enable']), 'DMS.00400049', here],
  [(body) => offOrAbsent(body['disk_encrypted_enable']), 'DMS.00400135', here],
  [(body) => offOrAbsent(body['connector_enable']), 'DMS.00400062', `connector_enable: ${here}`],
  [(body) => flag(body['enable_auto_topic']), 'DMS.00400062', 'enable_auto_topic'],
  [(body) => isAbsent(body['retention_policy']) || body['retention_policy'] === 'produce_reject' || body['retention_policy'] === 'time_base', 'DMS.00400062', 'retention_policy'],
  [(body) => isAbsent(body['enterprise_project_id']) || typeof body['enterprise_project_id'] !== 'object' && isText(String(body['enterprise_project_id']), 64), 'DMS.00400062', 'enterprise_project_id'],
  [(body) => isAbsent(body['bss_param']) || isObject(body['bss_param']) && [undefined, null, '', 'postPaid'].includes(body['bss_param']['charging_mode'] as string), 'DMS.00400062', 'bss_param'],
]

/** A single broker and the old products live in one zone. */
function oneZone(flavor: DmsFlavor | undefined): boolean { return flavor !== undefined && (flavor.brokers[1] === 1 || flavor.specCode !== null) }

function readBrokers({ brokers: [least, most], specCode }: DmsFlavor, value: unknown, old: boolean): number | null {
  // Where only one number is possible, leaving it out leaves nothing open.
  if (isAbsent(value)) return old || specCode !== null || least === most ? least : null
  return wholeNumber(value, least, most)
}

/** Four hours from 22, 02, 06, 10, 14 or 18 o'clock UTC; 02 to 06 when nothing is said. */
export function maintainWindow(body: Body): { readonly maintainBegin: string; readonly maintainEnd: string } | Refused {
  const [begin, end] = [body['maintain_begin'], body['maintain_end']]
  if (isAbsent(begin) && isAbsent(end)) return { maintainBegin: '02:00:00', maintainEnd: '06:00:00' }
  const [from, to] = [hour(begin), hour(end)]
  if (from === null || to === null || from % 4 !== 2 || (to - from + 24) % 24 !== 4) return refused('DMS.00400106')
  return { maintainBegin: `${String(from).padStart(2, '0')}:00:00`, maintainEnd: `${String(to).padStart(2, '0')}:00:00` }
}

function hour(value: unknown): number | null {
  return typeof value === 'string' && /^([01]\d|2[0-3]):00(:00)?$/.test(value) ? Number(value.slice(0, 2)) : null
}

/** Keys 1 to 128, values up to 255, no key twice. */
export function readTags(value: unknown): readonly Tag[] | Refused {
  if (isAbsent(value)) return []
  if (!Array.isArray(value)) return refused('DMS.00400062', 'tags')
  if (value.length > 20) return refused('DMS.00400062', 'tags: at most 20')
  const tags: Tag[] = []
  for (const tag of value) {
    const key = isObject(tag) ? tag['key'] : undefined
    const text = isObject(tag) ? tag['value'] ?? '' : undefined
    if (!isText(key, 128) || key === '') return refused('DMS.10240035')
    if (!/^[\p{L}\p{N} _.:=+\-@]+$/u.test(key) || key !== key.trim() || key.startsWith('_sys_')) return refused('DMS.10240036')
    if (typeof text !== 'string' || text.length > 255) return refused('DMS.10240038')
    if (!/^[\p{L}\p{N} _.:=+\-@/]*$/u.test(text) || text !== text.trim()) return refused('DMS.10240039')
    if (tags.some((other) => other.key === key)) return refused('DMS.10240045')
    tags.push({ key, value: text })
  }
  return tags
}
