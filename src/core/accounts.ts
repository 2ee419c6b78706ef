/** More users of an instance than the one that it is created with. */
import type { Answer, Caller } from './control-plane.ts'

/** One of an instance's users, as its spec has it. */
export interface Account {
  readonly id: string
  readonly name: string
  /** `read`: everything but commands that write. */
  readonly role: 'read' | 'write'
  readonly sealedPassword: string
  readonly description: string
}

/** What is wished of an account. Passwords are plain here, and nowhere else. */
export type AccountWish =
  | { readonly what: 'create'; readonly name: string; readonly role: Account['role']; readonly password: string; readonly description: string }
  | { readonly what: 'delete' | 'describe' | 'role' | 'reset' | 'modify'; readonly accountId: string; readonly description?: string; readonly role?: Account['role']; readonly password?: string; /** Of `modify`: the present one. */ readonly old?: string }

/** Why it is not accepted, besides the instance's state. `left`: tries before it locks. */
export type AccountRefusal =
  | { readonly kind: 'unknown account' | 'taken' | 'full' | 'same' }
  | { readonly kind: 'wrong'; readonly left: number }
  | { readonly kind: 'locked'; readonly forMs: number }

/** As many as the clouds allow, beside the one that every instance has. */
export const mostAccounts = 18

export interface Accounts {
  /** Accepted with its audit row when this returns; it comes true without a restart. */
  change(caller: Caller, id: string, wish: AccountWish): Promise<Answer | AccountRefusal>
}
