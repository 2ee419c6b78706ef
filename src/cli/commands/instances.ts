/** `sluice dcs …` and `sluice dms …`: the same verbs over two dialects. */
import { randomUUID } from 'node:crypto'
import { text as readAll } from 'node:stream/consumers'
import { Option, type Command } from 'commander'
import { Complaint, connect } from '../client.ts'
import { confirm, print, table } from '../output.ts'
import { addTopologyCommands, capacityOf } from './topology.ts'
import { finish, request, showPlans, type Flags, type Service } from '../wishes.ts'

/** What is lost, said before it is asked for. */
const warnings: Readonly<Record<string, string>> = {
  flush: 'This deletes every key of every database. It cannot be undone through the API.',
  delete: 'This ends the servers and deletes their data, without any backup.',
}

export function addInstanceCommands(parent: Command, service: Service): void {
  const group = parent.command(service).description(service === 'dcs' ? 'Redis caches (DCS)' : 'Kafka queues (DMS)')
  const json = (command: Command): Command => command.option('--json', 'print JSON')
  json(group.command('list').description('every instance of the project')).action(async (flags: Flags) => {
    const client = await connect(process.env)
    const instances: Record<string, unknown>[] = []
    for (let total = 1; instances.length < total;) {
      const page = await client.call(service, 'GET', `/v2/${client.projectId}/instances?limit=50&offset=${instances.length}&include_failure=true${service === 'dms' ? '&engine=kafka' : ''}`)
      if (page.instances.length === 0) break
      instances.push(...page.instances)
      total = page.instance_num
    }
    if (flags.json) return print(instances)
    console.log(table(instances.map((i: Record<string, unknown>) => ({ ...i, id: i['instance_id'], version: i['engine_version'], address: addressOf(i) })), ['id', 'name', 'status', 'version', 'address']))
  })
  json(group.command('show <id>').description('one instance with every field')).action(async (id: string) => {
    const client = await connect(process.env)
    print(await client.call(service, 'GET', `/v2/${client.projectId}/instances/${id}`))
  })
  json(group.command('tasks <id>').description('what was done to an instance, newest first')).action(async (id: string, flags: Flags) => {
    const client = await connect(process.env)
    // Asked first, so that an unknown id is told in the service's own words.
    await client.call(service, 'GET', `/v2/${client.projectId}/instances/${id}`)
    const { operations } = await client.call('console', 'GET', `/v1/operations?instance=${id}&limit=100`)
    if (flags.json) return print(operations)
    console.log(table(operations.map((o: Record<string, unknown>) => ({ ...o, created: new Date(Number(o['created_at'])).toISOString(), outcome: o['outcome'] ?? 'running' })), ['created', 'id', 'action', 'actor', 'outcome', 'cause']))
  })
  addCreate(group, service)
  const verbs = service === 'dcs' ? ['restart', 'soft-restart', 'flush', 'delete'] : ['restart', 'soft-restart', 'delete']
  for (const verb of verbs) addAction(group, service, verb)
  if (service === 'dcs') addTopologyCommands(group)
  json(group.command('cancel <id>').description('end a running soft restart early; the instance stays healthy, and nodes that were not restarted stay as they are')).action(async (id: string, flags: Flags) => {
    const client = await connect(process.env)
    const { operations } = await client.call('console', 'GET', `/v1/operations?instance=${encodeURIComponent(id)}&open=true`)
    if (operations.length === 0) throw new Complaint(`nothing is being done to ${id}`)
    const answer = await client.call('console', 'DELETE', `/v1/operations/${operations[0].id}`)
    if (flags.json) return print(answer)
    console.log(`${id}  ${operations[0].action} is being cancelled`)
  })
}

