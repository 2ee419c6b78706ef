/** More or fewer nodes: POST …/resize, and its older twin …/extend. */
import { bodyOf, declines, dryRunOf, idOf, instanceOf, type Row } from './call.ts'
import { dcsFlavors, mostReplicas, unsoldReason, type DcsFlavor } from './flavors.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { nodeId } from './nodes.ts'
import { refusalCode } from './batch.ts'
import { noContent, ok, type Call, type Caller, type Reply } from '../http.ts'
import { isAbsent, isObject, isText, type Body } from '../json.ts'
import { planBody } from '../plan.ts'
import type { ControlPlane, ResizeWish, View } from '../../core/control-plane.ts'
import type { NodeRecord, Spec } from '../../core/instance.ts'

/** Of all nodes of the largest cluster. */
const mostAddresses = 128 * mostReplicas
const changeTypes = ['createReplication', 'deleteReplication', 'addSharding', 'instanceType'] as const

export const resizeRows: readonly Row[] = [
  ['POST', '/v2/:project_id/instances/:instance_id/resize', 'dcs:instance:scale', resize],
  ['POST', '/v1.0/:project_id/instances/:instance_id/extend', 'dcs:instance:scale', extend],
  ['POST', '/v2/:project_id/instances/:instance_id/resize/check-job', 'dcs:instance:scale', checkResize],
  ['POST', '/v2/:project_id/orders/instances/:instance_id/resize', 'dcs:instance:scale', declines('DCS.4102', 'no instance here is prepaid, so there is nothing to order: resize it with POST …/resize')],
  ['GET', '/v2/:project_id/instances/:instance_id/operations', 'dcs:instance:get', listOperations],
]

async function resize(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const id = idOf(call)
  if (isRefused(id)) return id
  const body = bodyOf(call)
  if (isRefused(body)) return body
  const [dryRun, handOver] = [dryRunOf(call), call.query.get('hand_over') === 'true']
  if (isRefused(dryRun)) return dryRun
  const problem = badForm(body as Body)
  if (problem) return problem
  const view = await instanceOf(plane, call, caller)
  return isRefused(view) ? view : resizeTo(plane, caller, view, body as Body, { dryRun, handOver })
}

async function resizeTo(plane: ControlPlane, caller: Caller, view: View, body: Body, { dryRun, handOver }: { readonly dryRun: boolean; readonly handOver: boolean }): Promise<Reply | Refused> {
  const numbers = readChange(body, view, handOver)
  // Of an instance that is being changed, its state is the answer, not what its numbers happen to be now.
  if (isRefused(numbers)) return stateRefusal(view) ?? numbers
  // Its servers are asked whether the rest has room, and while it is being changed they may have other answers.
  const early = (numbers.shards ?? Infinity) < view.instance.spec.shards ? stateRefusal(view) : null
  if (early) return early
  const whose = { caller, engine: 'redis', id: view.instance.id, dryRun } as const
  const answer = await ('leaving' in numbers ? plane.resize({ ...whose, ...numbers }) : plane.change({
    ...whose, action: 'rescale', spec: { flavor: numbers.specCode, memoryBytes: numbers.memoryBytes }, attributes: { capacity: numbers.capacity }, detail: numbers.specCode,
  }))
  if (typeof answer === 'string') return refused('DCS.4911', undefined, answer)
  if ('refusal' in answer) return refused(refusalCode('resize', answer.refusal), undefined, 'reason' in answer.refusal ? answer.refusal.reason : undefined)
  return 'plan' in answer ? ok({ plan: planBody(answer.plan) }) : noContent
}

