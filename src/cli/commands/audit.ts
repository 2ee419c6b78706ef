/** `sluice audit`: who wished what, when, and what came of it. */
import type { Command } from 'commander'
import { Complaint, connect } from '../client.ts'
import { print, table } from '../output.ts'
import { projectOf } from './people.ts'

interface Row { readonly sequence: number; readonly at: string; readonly actor: string; readonly action: string; readonly instance_id: string | null; readonly detail: string }
interface Proof { readonly holds: boolean; readonly rows: number; readonly last: Mark | null; readonly anchor: Mark | null; readonly broken: { readonly sequence: number; readonly why: string } | null }
interface Mark { readonly sequence: number; readonly hash: string }

export function addAuditCommand(program: Command): void {
  program.command('audit').description('who wished what, when, and what came of it; newest last')
    .option('--actor <user>', 'of this user only').option('--instance <id>', 'about this instance only').option('--action <beginning>', 'as restart, or restart.failed')
    .option('--project <project>', 'in this project only, by its name or id').option('--since <time>', 'as 2026-11-21T09:45:00Z').option('--until <time>', 'the same')
    .option('-n, --lines <n>', 'the newest so many', '100').option('--json', 'print JSON').option('--verify', 'reckon every hash anew, and say whether all rows are as they were written')
    .action(async (flags: Readonly<Record<string, string>> & { readonly json?: boolean; readonly verify?: boolean }) => {
      const client = await connect(process.env)
      if (flags.verify) return told(await client.call<Proof>('console', 'GET', '/v1/audit/proof'), flags.json ?? false)
      const wanted = Number(flags['lines'])
      if (!Number.isInteger(wanted) || wanted < 1 || wanted > 1_000_000) throw new Complaint('--lines must be a whole number from 1 to 1000000', 2)
      const project = await projectOf(client, flags['project']) ?? undefined
      const rows: Row[] = []
      for (let next: number | null = -1; next !== null && rows.length < wanted;) {
        const asked = { actor: flags['actor'], instance: flags['instance'], action: flags['action'], project, from: flags['since'], to: flags['until'], before: next === -1 ? undefined : String(next), limit: String(Math.min(1000, wanted - rows.length)) }
        const query = new URLSearchParams(Object.entries(asked).filter((pair): pair is [string, string] => pair[1] !== undefined))
        const page: { rows: Row[]; next: number | null } = await client.call('console', 'GET', `/v1/audit?${query}`)
        rows.push(...page.rows)
        next = page.next
      }
      rows.reverse()
      if (flags.json) return print(rows)
      console.log(table(rows.map((row) => ({ ...row, instance: row.instance_id })), ['sequence', 'at', 'actor', 'action', 'instance', 'detail']))
    })
}

function told(proof: Proof, json: boolean): void {
  if (json) print(proof)
  else {
    const from = proof.anchor ? `, from the anchor at row ${proof.anchor.sequence} on` : ''
    console.log(proof.broken ? `row ${proof.broken.sequence}: ${proof.broken.why}` : `${proof.rows} rows hold${from}${proof.last ? `; the last is ${proof.last.sequence} ${proof.last.hash}` : ''}`)
  }
  if (!proof.holds) process.exitCode = 1
}
