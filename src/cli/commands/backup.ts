/** `sluice backup` and `restore`: the state of Sluice itself, keys included, in one file. */
import { existsSync, readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import type { Command } from 'commander'
import { readConfig } from '../../config.ts'
import { Complaint, connect, NoServer } from '../client.ts'
import { askSecret, confirm } from '../output.ts'

export function addBackupCommands(program: Command): void {
  program.command('backup <file>').description("write Sluice's own state and its keys into a new file, while the server runs; SLUICE_BACKUP_PASSPHRASE_FILE names the file with a passphrase").action(async (file: string) => {
    const { backUp } = await import('../../state/backup.ts')
    const config = readConfig(process.env)
    if (existsSync(file)) throw new Complaint(`${file} is there already: name another file`)
    const passphrase = await passphraseFor('new')
    await backUp(file, config, passphrase, async () => {
      const response = await connect(process.env).then((client) => client.stream('console', '/v1/state')).catch((error) => {
        if (error instanceof NoServer) return null
        throw error
      })
      return response && Readable.fromWeb(response.body as never)
    })
    console.log(`backed up to ${file}${passphrase === null ? ', which is not encrypted: whoever reads it has every key' : ', encrypted'}`)
    const given = (['SLUICE_PASSWORD', 'SLUICE_ACCESS_KEY', 'SLUICE_SECRET_KEY'] as const).filter((name) => process.env[name])
    if (given.length > 0) console.log(`not in it, for the environment gives it: ${given.join(', ')}`)
  })
  program.command('restore <file>').description('make the state of such a file that of SLUICE_HOME, and of SLUICE_DATABASE_URL; the server must be stopped, its nodes run on')
    .option('--force', 'replace the state of a home that is not empty').option('-y, --yes', 'do not ask').action(async (file: string, flags: { force?: boolean; yes?: boolean }) => {
      const { restore } = await import('../../state/backup.ts')
      const config = readConfig(process.env)
      if (flags.force && !flags.yes && process.stdin.isTTY && !await confirm(`Replace the state of ${config.home}? What was accepted since the backup is forgotten.`)) throw new Complaint('nothing was done', 3)
      const { counts, at, unknown } = await restore(file, config, await passphraseFor('known'), flags.force ?? false)
      console.log(`restored ${counts.instances} instances, ${counts.operations} operations and ${counts.audit} audit rows as of ${new Date(at).toISOString()}`)
      if (unknown.length > 0) console.log(`made after that, and unknown now; end them by hand:\n${unknown.map((id) => `  ${config.home}/nodes/${id}`).join('\n')}`)
    })
}

/** Null: none. Asked for on a terminal, twice when it is new. */
async function passphraseFor(what: 'new' | 'known'): Promise<string | null> {
  const path = process.env['SLUICE_BACKUP_PASSPHRASE_FILE']
  if (path) {
    let text: string
    try { text = readFileSync(path, 'utf8').replace(/\r?\n$/, '') } catch (error) { throw new Complaint(`SLUICE_BACKUP_PASSPHRASE_FILE cannot be read: ${(error as Error).message}`) }
    if (text === '') throw new Complaint('the file of SLUICE_BACKUP_PASSPHRASE_FILE is empty')
    return text
  }
  if (!process.stdin.isTTY) return null
  const first = await askSecret(what === 'new' ? 'Passphrase (empty: not encrypted): ' : 'Passphrase (empty: none): ')
  if (first === '') return null
  if (what === 'new' && await askSecret('Once more: ') !== first) throw new Complaint('the two passphrases differ: nothing was done')
  return first
}
