/** `sluice quota`: how much of DCS a project may have. */
import type { Command } from 'commander'
import { Complaint, connect } from '../client.ts'
import { print } from '../output.ts'
import type { Flags } from '../wishes.ts'

interface Quota { readonly instances: number | null; readonly memory_gb: number | null; readonly used: { readonly instances: number; readonly memory_gb: number } }

export function addQuotaCommand(program: Command): void {
  program.command('quota').description('how many Redis instances the project may have, and how many GB; without options, show it')
    .option('--instances <n>', 'so many at most, or "any"').option('--memory-gb <n>', 'so many GB together at most, or "any"').option('--project-id <id>', 'of another project').option('--json', 'print JSON')
    .action(async (flags: Flags & { instances?: string; memoryGb?: string; projectId?: string }) => {
      const client = await connect(process.env)
      const before = await client.call<Quota>('console', 'GET', '/v1/quota')
      const changes = flags.instances !== undefined || flags.memoryGb !== undefined
      if (flags.projectId !== undefined && (flags.instances === undefined || flags.memoryGb === undefined)) throw new Complaint('of another project, say both --instances and --memory-gb', 2)
      const quota = changes ? await client.call<Quota>('console', 'PUT', '/v1/quota', { instances: read(flags.instances, before.instances), memory_gb: read(flags.memoryGb, before.memory_gb), project_id: flags.projectId }) : before
      if (flags.json) return print(quota)
      console.log(`instances: ${quota.used.instances} of ${quota.instances ?? 'any number'}; memory: ${quota.used.memory_gb} of ${quota.memory_gb ?? 'any number of'} GB`)
    })
}

function read(given: string | undefined, before: number | null): number | null {
  if (given === undefined) return before
  if (given === 'any') return null
  if (!/^\d{1,9}$/.test(given)) throw new Complaint('a quota is a whole number, or "any"', 2)
  return Number(given)
}
