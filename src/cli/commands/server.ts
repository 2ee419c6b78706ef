/** `sluice serve`, `token`, `ps`, `logs`, `down`: the server and the processes behind it. */
import { Writable } from 'node:stream'
import type { Command } from 'commander'
import { connect } from '../client.ts'
import { confirm, table } from '../output.ts'
import { Complaint } from '../client.ts'

export function addServerCommands(program: Command): void {
  program.command('serve').description('run the server in the foreground')
    .option('--ephemeral', 'in a temporary home; at the end every instance and all data are removed')
    .action(async (flags: { ephemeral?: boolean }) => {
      const { runServer } = await import('../../serve.ts')
      await runServer(process.env, { ephemeral: flags.ephemeral ?? false })
    })
  program.command('token').description('print a token for the project, for X-Auth-Token').option('--json', 'print JSON with the project id').action(async (flags: { json?: boolean }) => {
    const client = await connect(process.env)
    console.log(flags.json ? JSON.stringify({ token: client.token, project_id: client.projectId }, null, 2) : client.token)
  })
  program.command('ps').description('the processes behind the instances').option('--json', 'print JSON').action(async (flags: { json?: boolean }) => {
    const client = await connect(process.env)
    const { nodes } = await client.call('console', 'GET', '/v1/nodes')
    if (flags.json) return console.log(JSON.stringify(nodes, null, 2))
    console.log(table(nodes.map((node: Record<string, any>) => ({
      ...node, instance: node['instance_id'], address: `${node['address']}:${node['ports'].service}`,
      memory: node['resident_bytes'] === null ? '-' : `${Math.round(node['resident_bytes'] / 1_048_576)} MB`, log: node['log_path'],
    })), ['instance', 'name', 'engine', 'role', 'status', 'phase', 'pid', 'address', 'memory', 'log']))
  })
  program.command('logs <id>').description("an instance's own log").option('-f, --follow', 'go on as it grows').option('-n, --lines <n>', 'last lines to start with', '200').action(async (id: string, flags: { follow?: boolean; lines: string }) => {
    const lines = Number(flags.lines)
    if (!Number.isInteger(lines) || lines < 1 || lines > 10_000) throw new Complaint('--lines must be a whole number from 1 to 10000', 2)
    const client = await connect(process.env)
    const response = await client.stream('console', `/v1/instances/${encodeURIComponent(id)}/log?lines=${lines}${flags.follow ? '&follow=true' : ''}`)
    await response.body?.pipeTo(Writable.toWeb(process.stdout)).catch(() => {})
  })
  program.command('cancel <operation>').description('end a running soft restart early, by its task id; the instance stays healthy').action(async (operation: string) => {
    const client = await connect(process.env)
    await client.call('console', 'DELETE', `/v1/operations/${encodeURIComponent(operation)}`)
    console.log(`${operation}  is being cancelled`)
  })
  program.command('down').description('stop every node, then the server; data stays, and the next "serve" starts them again')
    .option('-y, --yes', 'do not ask').action(async (flags: { yes?: boolean }) => {
      const client = await connect(process.env)
      if (!flags.yes && !await confirm('Stop every Redis and Kafka of this home, and the server?')) throw new Complaint(process.stdin.isTTY ? 'nothing was done' : 'nothing was done: say --yes without a terminal', 3)
      await client.call('console', 'POST', '/v1/down')
      console.log('stopping: every node, then the server')
    })
}
