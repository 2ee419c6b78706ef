/** A customer's password, changed by whoever knows the old one: five wrong tries in a row lock that for five minutes. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { appendAudit } from '../store/audit.ts'
import { change, type ChangeParts } from './change.ts'
import { readTries, writeTries } from '../store/tries.ts'
import { afterWrong, mostTries } from '../core/tries.ts'
import type { Tx } from '../store/database.ts'
import type { Answer, PasswordAnswer, PasswordWish } from '../core/control-plane.ts'
import type { Instance } from '../core/instance.ts'


/** Who may not try says so before anything is compared, and what was wrong is noted in the transaction that says so. */
export function changePassword(parts: ChangeParts & { readonly open: (sealed: string) => string }, { old, next, ...wish }: PasswordWish): Promise<Answer | PasswordAnswer> {
  return change<PasswordAnswer>(parts, { ...wish, action: 'password', spec: { password: next }, detail: '' }, async (tx, instance) => {
    const { sealedPassword } = instance.spec
    if (sealedPassword === null) return { kind: 'none' }
    const now = Date.now()
    const tries = await readTries(tx, instance.id)
    if (tries.lockedUntil > now) return { kind: 'locked', forMs: tries.lockedUntil - now }
    if (!isSame(parts.open(sealedPassword), old)) return wish.dryRun ? { kind: 'wrong', left: mostTries - tries.wrong - 1 } : noteWrong(tx, instance, tries.wrong + 1, wish.caller.userName, now)
    if (isSame(old, next)) return { kind: 'same' }
    return null
  })
}

async function noteWrong(tx: Tx, { id, projectId }: Instance, wrong: number, actor: string, at: number): Promise<PasswordAnswer> {
  const tries = afterWrong(wrong, at)
  await writeTries(tx, id, tries)
  await appendAudit(tx, [{ at, actor, projectId, action: 'password.wrong', instanceId: id, operationId: '', detail: tries.lockedUntil > 0 ? 'locked for 5 minutes' : `${mostTries - wrong} tries left` }])
  return { kind: 'wrong', left: mostTries - wrong }
}

/** In the same time, however much of it is right. */
export function isSame(a: string, b: string): boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(hash(a), hash(b))
}
