/** Where the files of backups are: HOME/backups/INSTANCE/BACKUP, readable by their owner only. */
import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fence } from './core/fence.ts'
import type { Vault } from './core/backups.ts'

export function homeVault(home: string): Vault {
  const root = join(home, 'backups')
  const folders = (path: string): Promise<string[]> => readdir(path).catch(() => [])
  return {
    folder: (instanceId, backupId) => join(root, instanceId, backupId),
    async clear(instanceId, backupId) {
      const folder = join(root, instanceId, backupId)
      fence()
      await rm(folder, { recursive: true, force: true })
      await mkdir(folder, { recursive: true, mode: 0o700 })
      return folder
    },
    async remove(instanceId, backupId) {
      fence()
      await rm(join(root, instanceId, ...backupId === undefined ? [] : [backupId]), { recursive: true, force: true, maxRetries: 5, retryDelay: 20 })
    },
    async all() {
      const found = await Promise.all((await folders(root)).map(async (instanceId) => (await folders(join(root, instanceId))).map((backupId) => ({ instanceId, backupId }))))
      return found.flat()
    },
  }
}
