/** Who may do what: the first user, its access key, and the projects of its domain. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { builtInRoles, judge } from './core/policy.ts'
import { createProject, listProjects } from './store/projects.ts'
import type { Credentials } from './home.ts'
import type { Database } from './store/database.ts'
import type { AccessKey, Identity, Named, Project, User } from './api/identity.ts'

/** Answers from memory; only a new project is written. Other control planes' projects are found when an id is not known yet. */
export function identityStore(db: Database, credentials: Credentials): Identity {
  const domain = { id: credentials.domainId, name: credentials.domain }
  const user: User = { id: credentials.userId, name: credentials.user, domain }
  const key: AccessKey = { secret: credentials.secretKey, user }
  const password = digest(credentials.password)
  const known = new Map<string, Project>()

  async function projects(domainId: string): Promise<Project[]> {
    if (domainId !== domain.id) return []
    const rows = await listProjects(db, domain.name)
    const all = rows.map((row): Project => ({ id: row.id, name: row.name, domainId: domain.id }))
    for (const project of all) known.set(project.id, project)
    return all.toSorted((a, b) => Number(b.id === credentials.projectId) - Number(a.id === credentials.projectId))
  }

  return {
    async authenticate(named, inDomain, given) {
      // Compared first and always, so that a wrong name takes as long as a wrong password.
      const right = timingSafeEqual(digest(given), password)
      const meant = is(named, user) && ('id' in named || (inDomain !== null && is(inDomain, domain)))
      return right && meant ? user : null
    },
    async user(id) { return id === user.id ? user : null },
    async accessKey(id) { return id === credentials.accessKey ? key : null },
    projects,
    async project(id) {
      if (!known.has(id)) await projects(domain.id)
      return known.get(id) ?? null
    },
    judge: (userId, _projectId, action) => judge(userId === user.id ? builtInRoles.filter((role) => role.name === 'admin') : [], action),
    async createProject(domainId, name) {
      if (domainId !== domain.id) return null
      const row = await createProject(db, name, domain.name)
      return row ? { id: row.id, name: row.name, domainId } : null
    },
  }
}

function is(named: Named, thing: { readonly id: string; readonly name: string }): boolean {
  return 'id' in named ? named.id === thing.id : named.name === thing.name
}

function digest(text: string): Buffer { return createHash('sha256').update(text).digest() }
