/** `sluice export` and `import`: the state of a server that is stopped, from one database to another. */
import type { Command } from 'commander'
import { readConfig } from '../../config.ts'

export function addTransferCommands(program: Command): void {
  program.command('export <file>').description('write the whole state into a new file; a server on SQLite must be stopped, its nodes run on').action(async (file: string) => {
    const { exportTo } = await import('../../state/transfer.ts')
    console.log(`exported ${told(await exportTo(file, readConfig(process.env)))} to ${file}`)
  })
  program.command('import <file>').description('read such a file into the empty database of SLUICE_DATABASE_URL, or of an empty home').action(async (file: string) => {
    const { importFrom } = await import('../../state/transfer.ts')
    console.log(`imported ${told(await importFrom(file, readConfig(process.env)))}`)
  })
}

function told(counts: Readonly<Record<string, number>>): string {
  return ['projects', 'instances', 'nodes', 'operations', 'audit'].map((name) => `${counts[name]} ${name === 'audit' ? 'audit rows' : name}`).join(', ')
}
