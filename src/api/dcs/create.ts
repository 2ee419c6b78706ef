/** Reads the body of POST …/instances, of both versions of the API. The order of the rows is the order of the checks. */
import { isIPv4 } from 'node:net'
import { dcsFlavors, redisVersions, unsoldReason, type DcsFlavor } from './flavors.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { maintainWindow, parameters, password, readTags, renamedCommands, type Window } from './fields.ts'
import { readBackupPolicy } from './policy.ts'
import { speaksTls } from './translate.ts'
import { isAbsent, isObject, isText, numberIn, uuid, wholeNumber, type Body } from '../json.ts'
import type { Caller, CreateWish } from '../../core/control-plane.ts'

/** The maintenance window of who names none; the two versions have their own. */
const usualWindow: Window = { begin: '18:00:00', end: '19:00:00' }
const usualWindowV1: Window = { begin: '02:00:00', end: '06:00:00' }

/** Products by the names that they had before there were spec codes; OpenStack's command line knows no others. */
const oldProducts: Readonly<Record<string, { readonly old: string; readonly current: string }>> = {
  OTC_DCS_SINGLE: { old: 'dcs.single_node', current: 'redis.single.xu1.large.' }, OTC_DCS_MS: { old: 'dcs.master_standby', current: 'redis.ha.xu1.large.r2.' }, OTC_DCS_CL: { old: 'dcs.cluster', current: 'redis.cluster.xu1.large.r2.' },
}

/** The same wish in the words of v1.0, in those of v2. Where it names no zone, as that command line does not, it gets the first. */
export function fromV1(body: Body, zones: readonly string[]): Body {
  const { available_zones: given, private_ips: addresses, product_id: product, spec_code: code, ...rest } = body
  const old = typeof product === 'string' && Object.hasOwn(oldProducts, product) ? oldProducts[product] : undefined
  const ordered = old ? (body['engine_version'] === '3.0' ? old.old : `${old.current}${String(body['capacity'])}`) : String(product).replace(/-h$/, '')
  return { ...rest, spec_code: isAbsent(code) ? ordered : code, az_codes: given ?? body['az_codes'] ?? zones.slice(0, 1), private_ip: Array.isArray(addresses) && addresses.length <= 1 ? addresses[0] : addresses ?? body['private_ip'] }
}

/** The wish, or the first thing that is wrong with it; `v1`: of a request to v1.0. */
export function readCreate(body: Body, caller: Caller, v1 = false): CreateWish | Refused {
  const count = isAbsent(body['instance_num']) ? 1 : wholeNumber(body['instance_num'], 1, 100)
  if (count === null) return refused('DCS.4062', 'instance_num')
  const name = body['name']
  if (!isText(name, count > 1 ? 56 : 64) || !/^[A-Za-z0-9][A-Za-z0-9_-]{3,}$/.test(name)) return refused('DCS.4010')
  if (typeof body['engine'] !== 'string' || body['engine'].toLowerCase() !== 'redis') return refused('DCS.4006')
  const version = body['engine_version']
  if (!(redisVersions as readonly unknown[]).includes(version)) return refused('DCS.4008')
  const flavor = readFlavor(body, version as string)
  if (isRefused(flavor)) return flavor
  for (const check of refusals) {
    const found = check(body, version as string)
    if (found) return found
  }
  const secret = password(body)
  const window = maintainWindow(body, v1 ? usualWindowV1 : usualWindow)
  const tags = readTags(body['tags'])
  const renamed = renamedCommands(body['rename_commands'])
  const settings = parameters(body['redis_config'])
  const backup = readBackupPolicy(body['instance_backup_policy'], flavor.topology, null, Date.now())
  for (const part of [secret, window, tags, renamed, settings, backup]) if (isRefused(part)) return part
  const { begin, end } = window as Exclude<typeof window, Refused>
  return {
    caller, engine: 'redis', version: version as string,
    names: count === 1 ? [name] : Array.from({ length: count }, (_, n) => `${name}-${String(n).padStart(3, '0')}`),
    spec: {
      flavor: flavor.specCode, memoryBytes: flavor.memoryBytes,
      topology: flavor.topology, shards: flavor.shards, replicas: flavor.replicas, nodeCount: flavor.shards * flavor.replicas,
      port: isAbsent(body['port']) ? null : numberIn(body['port'], 1, 65535),
      parameters: settings as Exclude<typeof settings, Refused>, renamedCommands: renamed as Exclude<typeof renamed, Refused>,
      password: secret as Exclude<typeof secret, Refused>,
    },
    attributes: {
      capacity: flavor.capacity, description: body['description'] ?? null, vpcId: uuid(body['vpc_id']), subnetId: uuid(body['subnet_id']),
      securityGroupId: version === '3.0' ? uuid(body['security_group_id']) : null, backupPolicy: backup, azCodes: body['az_codes'], maintainBegin: begin, maintainEnd: end,
      enterpriseProjectId: isAbsent(body['enterprise_project_id']) ? '0' : String(body['enterprise_project_id']),
      enterpriseProjectName: body['enterprise_project_name'] ?? null,
    },
    tags: tags as Exclude<typeof tags, Refused>,
    ...body['enable_ssl'] === true ? { tls: true } : {},
    ...isAbsent(body['private_ip']) ? {} : { address: body['private_ip'] as string },
  }
}

