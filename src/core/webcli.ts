/** A command line in front of an instance, for people who have no client at hand. */
import type { Caller } from './control-plane.ts'
import type { Refusal } from './refusal.ts'

export type CliRefusal = Refusal
  /** The servers cannot be asked, now or from here. */
  | { readonly kind: 'silent'; readonly reason: string }
  | { readonly kind: 'wrong password' | 'no session' }
  | { readonly kind: 'locked'; readonly forMs: number }

export interface WebCli {
  /** Opens a session for somebody who knows the customer's password; `password` counts for nothing where there is none. */
  login(caller: Caller, id: string, password: string): Promise<{ readonly session: string; readonly databases: number } | CliRefusal>
  /** Runs one command as the customer's user, and answers as a command line would: also that the server refuses it, or that it is not for this place. */
  run(caller: Caller, id: string, wish: { readonly session: string; readonly words: readonly string[]; readonly database: number }): Promise<{ readonly text: string } | CliRefusal>
  logout(caller: Caller, id: string, session: string): Promise<'ended' | 'no session'>
}
