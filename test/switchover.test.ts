/** A node of the caller's choice becomes master of its shard, on a real pair and a real cluster; and what is shown of their nodes. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { after, before, test } from 'node:test'
import { client, makeServer, until, type Server } from './support/server.ts'
import { clusterClient, clusterNodes, smallCluster } from './support/cluster.ts'
import { fenced } from '../src/core/fence.ts'
import { readSecrets } from '../src/secrets.ts'
import { keysOf, moveSlots, setSlots } from '../src/engines/redis/cluster-move.ts'
import { byShard, lookAtCluster, ownedOf, ownerOf, shardsOf, type Head } from '../src/engines/redis/cluster-views.ts'
import { closeAll } from '../src/engines/redis/seen.ts'
import type { Ground } from '../src/engines/redis/topology.ts'

let server: Server
let trio: any
let ring: string

before(async () => {
  server = await makeServer()
  await server.start()
  const ids = [await server.createRedis('trio', { spec_code: 'redis.ha.xu1.tiny.r3.128' }), await server.createRedis('ring', smallCluster)]
  trio = await server.running('dcs', ids[0]!)
  await server.running('dcs', ids[1]!)
  ring = ids[1]!
})
after(() => server.destroy())

const nodes = async (id: string): Promise<any[]> => (await server.dcs('GET', `/instances/${id}/logical-nodes`)).json.nodes
const master = async (id: string, group: string): Promise<any> => (await nodes(id)).find((node) => node.group_id === group && node.node_type === 'master')
const switchOver = (id: string, node: any) => server.dcs('POST', `/instance/${id}/groups/${node.group_id}/replications/${node.node_id}/async-switchover`)
async function ended(job: string): Promise<any> {
  return until('the job to end', async () => { const { json } = await server.dcs('GET', `/jobs/${job}`); return json.end_time && json }, 60_000)
}
const refused = (r: { status: number; json: any }, status: number, code: string) => assert.deepEqual([r.status, r.json?.error_code], [status, code], JSON.stringify(r.json))

test('every replica of a pair of three can be chosen; data and address stay', async () => {
  const id = trio.instance_id
  const redis = client(trio)
  await redis.set('kept', 'yes')
  for (const chosen of (await nodes(id)).filter((node) => node.node_type === 'slave').toReversed()) {
    const { status, json } = await switchOver(id, chosen)
    assert.equal(status, 200, JSON.stringify(json))
    assert.equal((await ended(json.job_id)).status, 'SUCCESS')
    assert.equal((await master(id, chosen.group_id)).node_id, chosen.node_id)
    refused(await switchOver(id, chosen), 400, 'DCS.4855')
    assert.equal(await redis.get('kept'), 'yes')
    await redis.set('after', chosen.node_id)
  }
  redis.disconnect()
  const [one] = await nodes(id)
  refused(await switchOver(id, { ...one, node_id: 'f'.repeat(32) }), 400, 'DCS.3053')
  refused(await switchOver(id, { ...one, group_id: randomUUID() }), 400, 'DCS.4062')
})

test('a master that saves its data hands its role over when it is done: its child has the connections that would be cut, and answers nobody', async () => {
  const id = trio.instance_id
  const redis = client(trio)
  const pid = Number(/process_id:(\d+)/.exec(await redis.info('server'))![1])
  const old = (await clusterNodes(server, id)).find((node) => node.pid === pid)!
  const itself = client({ ip: old.address, port: old.port })
  for (let n = 0; n < 100; n += 1) await redis.set(`slow${n}`, n)
  await itself.config('SET', 'rdb-key-save-delay', 15_000)
  await itself.bgsave()
  const { json } = await switchOver(id, (await nodes(id)).find((node) => node.node_type === 'slave'))
  const reasons = new Set<string>()
  await until('it to be a replica', async () => {
    const info = await itself.info()
    const [{ progress }] = (await server.call('console', 'GET', `/v1/operations?instance=${id}&limit=1`)).json.operations
    if (progress) reasons.add(progress)
    assert.ok(info.includes('role:master') || info.includes('rdb_bgsave_in_progress:0'), 'it handed over while a child of it was writing')
    return info.includes('role:slave')
  })
  assert.match([...reasons].join(), /is writing its data to disk; it hands over afterwards/)
  assert.match(await itself.info('persistence'), /rdb_last_bgsave_status:ok/)
  assert.equal((await ended(json.job_id)).status, 'SUCCESS')
  for (const one of [redis, itself]) one.disconnect()
})

test('a replica of one shard takes its slots over while clients write, and the other shards keep their masters', async () => {
  const before = await nodes(ring)
  const chosen = before.find((node) => node.node_type === 'slave' && node.group_name === 'group-1')
  const cluster = clusterClient(await server.running('dcs', ring))
  let written = 0
  let stop = false
  const writing = (async () => { for (; !stop; written += 1) await cluster.set(`k${written}`, String(written)) })()
  const { json } = await switchOver(ring, chosen)
  assert.equal((await ended(json.job_id)).status, 'SUCCESS')
  stop = true
  await writing
  const found = await nodes(ring)
  const masters = (all: any[]) => all.filter((node) => node.node_type === 'master').map((node) => node.node_id)
  assert.deepEqual(masters(found).length, 3)
  assert.equal((await master(ring, chosen.group_id)).node_id, chosen.node_id)
  assert.equal(masters(found).filter((node) => masters(before).includes(node)).length, 2)
  for (let n = 0; n < written; n += 1) assert.equal(await cluster.get(`k${n}`), String(n))
  cluster.disconnect()
  // What no node is named for is refused as before.
  refused(await server.dcs('POST', `/instances/${ring}/swap`), 400, 'DCS.4855')
})

test('who has lost its lease in the middle of a move sends no key any more: by now another one may have finished it, and clients write to the target', async () => {
  const cluster = clusterClient(await server.running('dcs', ring))
  await cluster.set('moved', 'yes')
  const slot = await cluster.cluster('KEYSLOT', 'moved')
  cluster.disconnect()
  const account = readSecrets(server.home, null).derive(`redis account ${ring}`).toString('base64url')
  const all = (await clusterNodes(server, ring)).map(({ id, ordinal, address, port, pid }) => ({ id, ordinal, address, ports: { service: port, bus: port + 10_000 }, pid }))
  const ground = {
    nodes: all, states: all.map(({ id, pid }) => ({ id, phase: 'running', identity: { pid, startedAt: 0 } })),
    reach: ({ address, ports }: any, { identity }: any) => ({ doors: [{ address, port: ports.service }], identity, password: account }),
  } as unknown as Ground
  const views = await lookAtCluster(ground)
  let lost = false
  const lose = (name: unknown): void => { lost ||= name === 'engine.importing' }
  subscribe('sluice:checkpoint', lose)
  try {
    const heads = byShard(views, shardsOf({ grants: {}, spec: { replicas: 2 } as never }, ground.nodes)).map(([shard, members]): Head => { const view = ownerOf(members)!; return { shard, view, id: view.me!.id, members } })
    const from = heads.find((head) => ownedOf(head, [slot], true).length > 0)!
    const to = heads.find((head) => head !== from)!
    await assert.rejects(fenced(() => { if (lost) throw new Error('no longer ours') }, () => moveSlots(heads, [slot], from, to)), /no longer ours/)
    const there = await keysOf(to.view, [slot])
    await setSlots(to, [slot], 'STABLE')
    assert.equal(there, 0)
  } finally { unsubscribe('sluice:checkpoint', lose); closeAll(views) }
})

test('a switchover that was accepted is done after kill -9, to the node that was named', async () => {
  const redis = client(trio)
  await redis.set('before the kill', 'yes')
  for (const id of [trio.instance_id, ring]) {
    const chosen = (await nodes(id)).find((node) => node.node_type === 'slave')
    const { json } = await switchOver(id, chosen)
    await server.end('SIGKILL')
    await server.start()
    assert.equal((await ended(json.job_id)).status, 'SUCCESS')
    assert.equal((await master(id, chosen.group_id)).node_id, chosen.node_id)
  }
  assert.equal(await until('the data', () => redis.get('before the kill').catch(() => null)), 'yes')
  redis.disconnect()
})

test('shards, deletable replicas and monitored nodes are those that run', async () => {
  const all = await nodes(ring)
  const state = (await server.dcs('GET', `/instance/${ring}/groups/${all[0].group_id}/group-nodes-state`)).json
  assert.deepEqual([state.length, state.map((one: any) => one.replication_role).toSorted(), state.every((one: any) => one.status === 'Active')], [2, ['master', 'slave'], true])
  refused(await server.dcs('GET', `/instance/${ring}/groups/${randomUUID()}/group-nodes-state`), 400, 'DCS.4062')
  const deletable = (await server.dcs('GET', `/instances/${ring}/deletable-replication`)).json
  assert.deepEqual([deletable.check_result, deletable.replication_list.length], [true, 3])
  assert.ok(deletable.replication_list.every((one: any) => all.find((node) => node.node_id === one.node_id).node_type === 'slave'))
  const { instances, total } = (await server.dcs('GET', '/dims/monitored-objects?dim_name=dcs_instance_id')).json
  assert.deepEqual([total, instances.map((one: any) => one.name).toSorted()], [2, ['ring', 'trio']])
  const monitored = (await server.dcs('GET', `/dims/monitored-objects/${ring}?dim_name=dcs_instance_id`)).json
  assert.deepEqual(new Set(monitored.dcs_cluster_redis_node.map((one: any) => one.dcs_cluster_redis_node)), new Set(all.map((node) => node.dimensions[1].value)))
  refused(await server.dcs('GET', '/dims/monitored-objects'), 400, 'DCS.4062')
})

test('the installed release is told, and taken once it is another one', async () => {
  const { json } = await server.dcs('GET', `/instances/${ring}/version`)
  assert.match(json.engine_minor_version, /^\d+\.\d+\.\d+$/)
  assert.deepEqual([json.latest_engine_minor_version, json.engine_minor_version_upgradable, json.proxy_minor_version], [json.engine_minor_version, false, null])
  refused(await server.dcs('POST', `/instances/${ring}/minor-version/upgrade`, { engine_minor_version: 'latest' }), 400, 'DCS.4053')
  refused(await server.dcs('POST', `/instances/${ring}/minor-version/upgrade`, { engine_minor_version: '5.0.1' }), 400, 'DCS.4062')
})
