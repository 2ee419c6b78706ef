/** Instances in a real cluster that become different while they serve: port, memory, names of commands, and their data by a backup. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { client, Fatal, makeServer, sleep, until, type Server } from '../support/server.ts'
import { smallCluster, clusterClient } from '../support/cluster.ts'
import { inCluster, type TestCluster } from './cluster.ts'

describe('what changes in a cluster while it serves', { concurrency: false }, () => {
  let cluster: TestCluster
  let server: Server
  const ids: Record<string, string> = {}

  before(async () => {
    cluster = await inCluster()
    server = await makeServer(cluster.env)
    await server.start()
    ids['single'] = await server.createRedis('single')
    ids['ha'] = await server.createRedis('pair', { spec_code: 'redis.ha.xu1.tiny.r2.128' })
    await Promise.all(Object.values(ids).map((id) => server.running('dcs', id, 120_000)))
  })
  after(async () => { await server.destroy(); await cluster.destroy() })

  const settled = (id: string, action: string): Promise<any> => until(`${action} to end`, async () => {
    const { operations } = (await server.call('console', 'GET', `/v1/operations?instance=${id}`)).json
    const recovery = operations.find((one: any) => one.action === 'recover')
    if (recovery) throw new Fatal(`nobody changed anything by hand: ${JSON.stringify(recovery)}`)
    return operations[0].action === action && operations[0].outcome && operations[0]
  }, 120_000, 50)
  const done = async (id: string, action: string): Promise<void> => {
    const operation = await settled(id, action)
    assert.equal(operation.outcome, 'done', JSON.stringify(operation))
  }
  const podsOf = async (id: string): Promise<any[]> => JSON.parse(await cluster.kubectl('get', 'pods', '-l', `app.kubernetes.io/instance=${id}`, '-o', 'json')).items
  const uids = async (id: string): Promise<string[]> => (await podsOf(id)).map((pod) => pod.metadata.uid).toSorted()
  const servicePorts = async (id: string): Promise<number[]> => [...new Set<number>(JSON.parse(await cluster.kubectl('get', 'service', '-l', `app.kubernetes.io/instance=${id}`, '-o', 'json')).items.flatMap((service: any) => service.spec.ports.map((port: any) => port.port)))]

  /** Where no Service is nobody may answer, or anybody. */
  const answers = (host: string, port: number): Promise<boolean> => new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1000 }, () => socket.write('PING\r\n'))
    for (const event of ['data', 'error', 'timeout', 'close']) socket.once(event, (said) => { socket.destroy(); resolve(event === 'data' && /NOAUTH|PONG/.test(String(said))) })
  })
  const mib = (quantity: string): number => quantity.endsWith('Mi') ? Number(quantity.slice(0, -2)) : Number(quantity) / 2 ** 20

  for (const kind of ['single', 'ha']) {
    test(`${kind}: another port is one of the Services: no pod is replaced, connections stay, and the old one leads nowhere`, async () => {
      const id = ids[kind]!
      const [before, pods] = [await server.running('dcs', id), await uids(id)]
      const redis = client(before)
      await redis.set('kept', 'yes')
      let [cuts, over] = [0, false]
      redis.on('close', () => { cuts += 1 })
      const writing = (async () => { for (let n = 0; !over; n += 1) { await redis.set('n', n); await sleep(2) } })()
      assert.equal((await server.dcs('PUT', `/instances/${id}`, { port: 6400 })).status, 204)
      await done(id, 'port')
      const after = await server.running('dcs', id)
      assert.deepEqual([after.ip, after.port], [before.ip, 6400])
      over = true
      await writing
      assert.deepEqual([cuts, await uids(id), await servicePorts(id)], [0, pods, [6400]])
      redis.disconnect()
      const fresh = client(after)
      assert.equal(await fresh.get('kept'), 'yes')
      fresh.disconnect()
      assert.equal(Buffer.from(JSON.parse(await cluster.kubectl('get', 'secret', `redis-${id}-connection`, '-o', 'json')).data.port, 'base64').toString(), '6400')
      await until('the old port to lead nowhere', async () => !await answers(after.ip, 6379), 10_000, 50)
      if (kind === 'single') return
      const replica = client({ ip: after.readonly_address.split(':')[0], port: 6400 })
      assert.equal(await until('the replica', () => replica.get('kept')), 'yes')
      replica.disconnect()
      await server.dcs('POST', `/instances/${id}/swap`)
      await done(id, 'swap')
    })

    test(`${kind}: more memory is given to pods that run; less is taken with their next start`, async () => {
      const id = ids[kind]!
      const [instance, pods] = [await server.running('dcs', id), await uids(id)]
      const limits = async (of: 'spec' | 'status'): Promise<number[]> => [...new Set((await podsOf(id)).map((pod) => mib((of === 'spec' ? pod.spec.containers : pod.status.containerStatuses)[0].resources.limits.memory)))]
      const to = (capacity: number, size: string) => server.dcs('POST', `/instances/${id}/resize`, { new_capacity: capacity, spec_code: kind === 'single' ? `redis.single.xu1.${size}` : `redis.ha.xu1.${size.replace('.', '.r2.')}` })
      const redis = client(instance)
      const [, room] = await redis.config('GET', 'maxmemory') as string[]
      assert.equal((await to(0.25, 'tiny.256')).status, 204)
      await done(id, 'rescale')
      assert.deepEqual([await uids(id), await limits('spec'), await limits('status')], [pods, [576], [576]])
      assert.equal(Number((await redis.config('GET', 'maxmemory') as string[])[1]), 2 * Number(room))
      // Its volume is of 1408 MiB, and this cluster has none that grow.
      assert.equal((await to(1, 'large.1')).status, 204)
      const failed = await settled(id, 'rescale')
      assert.equal(failed.outcome, 'failed')
      assert.match(failed.cause ?? failed.error ?? JSON.stringify(failed), /volume .* needs 3072.*storageclass/is)
      assert.deepEqual([(await server.running('dcs', id)).capacity_minor, await uids(id), await limits('spec')], ['.25', pods, [576]])
      assert.equal((await to(0.125, 'tiny.128')).status, 204)
      await done(id, 'rescale')
      assert.equal((await redis.config('GET', 'maxmemory') as string[])[1], room)
      assert.deepEqual([await uids(id), await limits('spec')], [pods, [576]])
      await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })
      await done(id, 'restart')
      assert.deepEqual(await limits('spec'), [320])
      redis.disconnect()
    })

    test(`${kind}: commands get other names, with the data kept`, async () => {
      const id = ids[kind]!
      assert.equal((await server.dcs('PUT', `/instances/${id}`, { rename_commands: { flushall: 'wipe-all', keys: 'list-keys' } })).status, 204)
      await done(id, 'rename')
      const redis = client(await server.running('dcs', id))
      await assert.rejects(redis.call('KEYS', '*'), /unknown command/)
      assert.ok((await redis.call('list-keys', '*') as string[]).includes('kept'))
      redis.disconnect()
      await server.dcs('PUT', '/instances/status', { action: 'flush', instances: [id] })
      await done(id, 'flush')
    })
  }

  const backUp = async (id: string): Promise<any> => {
    const { json } = await server.dcs('POST', `/instances/${id}/backups`, {})
    await done(id, 'backup')
    return (await server.dcs('GET', `/instances/${id}/backups`)).json.backup_record_response.find((one: any) => one.backup_id === json.backup_id)
  }
  const foldersOf = async (id: string): Promise<string[]> => Promise.all((await podsOf(id)).map(async (pod) => (await cluster.kubectl('exec', pod.metadata.name, '--', 'sh', '-c', 'cd data; echo *')).trim()))

  test('a backup comes back on every node, whoever finishes it, and the data before goes', async () => {
    const id = ids['ha']!
    const redis = client(await server.running('dcs', id))
    await redis.set('kept', 'then')
    // Some megabytes, so that they come in many pieces.
    for (let n = 0; n < 24; n += 1) await redis.set(`much:${n}`, randomBytes(1 << 20))
    const sum = await redis.call('DEBUG', 'DIGEST').catch(() => null)
    const backup = await backUp(id)
    assert.equal(backup.is_support_restore, 'TRUE')
    const { json } = await server.dcs('POST', `/instances/${id}/backups/${backup.backup_id}/links`, { expiration: 300 })
    assert.equal((await (await fetch(json.links[0].link)).arrayBuffer()).byteLength, backup.size)
    for (const killAfterMs of [null, 300, 1500, 4000]) {
      await redis.set('kept', 'later')
      await redis.set('new', 'yes')
      assert.equal((await server.dcs('POST', `/instances/${id}/restores`, { backup_id: backup.backup_id })).status, 200)
      if (killAfterMs !== null) {
        await sleep(killAfterMs)
        await server.end('SIGKILL')
        await server.start()
      }
      await done(id, 'restore')
      await server.running('dcs', id)
      assert.deepEqual([await redis.get('kept'), await redis.get('new'), await redis.dbsize()], ['then', null, 25])
      if (sum) assert.equal(await redis.call('DEBUG', 'DIGEST'), sum)
      for (const folders of await foldersOf(id)) assert.match(folders, /^data-[0-9a-f]{12}$/)
    }
    await redis.set('after', 'restore')
    await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })
    await done(id, 'restart')
    assert.deepEqual([await redis.get('kept'), await redis.get('after')], ['then', 'restore'])
    redis.disconnect()
  })

  test('a cluster moves to another port, and gets its data back, every shard its own', async () => {
    const id = ids['cluster'] = await server.createRedis('sharded', smallCluster)
    await server.running('dcs', id, 200_000)
    assert.equal((await server.dcs('PUT', `/instances/${id}`, { port: 7400 })).status, 204)
    await done(id, 'port')
    const redis = clusterClient(await server.running('dcs', id))
    for (let n = 0; n < 50; n += 1) await redis.set(`key:${n}`, 'then')
    const backup = await backUp(id)
    for (let n = 0; n < 60; n += 1) await redis.set(`key:${n}`, 'later')
    assert.equal((await server.dcs('POST', `/instances/${id}/restores`, { backup_id: backup.backup_id })).status, 200)
    await done(id, 'restore')
    const again = clusterClient(await server.running('dcs', id))
    assert.deepEqual(await Promise.all([0, 49, 50, 59].map((n) => again.get(`key:${n}`))), ['then', 'then', null, null])
    for (const one of [redis, again]) one.disconnect()
  })

  test('all of it is deleted without a rest', async () => {
    for (const id of Object.values(ids)) await server.dcs('DELETE', `/instances/${id}`)
    await until('nothing to be left', async () => await cluster.kubectl('get', 'statefulset,pod,service,secret,configmap,pvc,pdb', '-l', 'app.kubernetes.io/managed-by=sluice', '-o', 'name') === '', 120_000, 200)
  })
})
