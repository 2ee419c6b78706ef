/** What the services need to know of people: domains hold users and projects, a project is a tenant. */
import type { Verdict } from '../core/policy.ts'

export interface Domain { readonly id: string; readonly name: string }
export interface User { readonly id: string; readonly name: string; readonly domain: Domain }
export interface Project { readonly id: string; readonly name: string; readonly domainId: string }
export interface AccessKey { readonly secret: string; readonly user: User }

/** A thing named by its id or by its name. */
export type Named = { readonly id: string } | { readonly name: string }

export interface Identity {
  /**
   * The user when the password is right, else null; an unknown user takes the same time. A user given by name needs
   * the domain, one given by id does not.
   */
  authenticate(user: Named, domain: Named | null, password: string): Promise<User | null>
  /** By id; null when there is none. */
  user(id: string): Promise<User | null>
  /** Null when there is no such key. Asked on every signed request: answer from memory. */
  accessKey(id: string): Promise<AccessKey | null>
  /** All of the domain, the default one first. */
  projects(domainId: string): Promise<readonly Project[]>
  /** By id, in lower case. Asked on every signed request: answer from memory. */
  project(id: string): Promise<Project | null>
  /** What a user's roles say to an action in a project; without one, those that count in all projects. */
  judge(userId: string, projectId: string | null, action: string): Verdict
  /** Null when the name is taken. */
  createProject(domainId: string, name: string): Promise<Project | null>
}