/** v1.0 knows more memory only; a client that names no flavor means the same one, larger. */
async function extend(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const [id, dryRun] = [idOf(call), dryRunOf(call)]
  if (isRefused(id)) return id
  if (isRefused(dryRun)) return dryRun
  const given = bodyOf(call)
  if (isRefused(given)) return given
  const capacity = (given as Body)['new_capacity']
  if (typeof capacity !== 'number' || !(capacity > 0)) return refused('DCS.4012')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  if (!(capacity > (view.instance.attributes['capacity'] as number))) return stateRefusal(view) ?? refused('DCS.4103', undefined, 'new_capacity must be more than the instance has')
  const { spec, version } = view.instance
  const larger = dcsFlavors.find((row) => row.capacity === capacity && row.topology === spec.topology && row.replicas === spec.replicas && row.versions.includes(version))
  if (isAbsent((given as Body)['spec_code']) && !larger) return stateRefusal(view) ?? refused('DCS.4012')
  const body = { new_capacity: capacity, spec_code: isAbsent((given as Body)['spec_code']) ? larger!.specCode : (given as Body)['spec_code'] }
  return badForm(body) ?? resizeTo(plane, caller, view, body, { dryRun, handOver: false })
}

/** Whether a change of size could be had, as a job: what is wrong with the wish itself is said at once. */
async function checkResize(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const id = idOf(call)
  if (isRefused(id)) return id
  const body = bodyOf(call)
  if (isRefused(body)) return body
  const problem = badForm(body as Body)
  if (problem) return problem
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const numbers = readChange(body as Body, view, false)
  if (isRefused(numbers)) return stateRefusal(view) ?? numbers
  const { memoryBytes, shards } = { ...view.instance.spec, ...numbers }
  const answer = await plane.change({ caller, engine: 'redis', id, action: 'check', spec: {}, detail: String((body as Body)['spec_code']), memo: { memoryBytes, shards } })
  if ('refusal' in answer) return refused(refusalCode('resize', answer.refusal))
  return ok({ job_id: 'operation' in answer ? answer.operation.id : null })
}

/** Whether an operation could begin now. */
async function listOperations(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const wanted = call.query.get('operation') || 'extend'
  if (wanted !== 'extend') return refused('DCS.4062', 'operation')
  const hindrance = stateRefusal(view)
  return ok({ instance_id: view.instance.id, operations: [{ operation: wanted, is_support: hindrance === null, ...hindrance ? { cause_id: hindrance.code } : {} }] })
}

function stateRefusal({ status, open }: View): Refused | null {
  return status === 'running' && !open ? null : refused(refusalCode('resize', open ? { kind: 'busy', status, action: open.action } : { kind: 'state', status }))
}

const onlyForFewer = 'it says which nodes stay when a cluster gets fewer shards, which needs no change_type'
type Check = (body: Body) => Refused | null
const unless = (fine: boolean, ...why: Parameters<typeof refused>): Refused | null => fine ? null : refused(...why)
const texts = (value: unknown, most: number): boolean => Array.isArray(value) && value.length >= 1 && value.length <= most && value.every((one) => isText(one, 64) && one !== '')

/** What can be said without the instance. The order of the rows is the order of the checks. */
const checks: readonly Check[] = [
  (body) => unless(isAbsent(body['change_type']) || (changeTypes as readonly unknown[]).includes(body['change_type']), 'DCS.4062', 'change_type'),
  (body) => unless(body['change_type'] !== 'instanceType', 'DCS.4200', undefined, 'proxy and read/write splitting need a proxy, which Sluice does not have'),
  (body) => unless(typeof body['spec_code'] === 'string' && body['spec_code'] !== '', 'DCS.4927'),
  (body) => {
    const replicas = /^redis\.(?:ha|cluster)\.xu1\.(?:tiny|large)\.r(\d{1,3})\./.exec(body['spec_code'] as string)?.[1]
    return unless(body['change_type'] !== 'createReplication' || replicas === undefined || Number(replicas) <= mostReplicas, 'DCS.4875')
  },
  (body) => unless(dcsFlavors.some((row) => row.specCode === body['spec_code']), 'DCS.4927', undefined, unsoldReason(String(body['spec_code'])) ?? undefined),
  (body) => unless(typeof body['new_capacity'] === 'number', 'DCS.4012'),
  // Nobody waits for a maintenance window here.
  (body) => unless(isAbsent(body['execute_immediately']) || body['execute_immediately'] === true, 'DCS.4062', 'execute_immediately', 'it is done at once or not at all'),
  (body) => unless(isAbsent(body['bss_param']) || isObject(body['bss_param']), 'DCS.4062', 'bss_param'),
  (body) => unless(isAbsent(body['reserved_ip']) || texts(body['reserved_ip'], mostAddresses), 'DCS.4062', 'reserved_ip', 'it must hold the addresses of nodes that stay'),
  (body) => unless(isAbsent(body['reserved_ip']) || isAbsent(body['change_type']), 'DCS.4062', 'reserved_ip', onlyForFewer),
  (body) => unless(isAbsent(body['available_zones']) || texts(body['available_zones'], 8), 'DCS.4933'),
  (body) => unless(body['change_type'] !== 'createReplication' || !isAbsent(body['available_zones']), 'DCS.4933'),
  (body) => unless(isAbsent(body['node_list']) || texts(body['node_list'], 1), 'DCS.4930', undefined, 'one node at a time'),
]

