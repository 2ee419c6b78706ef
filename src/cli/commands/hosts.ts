/** `sluice host list` and `host forget`: machines that share the database. */
import type { Command } from 'commander'
import { Complaint, connect } from '../client.ts'
import { confirm, print, table } from '../output.ts'

export function addHostCommands(program: Command): void {
  const group = program.command('host').description('the machines that share a PostgreSQL')
  group.command('list').description('who is heard of, and how many instances each has').option('--json', 'print JSON').action(async (flags: { json?: boolean }) => {
    const { hosts } = await (await connect(process.env)).call('console', 'GET', '/v1/hosts')
    if (flags.json) return print(hosts)
    console.log(table(hosts.map((host: Record<string, unknown>) => ({ ...host, state: host['own'] ? 'this one' : host['heard'] ? 'heard' : 'silent', seen: host['seen_at'] === null ? null : new Date(host['seen_at'] as number).toISOString() })), ['id', 'state', 'seen', 'instances']))
  })
  group.command('forget <id>').description('forget a machine that never comes back, and its instances with their backups; nothing that may still run there is stopped')
    .option('-y, --yes', 'do not ask').action(async (id: string, flags: { yes?: boolean }) => {
      const client = await connect(process.env)
      const { hosts } = await client.call('console', 'GET', '/v1/hosts')
      const host = hosts.find((one: { id: string }) => one.id === id.toLowerCase())
      if (!host) throw new Complaint(`there is no host ${id}: "sluice host list" shows them`)
      if (!flags.yes && !await confirm(`Forget ${id} with ${host.instances} instances and their data? Processes there, if any, go on, and nobody looks after them.`)) throw new Complaint(process.stdin.isTTY ? 'nothing was done' : 'nothing was done: say --yes without a terminal', 3)
      const { instances } = await client.call('console', 'DELETE', `/v1/hosts/${encodeURIComponent(id)}`)
      console.log(`forgotten: ${id} with ${instances.length} instances; processes there, if any, were not stopped`)
    })
}
