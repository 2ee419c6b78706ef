/** The use cases of backups: each wish, its record and its audit row are one transaction. */
import { randomUUID } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { appendAudit } from '../store/audit.ts'
import { backupById, backupsOf, deleteBackup, insertBackup, insertRestore, restoresOf, retryBackup, scheduledBackup } from '../store/backups.ts'
import { lockedInstances, projectInstances } from '../store/instances.ts'
import { openOperations, openOperationsOf } from '../store/operations.ts'
import { transact, type Database } from '../store/database.ts'
import { refusalOf, type Refusal } from '../core/refusal.ts'
import type { Backup, Backups, Restore, Vault } from '../core/backups.ts'
import type { Engine } from '../core/engine.ts'
import { isWithin, type EngineName, type Instance } from '../core/instance.ts'

export interface BackupParts {
  readonly db: Database
  readonly engines: Readonly<Record<EngineName, Engine>>
  readonly vault: Vault
  readonly host: string
  readonly nudge: () => void
}

/** How often a scheduled one is tried. */
const attemptsOfSchedule = 4

export function backups({ db, engines, vault, host, nudge }: BackupParts): Backups {
  /** Why there can be none, whatever the state. */
  const unsupported = (instance: Instance): Refusal | null => {
    const engine = engines[instance.engine]
    const reason = engine.backups ? engine.backups.unbackable(instance) : 'this engine has no backups'
    return reason === null ? null : { kind: 'unsupported', reason }
  }

  function unusable(instance: Instance, backup: Backup): string | null {
    if (backup.outcome !== 'done' || !backup.files) return 'only a backup that has succeeded can be loaded'
    if (backup.host !== instance.host) return 'another machine than that of the instance has its files'
    return engines[instance.engine].backups?.unrestorable(instance, backup.files) ?? null
  }

  async function get(projectId: string, id: string, backupId: string): Promise<Backup | null> {
    const [instance] = await projectInstances(db, projectId, 'redis', [id])
    return instance ? backupById(db, id, backupId) : null
  }

  return {
    away: (backup) => isWithin(backup.host, host) ? null : 'another machine has its files: ask the control plane there',
    async backUp({ caller, id, format, remark, dueAt }) {
      const now = Date.now()
      const answer = await transact(db, async (tx): Promise<Backup | Refusal> => {
        const [instance] = await lockedInstances(tx, caller.projectId, 'redis', [id])
        if (!instance) return { kind: 'unknown' }
        const refusal = unsupported(instance) ?? refusalOf('backup', instance, (await openOperationsOf(tx, [id])).get(id) ?? null, { flush: false, swap: false })
        if (refusal) return refusal
        const operationId = newId()
        const before = dueAt === undefined ? null : await scheduledBackup(tx, id, dueAt)
        if (before && (before.backup.outcome !== 'failed' && before.backup.outcome !== 'replaced' || before.attempts >= attemptsOfSchedule)) return { kind: 'unsupported', reason: 'it was made already' }
        const backup: Backup = {
          id: before?.backup.id ?? randomUUID(), instanceId: id, name: `backup_${stamp(now)}`, kind: dueAt === undefined ? 'manual' : 'auto', format, remark, operationId, host: instance.host,
          files: null, outcome: null, cause: null, createdAt: before?.backup.createdAt ?? now, finishedAt: null,
        }
        const opened = await openOperations(tx, [{ id: operationId, instance, action: 'backup', generation: instance.generation, actor: caller.userName, at: now, memo: { backup: backup.id, format } }])
        if (opened.size === 0) return { kind: 'busy', status: 'running', action: null }
        if (before) await retryBackup(tx, backup.id, operationId, before.attempts + 1)
        else if (!await insertBackup(tx, backup, caller.projectId, dueAt ?? null)) throw new Error('a schedule ran twice at once')
        await appendAudit(tx, [{ at: now, actor: caller.userName, projectId: caller.projectId, action: 'backup.accepted', instanceId: id, operationId, detail: `${backup.name} ${format}` }])
        return backup
      })
      nudge()
      return answer
    },
    async list(projectId, id, page) {
      const [instance] = await projectInstances(db, projectId, 'redis', [id])
      return instance ? backupsOf(db, id, page) : null
    },
    get,
    async remove({ caller, id, backupId }) {
      const answer = await transact(db, async (tx) => {
        const [instance] = await lockedInstances(tx, caller.projectId, 'redis', [id])
        const backup = instance ? await backupById(tx, id, backupId) : null
        if (!backup) return 'unknown'
        if (backup.outcome === null) return 'open'
        // What is being loaded is read until that is over.
        const open = (await openOperationsOf(tx, [id])).get(id)
        if (open?.action === 'restore' && open.memo['backup'] === backupId) return 'open'
        await deleteBackup(tx, backupId)
        await appendAudit(tx, [{ at: Date.now(), actor: caller.userName, projectId: caller.projectId, action: 'backup.deleted', instanceId: id, operationId: backup.operationId, detail: backup.name }])
        return 'removed'
      })
      // Killed in between, or on another machine, nobody needs these files, and they are looked for and removed.
      if (answer === 'removed') await vault.remove(id, backupId)
      return answer
    },
    async file(projectId, id, backupId, name) {
      const backup = await get(projectId, id, backupId)
      const file = backup?.outcome === 'done' && isWithin(backup.host, host) ? backup.files?.find((one) => one.name === name) : undefined
      if (!file) return null
      const path = join(vault.folder(id, backupId), file.name)
      const found = await stat(path).catch(() => null)
      return found ? { path, bytes: found.size } : null
    },
    async unusable(projectId, backup) {
      const [instance] = await projectInstances(db, projectId, 'redis', [backup.instanceId])
      return instance ? unusable(instance, backup) : 'the instance is gone'
    },
    async restore({ caller, id, backupId, remark }) {
      const now = Date.now()
      const answer = await transact(db, async (tx): Promise<Restore | Refusal | { readonly unusable: string }> => {
        const [instance] = await lockedInstances(tx, caller.projectId, 'redis', [id])
        if (!instance) return { kind: 'unknown' }
        const refusal = unsupported(instance) ?? refusalOf('restore', instance, (await openOperationsOf(tx, [id])).get(id) ?? null, { flush: false, swap: false })
        if (refusal) return refusal
        const backup = await backupById(tx, id, backupId)
        const never = backup ? unusable(instance, backup) : 'this instance has no such backup'
        if (!backup || never !== null) return { unusable: never! }
        const operationId = newId()
        const restore: Restore = {
          id: randomUUID(), instanceId: id, name: `restore_${stamp(now)}`, remark, backupId, backupName: backup.name, backupRemark: backup.remark, operationId, outcome: null, cause: null, createdAt: now, finishedAt: null,
        }
        const memo = { backup: backupId, files: JSON.stringify(backup.files), from: engines[instance.engine].backups!.folder(instance), to: `data-${operationId.slice(0, 12)}` }
        const opened = await openOperations(tx, [{ id: operationId, instance, action: 'restore', generation: instance.generation, actor: caller.userName, at: now, memo }])
        if (opened.size === 0) return { kind: 'busy', status: 'running', action: null }
        await insertRestore(tx, restore, caller.projectId)
        await appendAudit(tx, [{ at: now, actor: caller.userName, projectId: caller.projectId, action: 'restore.accepted', instanceId: id, operationId, detail: backup.name }])
        return restore
      })
      nudge()
      return answer
    },
    async restores(projectId, id, page) {
      const [instance] = await projectInstances(db, projectId, 'redis', [id])
      return instance ? restoresOf(db, id, page) : null
    },
  }
}

/** As the clouds name them: yyyyMMddHHmmss, UTC. */
function stamp(at: number): string { return new Date(at).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14) }

function newId(): string { return randomUUID().replaceAll('-', '') }