function readFlavor(body: Body, version: string): DcsFlavor | Refused {
  const specCode = body['spec_code']
  const rows = dcsFlavors.filter((row) => row.specCode === specCode && row.versions.includes(version))
  if (rows.length === 0) return refused('DCS.4927', undefined, (typeof specCode === 'string' && unsoldReason(specCode)) || undefined)
  return rows.find((row) => row.capacity === body['capacity']) ?? refused('DCS.4012')
}

type Check = (body: Body, version: string) => Refused | null
const unless = (fine: boolean, ...why: Parameters<typeof refused>): Refused | null => fine ? null : refused(...why)
const offOrAbsent = (value: unknown): boolean => isAbsent(value) || value === false
const here = 'this release of Sluice cannot do it, and will not pretend to'

/** What would be a lie to accept, for nobody acts on it, is refused by its name. */
const refusals: readonly Check[] = [
  (body) => unless(Array.isArray(body['az_codes']) && body['az_codes'].length >= 1 && body['az_codes'].length <= 8 && body['az_codes'].every((az) => isText(az, 64) && /^[A-Za-z0-9][\w.-]*$/.test(az)), 'DCS.4062', 'az_codes'),
  (body) => unless(uuid(body['vpc_id']) !== null, 'DCS.4013'),
  (body) => unless(uuid(body['subnet_id']) !== null, 'DCS.4016'),
  // Later versions have none: clients send what they like.
  (body, version) => unless(version !== '3.0' || isAbsent(body['security_group_id']) || uuid(body['security_group_id']) !== null, 'DCS.4014'),
  (body) => unless(isAbsent(body['description']) || typeof body['description'] === 'string' && body['description'].length <= 1024, 'DCS.4011'),
  (body) => unless(isAbsent(body['description']) || isText(body['description'], 1024), 'DCS.4062', 'description'),
  (body) => unless(isAbsent(body['enterprise_project_id']) || isText(String(body['enterprise_project_id']), 64) && typeof body['enterprise_project_id'] !== 'object', 'DCS.4062', 'enterprise_project_id'),
  (body) => unless(isAbsent(body['enterprise_project_name']) || isText(body['enterprise_project_name'], 256), 'DCS.4062', 'enterprise_project_name'),
  (body, version) => unless(isAbsent(body['port']) || version !== '3.0' && numberIn(body['port'], 1, 65535) !== null, 'DCS.4062', 'port'),
  (body) => unless(isAbsent(body['private_ip']) || typeof body['private_ip'] === 'string' && isIPv4(body['private_ip']), 'DCS.4062', 'private_ip'),
  (body) => unless(isAbsent(body['private_ip']) || isAbsent(body['instance_num']) || body['instance_num'] === 1, 'DCS.4062', 'private_ip', 'one address is for one instance'),
  (body) => unless(isAbsent(body['private_ip']) || !String(body['spec_code']).startsWith('redis.cluster.'), 'DCS.4062', 'private_ip', 'a cluster has an address for each node'),
  (body) => unless(offOrAbsent(body['enable_publicip']), 'DCS.4062', 'enable_publicip', here),
  (body) => unless(isAbsent(body['publicip_id']), 'DCS.4062', 'publicip_id', here),
  (body, version) => unless(offOrAbsent(body['enable_ssl']) || body['enable_ssl'] === true && speaksTls(version), 'DCS.4062', 'enable_ssl', typeof body['enable_ssl'] === 'boolean' ? 'Redis has it from 6.0 on' : undefined),
  (body) => unless(isAbsent(body['access_user']), 'DCS.4844'),
  (body) => {
    const param = body['spec_param']
    if (isAbsent(param)) return null
    const flavor = isObject(param) ? dcsFlavors.find((row) => row.specCode === body['spec_code'] && row.capacity === body['capacity']) : undefined
    const fits = (name: string, value: unknown): boolean => isAbsent((param as Body)[name]) || (param as Body)[name] === value
    return unless(flavor !== undefined && fits('cache_mode', flavor.topology) && fits('replica_count', flavor.replicas) && fits('sharding_count', flavor.shards), 'DCS.4062', 'spec_param', 'the numbers follow from spec_code')
  },
  (body) => {
    const param = body['bss_param']
    const mode = isObject(param) ? param['charging_mode'] : undefined
    return unless(isAbsent(param) || isObject(param) && (isAbsent(mode) || mode === 'postPaid'), 'DCS.4062', 'bss_param')
  },
]
