/** The control plane is killed while it is at a single Redis, or at a master and its replica. */
import assert from 'node:assert/strict'
import { client } from '../support/server.ts'
import { revived, sweep, untouched, wish, type Scenario } from './sweep.ts'
import { ha, single, type Subject } from './subjects.ts'

/** Another value each time. */
let timeout = 60
const settings = (of: Subject, at: number): Scenario => ({
  name: 'change of settings', of, at, keeps: 'yes', verify: untouched,
  act: (server, id) => server.dcs('PUT', `/instances/${id}/configs`, { redis_config: [{ param_name: 'timeout', param_value: String(timeout += 1) }] }),
  async holds(server, id, instance, accepted) {
    const { json } = await server.dcs('GET', `/instances/${id}/configs`)
    const recorded = json.redis_config.find((one: any) => one.param_name === 'timeout').param_value
    const redis = client(instance)
    const [, inForce] = await redis.config('GET', 'timeout') as string[]
    redis.disconnect()
    assert.deepEqual([json.config_status, inForce], ['SUCCESS', recorded], 'what is recorded and what is in force differ')
    if (accepted) assert.equal(recorded, String(timeout))
  },
})

sweep([[single, 3], [ha, 8]], [
  wish('restart', single, 3), wish('soft_restart', single, 3), wish('flush', single, 2, 'no'),
  wish('restart', ha, 9), wish('soft_restart', ha, 7), wish('flush', ha, 2, 'no'),
  settings(single, 2), settings(ha, 2),
  { name: 'switchover', of: ha, at: 3, keeps: 'yes', verify: untouched, act: (server, id) => server.dcs('POST', `/instances/${id}/swap`) },
  { name: 'recovery of a deleted pod', of: single, at: 2, keeps: 'yes', verify: revived(1), act: { takes: async (_server, id) => ['pod', `redis-${id}-0-0`, '--now'] } },
  { name: 'recovery of everything', of: single, at: 3, keeps: 'yes', verify: revived(0), act: { takes: async (_server, id) => ['configmap', `redis-${id}`] } },
  {
    name: 'recovery of a deleted master', of: ha, at: 4, keeps: 'yes', verify: revived(1),
    act: { takes: async (server, id) => ['pod', `redis-${id}-${(await server.dcs('GET', `/instances/${id}/logical-nodes`)).json.nodes.findIndex((node: any) => node.node_type === 'master')}-0`, '--now'] },
  },
  // Last, for each of the others goes on with what the one before left.
  wish('delete', single, 16, 'instance gone'), wish('delete', ha, 9, 'instance gone'),
])
