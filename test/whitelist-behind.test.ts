/** Everything that is done to an instance or by itself goes on behind a whitelist that lets in nobody of this machine; as root, for nobody else may set a machine's rules. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { makeServer, nodePid, password, until, type Server } from './support/server.ts'
import { letsIn as lets, nft, table, visit as visits } from './support/stranger.ts'

const pair = { spec_code: 'redis.ha.xu1.tiny.r2.128' }
/** Addresses of one machine that clients can come from; who does not choose comes from 127.0.0.1. */
const [listed, stranger, nobodyHere] = ['127.9.0.1', '127.9.0.2', '192.0.2.200']

/** Both at once: they mostly wait. */
describe('behind a whitelist', { concurrency: true }, () => {
  for (const [mode, env] of [['own addresses', {}], ['one host', { SLUICE_NODE_HOST: '127.0.0.1', SLUICE_NODE_PORTS: '24400-24600' }]] as const) {
    describe(mode, { concurrency: false }, () => {
      let server: Server
      before(async () => {
        nft('list', 'tables')
        server = await makeServer({ ...env, SLUICE_GUARD: 'on' })
        await server.start()
      })
      after(async () => { await server.destroy() })
      const list = async (id: string, ip_list: readonly string[]): Promise<void> => {
        const answer = await server.dcs('PUT', `/instance/${id}/whitelist`, { enable_whitelist: true, whitelist: [{ group_name: 'some', ip_list }] })
        assert.equal(answer.status, 204, answer.text)
      }
      const doors = async (id: string): Promise<{ ip: string; port: number }[]> => {
        const { json } = await server.call('console', 'GET', '/v1/nodes')
        return json.nodes.filter((node: any) => node.instance_id === id).flatMap((node: any) => Object.values(node.ports).map((port) => ({ ip: node.address, port })))
      }
      const settled = async (): Promise<any> => {
        await until('everything settled', async () => (await server.call('console', 'GET', '/v1/operations?open=true')).json.operations.length === 0, 60_000)
        const [last] = (await server.call('console', 'GET', '/v1/operations?limit=1')).json.operations
        assert.equal(last.outcome, 'done', JSON.stringify(last))
      }
      const shut = async (places: readonly { ip: string; port: number }[]): Promise<void> => {
        for (const place of places) for (const from of [undefined, stranger]) assert.equal(await lets(place, from, password), false, `${place.ip}:${place.port} from ${from}`)
      }

      test('a pair is looked into, backed up, swapped, restarted, moved, extended and brought back', async () => {
        const id = await server.createRedis('pair', pair)
        let made = await server.running('dcs', id)
        const first = await visits(made, listed, password)
        await first.ask('SET', 'kept', 'yes')
        await list(id, [nobodyHere])
        await until('the customer to be cut', () => first.cut(), 2000)
        const places = async () => { const [ip, port] = made.readonly_address.split(':'); return [...await doors(id), made, { ip, port: Number(port ?? made.port) }] }
        const web = async (command: string): Promise<string> => {
          const { client_id } = (await server.dcs('POST', `/instances/${id}/webcli/auth`, { password })).json
          return (await server.dcs('POST', `/instances/${id}/webcli/command`, { client_id, command, database: 0 })).json.response
        }
        await server.running('dcs', id)
        assert.equal(await web('get kept'), '"yes"')
        const scan = (await server.dcs('POST', `/instances/${id}/bigkey-task`)).json.id
        const { backup_id } = (await server.dcs('POST', `/instances/${id}/backups`, {})).json
        await until('the survey', async () => (await server.dcs('GET', `/instances/${id}/bigkey-task/${scan}`)).json.status === 'success')
        await until('the backup', async () => (await server.dcs('GET', `/instances/${id}/backups`)).json.backup_record_response.find((one: any) => one.backup_id === backup_id).status === 'succeed')
        await settled()
        assert.equal((await server.dcs('POST', `/instances/${id}/swap`)).status, 204)
        await settled()
        await shut(await places())
        await server.dcs('PUT', '/instances/status', { action: 'soft_restart', instances: [id] })
        await settled()
        await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })
        await settled()
        await server.running('dcs', id)
        assert.equal(await web('get kept'), '"yes"')
        const port = mode === 'one host' ? 24_550 : 7777
        assert.equal((await server.dcs('PUT', `/instances/${id}`, { port })).status, 204)
        await settled()
        made = await server.running('dcs', id)
        assert.equal(made.port, port)
        const grow = await server.dcs('POST', `/instances/${id}/resize`, { new_capacity: 0.125, spec_code: 'redis.ha.xu1.tiny.r3.128', change_type: 'createReplication', available_zones: ['eu-de-01'] })
        assert.equal(grow.status, 204, grow.text)
        await settled()
        await shut(await places())
        const nodes = (await server.dcs('GET', `/instances/${id}/logical-nodes`)).json.nodes
        const less = await server.dcs('POST', `/instances/${id}/resize?hand_over=true`, { new_capacity: 0.125, spec_code: pair.spec_code, change_type: 'deleteReplication', node_list: [nodes.find((node: any) => node.node_type === 'slave').node_id] })
        assert.equal(less.status, 204, less.text)
        await settled()
        await shut(await places())
        await list(id, [listed])
        assert.equal((await server.call('console', 'GET', '/v1/audit?limit=200')).text.includes('recover.accepted'), false, 'nothing had to be repaired')

        // Its master dies, with and without a control plane.
        for (const alone of [false, true]) {
          const { json } = await server.dcs('GET', `/instances/${id}/logical-nodes`)
          const master = json.nodes.find((node: any) => node.node_type === 'master')
          const all = (await server.call('console', 'GET', '/v1/nodes')).json.nodes.filter((node: any) => node.instance_id === id)
          if (alone) await server.end('SIGKILL')
          const killedAt = performance.now()
          process.kill(nodePid(server.home, id, Number(all.find((node: any) => node.id === master.logical_node_id || node.role === 'master').id.split('-').at(-1))), 'SIGKILL')
          await until('a write', async () => { const one = await visits(made, listed, password); try { return (await one.ask('SET', 'after', 'yes')).startsWith('+OK') } finally { one.leave() } }, 60_000, 20)
          console.log(`writes again, ${alone ? 'by the guard' : 'by the control plane'}, after ${Math.round(performance.now() - killedAt)} ms`)
          assert.equal(await lets(made, stranger, password), false)
          if (alone) await server.start()
          await server.running('dcs', id)
          await settled()
        }
        await shut(await doors(id))
        const again = await visits(made, listed, password)
        assert.match(await again.ask('GET', 'kept'), /yes/)
        assert.match(await again.ask('WAIT', '1', '5000'), /:1/)
        again.leave()
        await server.dcs('DELETE', `/instances/${id}`)
        await settled()
        assert.equal(nft('list', 'tables').includes(table(server)), false)
      })

      test('the nodes of a cluster stay in touch, and nobody else reaches them, nor what they tell each other by', async () => {
        const id = await server.createRedis('ring', { spec_code: 'redis.cluster.xu1.large.r1.4', capacity: 4 })
        await server.running('dcs', id)
        await list(id, [nobodyHere])
        await shut(await doors(id))
        await list(id, [listed])
        const places = (await server.call('console', 'GET', '/v1/nodes')).json.nodes.filter((node: any) => node.instance_id === id).map((node: any) => ({ ip: node.address, port: node.ports.service }))
        for (const place of places) {
          await until(`${place.ip}:${place.port} to see the others`, async () => {
            const visitor = await visits(place, listed, password)
            try {
              const seen = await visitor.ask('CLUSTER', 'NODES')
              return !/disconnected|fail/.test(seen) && seen.match(/ connected /g)?.length === 3 && (await visitor.ask('CLUSTER', 'INFO')).includes('cluster_state:ok')
            } finally { visitor.leave() }
          }, 10_000, 50)
        }
        await server.dcs('DELETE', `/instances/${id}`)
        await settled()
        assert.equal(nft('list', 'tables').includes(table(server)), false)
      })
    })
  }
})
