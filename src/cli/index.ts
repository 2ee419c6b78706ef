/** The `sluice` command. It finds the server through the same environment as the server itself and speaks HTTP to it; `serve`,
 * `export`, `import`, `backup` and `restore` alone open the database. */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { addBackupCommands } from './commands/backup.ts'
import { addInstanceCommands } from './commands/instances.ts'
import { addHostCommands } from './commands/hosts.ts'
import { addQuotaCommand } from './commands/quota.ts'
import { addAuditCommand } from './commands/audit.ts'
import { addPeopleCommands } from './commands/people.ts'
import { addServerCommands } from './commands/server.ts'
import { addTransferCommands } from './commands/transfer.ts'
import { Complaint } from './client.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
const program = new Command('sluice')
  .description('A self-hosted control plane for real Redis caches and real Kafka queues that speaks DCS and DMS.')
  .version(version)
  .showHelpAfterError()
  .addHelpText('after', `
Environment: SLUICE_HOME, SLUICE_PORT, SLUICE_HOST, SLUICE_PUBLIC_HOST, SLUICE_USER, SLUICE_PASSWORD, SLUICE_DOMAIN,
  SLUICE_PROJECT, SLUICE_PROJECT_ID and SLUICE_REGION as the server has them; generated credentials are read from
  credentials.json in the home. SLUICE_INSTANCE_PASSWORD is the password of a Redis that "dcs create" makes.
Exit codes: 0 done; 1 refused or failed; 2 wrong usage; 3 not confirmed.`)
addServerCommands(program)
addTransferCommands(program)
addBackupCommands(program)
addQuotaCommand(program)
addHostCommands(program)
addPeopleCommands(program)
addAuditCommand(program)
addInstanceCommands(program, 'dcs')
addInstanceCommands(program, 'dms')
program.commands.forEach(exitWithTwo)
exitWithTwo(program)

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof Complaint) {
    console.error(`sluice: ${error.message}`)
    process.exitCode = error.exitCode
  } else if ((error as { code?: string }).code?.startsWith('commander.')) {
    process.exitCode = (error as { exitCode?: number }).exitCode === 0 ? 0 : 2
  } else {
    console.error(`sluice: ${(error as Error).message}`)
    process.exitCode = 1
  }
}

function exitWithTwo(command: Command): void {
  command.exitOverride()
  command.commands.forEach(exitWithTwo)
}
