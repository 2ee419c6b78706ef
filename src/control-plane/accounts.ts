/** Users of an instance: created, changed and deleted while it serves. */
import { randomUUID } from 'node:crypto'
import { change, type ChangeParts } from './change.ts'
import { projectInstances } from '../store/instances.ts'
import { forgetTries, readTries, writeTries } from '../store/tries.ts'
import { mostAccounts, type Account, type AccountRefusal, type Accounts, type AccountWish } from '../core/accounts.ts'
import { afterWrong, mostTries } from '../core/tries.ts'
import { isSame } from './passwords.ts'
import type { Tx } from '../store/database.ts'

export interface AccountParts extends ChangeParts {
  readonly open: (sealed: string) => string
  readonly nudge: () => void
}

/** Somebody else changed an account of the same instance in between; so often in a row nobody does. */
const attempts = 10

interface Raced { readonly kind: 'raced' }

export function accounts({ open, nudge, ...parts }: AccountParts): Accounts {
  /** The accounts as they will be. */
  function edited(now: readonly Account[], wish: AccountWish): readonly Account[] | AccountRefusal {
    if (wish.what === 'create') {
      if (now.some(({ name }) => name === wish.name)) return { kind: 'taken' }
      if (now.length >= mostAccounts) return { kind: 'full' }
      return [...now, { id: randomUUID(), name: wish.name, role: wish.role, sealedPassword: parts.seal(wish.password), description: wish.description }]
    }
    const account = now.find(({ id }) => id === wish.accountId)
    if (!account) return { kind: 'unknown account' }
    if (wish.what === 'delete') return now.filter((one) => one !== account)
    const { description, role, password } = wish
    return now.map((one) => one === account ? { ...one, ...description === undefined ? {} : { description }, ...role === undefined ? {} : { role }, ...password === undefined ? {} : { sealedPassword: parts.seal(password) } } : one)
  }

  /** Five wrong passwords in a row lock an account's change for five minutes; noted in the transaction that says so. */
  async function tried(tx: Tx, account: Account, { old, password }: Extract<AccountWish, { accountId: string }>): Promise<AccountRefusal | null> {
    const now = Date.now()
    const tries = await readTries(tx, account.id)
    if (tries.lockedUntil > now) return { kind: 'locked', forMs: tries.lockedUntil - now }
    const present = open(account.sealedPassword)
    if (!isSame(present, old ?? '')) {
      const wrong = tries.wrong + 1
      await writeTries(tx, account.id, afterWrong(wrong, now))
      return { kind: 'wrong', left: mostTries - wrong }
    }
    await forgetTries(tx, [account.id])
    return password !== undefined && isSame(present, password) ? { kind: 'same' } : null
  }

  return {
    async change(caller, id, wish) {
      for (let attempt = 1; ; attempt += 1) {
        const [seen] = await projectInstances(parts.db, caller.projectId, 'redis', [id])
        if (!seen) return { id, refusal: { kind: 'unknown' } }
        if (seen.version === '3.0') return { id, refusal: { kind: 'unsupported', reason: 'Redis 3.0 has one user; 4.0 and later have more' } }
        const before = seen.spec.accounts ?? []
        const after = edited(before, wish)
        if ('kind' in after) return after
        const [was, is] = [before.filter((one) => !after.includes(one)), after.filter((one) => !before.includes(one))]
        const account = is[0] ?? was[0]!
        const answer = await change<AccountRefusal | Raced>(parts, { caller, engine: 'redis', id, action: 'accounts', spec: { accounts: after }, detail: `${wish.what} ${account.name}`, memo: { account: account.id, what: wish.what } }, async (tx, instance) => {
          if (JSON.stringify(instance.spec.accounts ?? []) !== JSON.stringify(before)) return { kind: 'raced' }
          if (wish.what === 'modify') return tried(tx, was[0]!, wish)
          // Who may set a password without the old one need not wait for a lock either.
          if (wish.what === 'reset' || wish.what === 'delete') await forgetTries(tx, [account.id])
          return null
        })
        if ('kind' in answer && answer.kind === 'raced' && attempt < attempts) continue
        nudge()
        return 'kind' in answer && answer.kind === 'raced' ? { id, refusal: { kind: 'busy', status: 'running', action: 'accounts' } } : answer as Exclude<typeof answer, Raced>
      }
    },
  }
}
