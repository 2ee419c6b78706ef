/** `sluice dcs nodes`, `swap`, `resize`, `priority`: for instances with replicas or shards. */
import type { Command } from 'commander'
import { Complaint, connect, type Client } from '../client.ts'
import { print, table } from '../output.ts'
import { finish, showPlans, type Flags, type Plan } from '../wishes.ts'

interface Node { readonly node_id: string; readonly number: number; readonly role: string; readonly status: string; readonly address: string; readonly priority: number; readonly group_id: string }

export function addTopologyCommands(group: Command): void {
  group.command('nodes <id>').description('the nodes of an instance and their roles').option('--json', 'print JSON').action(async (id: string, flags: Flags) => {
    const nodes = await nodesOf(await connect(process.env), id)
    if (flags.json) return print(nodes)
    console.log(table(nodes.map((node) => ({ ...node })), ['number', 'role', 'status', 'address', 'priority', 'node_id']))
  })
  wish(group.command('swap <id>').description('hand the master\'s role over to a replica')).action(async (id: string, flags: Flags) => {
    const client = await connect(process.env)
    await ask(client, 'swap', id, flags, (query) => client.call('dcs', 'POST', `/v2/${client.projectId}/instances/${id}/swap${query}`))
  })
  wish(group.command('resize <id> <spec>').description('another number of replicas or shards, or other memory: the flavor to have, as redis.ha.xu1.tiny.r3.128'))
    .option('--capacity <gb>', 'memory in GB; most flavors say it in their code')
    .option('--node <node>', 'the replica that goes, by its number or its node_id (see "nodes")')
    .option('--hand-over', 'that node may be the master: its role moves first')
    .action(async (id: string, spec: string, flags: Flags & { capacity?: string; node?: string; handOver?: boolean }) => {
      const client = await connect(process.env)
      const body = await resizeBody(client, id, spec, flags)
      await ask(client, 'resize', id, flags, (query) => client.call('dcs', 'POST', `/v2/${client.projectId}/instances/${id}/resize${query}${flags.handOver ? `${query ? '&' : '?'}hand_over=true` : ''}`, body))
    })
  group.command('priority <id> <node> <weight>').description('which replica becomes master first: 1 before 100, 0 never').action(async (id: string, given: string, weight: string) => {
    const client = await connect(process.env)
    const node = pick(await nodesOf(client, id), given)
    if (!/^\d{1,3}$/.test(weight)) throw new Complaint('the weight is a whole number from 0 to 100', 2)
    await client.call('dcs', 'POST', `/v2/${client.projectId}/instances/${id}/groups/${node.group_id}/replications/${node.node_id}/slave-priority`, { slave_priority_weight: Number(weight) })
    console.log(`node ${node.number} of ${id} has priority ${weight}`)
  })
}

function wish(command: Command): Command {
  return command.option('--json', 'print JSON').option('--no-wait', 'return once it is accepted').option('--dry-run', 'only tell what would happen')
}

async function ask(client: Client, action: string, id: string, flags: Flags, call: (query: string) => Promise<{ plan: Plan } | null>): Promise<void> {
  const answer = await call(flags.dryRun ? '?dry_run=true' : '')
  if (answer && flags.dryRun) return showPlans(action, [{ instance: id, result: 'success', plan: answer.plan }], flags)
  await finish(client, 'dcs', [{ instance: id, result: 'success' }], flags)
}

async function nodesOf(client: Client, id: string): Promise<Node[]> {
  const path = `/v2/${client.projectId}/instances/${id}`
  const [{ nodes }, { redis_server: shown }] = await Promise.all([client.call('dcs', 'GET', `${path}/logical-nodes`), client.call('dcs', 'GET', `${path}/nodes`)])
  return nodes.map((node: Record<string, any>) => ({
    node_id: node['node_id'], number: Number(String(shown.find((one: Record<string, string>) => one['node_id'] === node['node_id'])?.node_name).split('-').at(-1)), role: node['node_type'] === 'master' ? 'master' : 'replica',
    status: node['status'], address: `${node['node_ip']}:${node['node_port']}`, priority: node['priority_weight'], group_id: node['group_id'],
  }))
}

function pick(nodes: readonly Node[], given: string): Node {
  const node = nodes.find((one) => String(one.number) === given || one.node_id === given)
  if (!node) throw new Complaint(`there is no node ${given}: name one by its number or its node_id, as "sluice dcs nodes" shows them`, 2)
  return node
}

/** The kind of change follows from what the instance has and what the flavor says. */
async function resizeBody(client: Client, id: string, spec: string, { capacity, node }: { readonly capacity?: string; readonly node?: string }): Promise<object> {
  const shown = await client.call('dcs', 'GET', `/v2/${client.projectId}/instances/${id}`)
  const replicas = Number(/\.r(\d+)\./.exec(spec)?.[1] ?? 1)
  const more = replicas - shown.replica_count
  const body = { spec_code: spec, new_capacity: capacity === undefined ? capacityOf(spec) : Number(capacity) }
  const zone = shown.az_codes[0] ?? 'eu-de-01'
  if (more > 0) return { ...body, change_type: 'createReplication', available_zones: Array.from({ length: Math.min(more, 8) }, () => zone) }
  // More or fewer shards come with the flavor.
  if (more === 0) return body
  if (shown.cache_mode === 'cluster') return { ...body, change_type: 'deleteReplication', available_zones: [zone] }
  return { ...body, change_type: 'deleteReplication', ...(node === undefined ? {} : { node_list: [pick(await nodesOf(client, id), node).node_id] }) }
}

/** `….tiny.128` are MB, `….large.4` are GB. */
export function capacityOf(specCode: string): number {
  const [, size, number] = /\.(tiny|large)(?:\.[rp]\d)?\.(\d+)$/.exec(specCode) ?? []
  if (number === undefined) throw new Complaint(`the flavor ${specCode} does not say its memory: add --capacity`, 2)
  return size === 'tiny' ? Number(number) / 1024 : Number(number)
}