function badForm(body: Body): Refused | null {
  for (const check of checks) {
    const found = check(body)
    if (found) return found
  }
  return null
}

/** What the new flavor means for this instance, or why it cannot have it; the flavor itself, where only the memory is another. */
function readChange(body: Body, view: View, handOver: boolean): Pick<ResizeWish, 'shards' | 'replicas' | 'leaving' | 'flavor' | 'memoryBytes' | 'attributes'> | DcsFlavor | Refused {
  const { spec, version, attributes } = view.instance
  const rows = dcsFlavors.filter((row) => row.specCode === body['spec_code'] && row.versions.includes(version))
  if (rows.length === 0) return refused('DCS.4927', undefined, `it is not for Redis ${version}`)
  const flavor = rows.find((row) => row.capacity === body['new_capacity'])
  if (!flavor) return refused('DCS.4012')
  if (flavor.topology !== spec.topology) return refused('DCS.4200', undefined, 'single, ha and cluster do not turn into each other')
  const change = body['change_type']
  const bigger = flavor.capacity !== attributes['capacity']
  if (!bigger && flavor.replicas === spec.replicas) return refused('DCS.4103', undefined, 'the instance has this flavor already')
  // Clients that only name another flavor mean the shards that come with it.
  if (isAbsent(change) && flavor.shards < spec.shards) return fewerShards(body, flavor, view)
  if (!isAbsent(body['reserved_ip'])) return refused('DCS.4062', 'reserved_ip', onlyForFewer)
  if (change === 'addSharding' || isAbsent(change) && bigger && flavor.shards > spec.shards) return moreShards(flavor, view)
  if (bigger) {
    if (flavor.replicas !== spec.replicas) return refused('DCS.4102', undefined, 'memory and replicas change in separate calls')
    if (!isAbsent(change)) return refused('DCS.4102', undefined, 'memory changes without a change_type')
    return flavor
  }
  if (isAbsent(change)) return refused('DCS.4062', 'change_type', 'it must be createReplication or deleteReplication')
  const numbers = { shards: spec.shards, replicas: flavor.replicas, flavor: flavor.specCode }
  if (change === 'createReplication') return flavor.replicas > spec.replicas ? { ...numbers, leaving: [] } : refused('DCS.4927', undefined, `the instance has ${spec.replicas} replicas already`)
  if (flavor.replicas >= spec.replicas) return refused('DCS.4927', undefined, `the instance has ${spec.replicas} replicas`)
  const leaving = spec.topology === 'cluster' ? lastReplicas(flavor, view) : oneReplica(body, flavor, view, handOver)
  return isRefused(leaving) ? leaving : unfit(leaving, view) ?? { ...numbers, leaving: leaving.map((node) => node.id) }
}

/** Whether some resize leads from what the instance is to this flavor. */
export function reachable(flavor: DcsFlavor, { instance: { spec, version, attributes } }: View): boolean {
  if (flavor.topology !== spec.topology || !flavor.versions.includes(version)) return false
  if (flavor.capacity === attributes['capacity']) return flavor.replicas !== spec.replicas
  return flavor.replicas === spec.replicas
}