function addCreate(group: Command, service: Service): void {
  const command = group.command('create <name>').description('a new instance; waits until it serves').option('--json', 'print JSON').option('--no-wait', 'return once it is accepted')
  if (service === 'dcs') command.option('--engine-version <version>', 'Redis version', '7.0').option('--spec <code>', 'flavor', 'redis.single.xu1.tiny.128').option('--capacity <gb>', 'memory in GB; most flavors say it in their code')
    .option('--no-password', 'let clients in without a password').addOption(new Option('--password-stdin', 'read the password from standard input (or set SLUICE_INSTANCE_PASSWORD)'))
  else command.option('--engine-version <version>', 'Kafka version', '2.7').option('--product <id>', 'product', 'c6.2u4g.single').option('--brokers <number>', 'how many; more than one with a .cluster product', '1').option('--storage <gb>', 'storage in GB, of all brokers together', '100')
  command.action(async (name: string, flags: Flags & Record<string, string | boolean>) => {
    const client = await connect(process.env)
    const ids = { vpc_id: randomUUID(), subnet_id: randomUUID() }
    let id: string
    if (service === 'dcs') {
      const secret = flags['password'] === false ? null : flags['passwordStdin'] ? (await readAll(process.stdin)).replace(/\r?\n$/, '') : process.env['SLUICE_INSTANCE_PASSWORD']
      if (secret === undefined) throw new Complaint('a password is needed: set SLUICE_INSTANCE_PASSWORD, pipe it in with --password-stdin, or say --no-password', 2)
      const { instances } = await client.call('dcs', 'POST', `/v2/${client.projectId}/instances`, {
        name, engine: 'Redis', engine_version: flags['engineVersion'], capacity: flags['capacity'] === undefined ? capacityOf(String(flags['spec'])) : Number(flags['capacity']), spec_code: flags['spec'], az_codes: ['eu-de-01'], ...ids,
        ...(secret === null ? { no_password_access: true } : { password: secret }),
      })
      id = instances[0].instance_id
    } else {
      id = (await client.call('dms', 'POST', `/v2/kafka/${client.projectId}/instances`, {
        name, engine: 'kafka', engine_version: flags['engineVersion'], broker_num: Number(flags['brokers']), storage_space: Number(flags['storage']), product_id: flags['product'],
        available_zones: ['eu-de-01'], security_group_id: randomUUID(), storage_spec_code: 'dms.physical.storage.ultra.v2', ...ids,
      })).instance_id
    }
    await finish(client, service, [{ instance: id, result: 'success' }], flags)
    if (flags.wait !== false && !flags.json) {
      const shown = await client.call(service, 'GET', `/v2/${client.projectId}/instances/${id}`)
      console.log(`${id}  ${shown.status}  ${shown.status === 'CREATEFAILED' ? shown.cause ?? '' : addressOf(shown)}`)
    }
  })
}

function addAction(group: Command, service: Service, verb: string): void {
  const action = verb.replace('-', '_')
  const command = group.command(`${verb} [ids...]`).description({
    restart: service === 'dcs' ? 'kill and start the servers' : 'stop and start the brokers', 'soft-restart': 'stop gracefully and start', flush: 'delete every key', delete: 'end the servers and delete their data',
  }[verb]!).option('--json', 'print JSON').option('--no-wait', 'return once it is accepted')
    .option('--dry-run', 'only tell what would happen')
  if (warnings[verb]) command.option('-y, --yes', 'do not ask')
  if (verb === 'delete') command.option('--all-failed', 'every instance whose creation failed')
  command.action(async (ids: string[], flags: Flags & { allFailed?: boolean }) => {
    if (flags.allFailed ? ids.length > 0 : ids.length === 0) throw new Complaint(flags.allFailed ? 'name ids or say --all-failed, not both' : `name the instances to ${verb}`, 2)
    const allFailed = flags.allFailed ?? false
    const client = await connect(process.env)
    const would = flags.dryRun || warnings[verb] && !flags.yes ? await request(client, service, action, ids, { allFailed, dryRun: true }) : null
    if (would && flags.dryRun) return showPlans(action, would, flags)
    if (would) {
      showPlans(action, would, { json: false, on: process.stderr })
      if (!would.some((one) => one.plan)) { if (would.length === 0) console.log('nothing to do'); return }
    }
    if (would && !await confirm(`${verb} ${flags.allFailed ? 'every failed creation' : ids.join(', ')}: ${warnings[verb]} Go on?`)) throw new Complaint(process.stdin.isTTY ? 'nothing was done' : `nothing was done: say --yes to ${verb} without a terminal`, 3)
    await finish(client, service, await request(client, service, action, ids, { allFailed }), flags)
  })
}

function addressOf(instance: Readonly<Record<string, unknown>>): string {
  return instance['ip'] ? `${instance['ip']}:${instance['port']}` : instance['connect_address'] ? `${instance['connect_address']}:${instance['port']}` : '-'
}
