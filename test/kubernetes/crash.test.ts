/** The control plane is killed while it is at a single Redis, or at a master and its replica. */
import { revived, sweep, untouched, wish } from './sweep.ts'
import { ha, single } from './subjects.ts'

sweep([[single, 3], [ha, 8]], [
  wish('restart', single, 2), wish('soft_restart', single, 3), wish('flush', single, 2, 'no'), wish('delete', single, 8, 'instance gone'),
  wish('restart', ha, 9), wish('soft_restart', ha, 7), wish('delete', ha, 9, 'instance gone'),
  { name: 'switchover', of: ha, at: 3, keeps: 'yes', verify: untouched, act: (server, id) => server.dcs('POST', `/instances/${id}/swap`) },
  { name: 'recovery of a deleted pod', of: single, at: 2, keeps: 'yes', verify: revived(1), act: { takes: async (_server, id) => ['pod', `redis-${id}-0-0`, '--now'] } },
  { name: 'recovery of everything', of: single, at: 3, keeps: 'yes', verify: revived(0), act: { takes: async (_server, id) => ['configmap', `redis-${id}`] } },
  {
    name: 'recovery of a deleted master', of: ha, at: 4, keeps: 'yes', verify: revived(1),
    act: { takes: async (server, id) => ['pod', `redis-${id}-${(await server.dcs('GET', `/instances/${id}/logical-nodes`)).json.nodes.findIndex((node: any) => node.node_type === 'master')}-0`, '--now'] },
  },
])