function moreShards(flavor: DcsFlavor, { instance: { spec } }: View): ReturnType<typeof readChange> {
  if (spec.topology !== 'cluster' || flavor.shards <= spec.shards) return refused('DCS.4102', undefined, spec.topology === 'cluster' ? 'addSharding is for more shards; fewer come without a change_type' : 'only a cluster has shards')
  return otherShards(flavor, spec, [])
}

/** Those that the caller wants to keep stay, and of the others those with the lowest numbers. */
function fewerShards(body: Body, flavor: DcsFlavor, { instance: { spec }, nodes, roles }: View): ReturnType<typeof readChange> {
  const shardOf = (node: NodeRecord): number => roles.get(node.id)?.shard ?? 0
  const kept = new Set<number>()
  for (const address of isAbsent(body['reserved_ip']) ? [] : body['reserved_ip'] as string[]) {
    const named = nodes.filter((node) => node.address === address)
    if (named.length === 0) return refused('DCS.4062', 'reserved_ip', `no node of the instance has the address ${address}`)
    for (const node of named) kept.add(shardOf(node))
  }
  if (kept.size > flavor.shards && new Set(nodes.map(({ address }) => address)).size === 1) return refused('DCS.4062', 'reserved_ip', 'all nodes share one address here, which names none of them: leave it out, and the shards with the highest numbers go')
  if (kept.size > flavor.shards) return refused('DCS.4062', 'reserved_ip', `these are nodes of ${kept.size} shards, and ${flavor.shards} stay`)
  for (const shard of nodes.map(shardOf).toSorted((a, b) => a - b)) if (kept.size < flavor.shards) kept.add(shard)
  return otherShards(flavor, spec, nodes.filter((node) => !kept.has(shardOf(node))).map((node) => node.id))
}

function otherShards(flavor: DcsFlavor, { replicas }: Pick<Spec, 'replicas'>, leaving: readonly string[]): ReturnType<typeof readChange> {
  if (flavor.replicas !== replicas) return refused('DCS.4102', undefined, 'shards and replicas change in separate calls')
  return { shards: flavor.shards, replicas, leaving, flavor: flavor.specCode, memoryBytes: flavor.memoryBytes, attributes: { capacity: flavor.capacity } }
}

/** The one that the caller names. */
function oneReplica(body: Body, flavor: DcsFlavor, { instance: { spec }, nodes, roles }: View, handOver: boolean): readonly NodeRecord[] | Refused {
  if (spec.replicas - flavor.replicas !== 1) return refused('DCS.4927', undefined, 'one replica goes at a time')
  const [given] = isAbsent(body['node_list']) ? [] : body['node_list'] as string[]
  const node = nodes.find((one) => nodeId(one) === given?.toLowerCase())
  if (!node) return refused('DCS.4930', undefined, 'it must hold one node_id of the instance')
  // The documents refuse it; `hand_over=true` is an extension of ours.
  if (roles.get(node.id)?.role === 'master' && !handOver) return refused('DCS.4936', undefined, 'switch over first, or add ?hand_over=true')
  return [node]
}

/** The newest replicas of each shard. */
export function lastReplicas(flavor: Pick<DcsFlavor, 'replicas'>, { instance: { spec }, nodes, roles }: View): readonly NodeRecord[] {
  const replicas = nodes.filter((node) => roles.get(node.id)?.role === 'replica')
  return [...Map.groupBy(replicas, (node) => roles.get(node.id)!.shard).values()].flatMap((shard) => shard.toSorted((a, b) => b.ordinal - a.ordinal).slice(0, spec.replicas - flavor.replicas))
}

/** Whoever is master after that must have somebody to hand its role to. */
function unfit(leaving: readonly NodeRecord[], { nodes, roles }: View): Refused | null {
  const shards = Map.groupBy(nodes.filter((node) => !leaving.includes(node)), (node) => roles.get(node.id)?.shard ?? 0)
  const stuck = [...shards.values()].some((left) => left.length > 1 && left.filter((node) => (roles.get(node.id)?.priority ?? 100) > 0).length < 2)
  return stuck ? refused('DCS.4253', undefined, 'fewer than two nodes would be left that may be master') : null
}
