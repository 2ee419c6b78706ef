/** What the services need to know of people: domains hold users and projects, a project is a tenant. */
import type { Role, Rule, Verdict } from '../core/policy.ts'
import type { TokenFacts, TokenKeys } from './tokens.ts'

export interface Domain { readonly id: string; readonly name: string }
export interface User { readonly id: string; readonly name: string; readonly domain: Domain }
export interface Project { readonly id: string; readonly name: string; readonly domainId: string }
export interface AccessKey { readonly secret: string; readonly user: User }

/** A thing named by its id or by its name. */
export type Named = { readonly id: string } | { readonly name: string }

export interface Identity {
  /** Signs tokens. */
  readonly tokenKeys: TokenKeys
  /** Resolves when every change that any control plane committed before is known; all the rest answers from memory. */
  refresh(): Promise<void>
  /**
   * The user when the password is right, else null; an unknown user takes the same time. A user given by name needs
   * the domain, one given by id does not. `busy`: too many are asking at once.
   */
  authenticate(user: Named, domain: Named | null, password: string): Promise<User | null | 'busy'>
  /** By id; null when there is none. */
  user(id: string): User | null
  /** Null when there is no such key. */
  accessKey(id: string): AccessKey | null
  /** Whether a token that was signed here still counts: its user is there, with the same password, and it was not revoked. */
  holds(facts: TokenFacts): boolean
  /** From now on it does not, on every control plane. */
  revoke(facts: TokenFacts): Promise<void>
  /** What goes into a token besides its scope; changes when the user gets another password. */
  epoch(userId: string): number
  /** In which this user has a role, the default one first. */
  projects(user: User): Promise<readonly Project[]>
  /** By id, in lower case. */
  project(id: string): Promise<Project | null>
  /** What a user's roles say to an action in a project; without one, those that count in all projects. */
  judge(userId: string, projectId: string | null, action: string): Verdict
  /** Names of the roles that count there. */
  roles(userId: string, projectId: string | null): readonly string[]
  /** Null when the name is taken. */
  createProject(by: User, name: string): Promise<Project | null>
}

/** A role that a user has in one project, or with null in all of them. */
export interface HeldRole { readonly role: string; readonly projectId: string | null }

export interface Key { readonly id: string; readonly description: string; /** Epoch ms; null: it is in the server's settings. */ readonly createdAt: number | null }

export interface Member {
  readonly id: string
  readonly name: string
  readonly description: string
  /** Epoch ms; null: the first user, which is in the server's settings, and cannot be changed here. */
  readonly createdAt: number | null
  readonly roles: readonly HeldRole[]
  readonly keys: readonly Key[]
}

/** Why a change of people is refused. `missing` names what is not there; `fixed`: it belongs to the server's settings, or is always there. */
export interface Declined { readonly declined: 'missing' | 'taken' | 'fixed' | 'in use' | 'too many'; readonly what: string }

/** Who is there, and changing that. Each change is durable, audited and known to every control plane when it returns. */
export interface Directory {
  members(): readonly Member[]
  /** By id or name; null when there is none. */
  member(idOrName: string): Member | null
  createUser(by: User, wish: { readonly name: string; readonly password: string; readonly description: string; readonly roles: readonly HeldRole[] }): Promise<Member | Declined>
  deleteUser(by: User, id: string): Promise<Declined | null>
  /** Ends every token that the user has. */
  setPassword(by: User, id: string, password: string): Promise<Declined | null>
  grant(by: User, id: string, role: HeldRole): Promise<Declined | null>
  withdraw(by: User, id: string, role: HeldRole): Promise<Declined | null>
  /** The secret is told once, here. */
  createKey(by: User, id: string, description: string): Promise<{ readonly key: Key; readonly secret: string } | Declined>
  deleteKey(by: User, id: string, keyId: string): Promise<Declined | null>
  roles(): readonly Role[]
  putRole(by: User, role: { readonly name: string; readonly description: string; readonly rules: readonly Rule[] }): Promise<Declined | null>
  deleteRole(by: User, name: string): Promise<Declined | null>
  /** Refused while it has instances. */
  deleteProject(by: User, id: string): Promise<Declined | null>
}
