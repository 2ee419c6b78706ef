/** Who may do what. The first user and its key come from the server's settings, everybody else from the database. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { builtInRoles, judge, type Role } from '../core/policy.ts'
import { verifyPassword } from './scrypt.ts'
import { appendAudit } from '../store/audit.ts'
import { createProject, listProjects } from '../store/projects.ts'
import { changePeople, revokeToken } from '../store/people.ts'
import type { Credentials } from '../home.ts'
import type { Memory } from './people.ts'
import type { Secrets } from '../secrets.ts'
import type { Database } from '../store/database.ts'
import type { AccessKey, Identity, Named, Project, User } from '../api/identity.ts'

export interface IdentityParts {
  readonly db: Database
  readonly credentials: Credentials
  readonly secrets: Pick<Secrets, 'derive' | 'open'>
  readonly memory: Memory
  /** Projects by id as far as they were asked for; emptied by whoever deletes one. */
  readonly projects: Map<string, Project>
}

/** Other control planes' projects are found when an id is not known yet. */
export function identityStore({ db, credentials, secrets, memory, projects: known }: IdentityParts): Identity {
  const domain = { id: credentials.domainId, name: credentials.domain }
  const first: User = { id: credentials.userId, name: credentials.user, domain }
  const firstKey: AccessKey = { secret: credentials.secretKey, user: first }
  const password = digest(credentials.password)
  const secretOf = new Map<string, string>()
  // Another password ends every token that the first user was given for the old one. The others' key is one that a release
  // which knows the first user alone does not have: there, every token may do everything.
  const [firstTokens, otherTokens] = [createHmac('sha256', secrets.derive('tokens')).update(credentials.password).digest(), secrets.derive('tokens of users')]

  const userOf = (id: string): User | null => {
    const member = id === first.id ? null : memory.now().members.get(id)
    return member ? { id, name: member.row.name, domain } : id === first.id ? first : null
  }
  const rolesOf = (userId: string, projectId: string | null): readonly Role[] => {
    if (userId === first.id) return admin
    const roles = memory.now().members.get(userId)?.roles
    return roles ? [...roles.get('') ?? [], ...projectId === null ? [] : roles.get(projectId) ?? []] : []
  }

  async function allProjects(): Promise<Project[]> {
    const rows = await listProjects(db, domain.name)
    const all = rows.map((row): Project => ({ id: row.id, name: row.name, domainId: domain.id }))
    for (const project of all) known.set(project.id, project)
    return all.toSorted((a, b) => Number(b.id === credentials.projectId) - Number(a.id === credentials.projectId))
  }

  return {
    tokenKeys: { of: (userId) => userId === first.id ? firstTokens : otherTokens, all: [firstTokens, otherTokens] },
    refresh: () => memory.refresh(),
    async authenticate(named, inDomain, given) {
      await memory.refresh()
      const here = 'id' in named || (inDomain !== null && is(inDomain, domain))
      // Compared first and always, so that every wrong log-in takes as long.
      const right = timingSafeEqual(digest(given), password)
      if (right && here && is(named, first)) return first
      const { members, byName } = memory.now()
      const member = here && !is(named, first) ? 'id' in named ? members.get(named.id) : byName.get(named.name) : undefined
      const verified = await verifyPassword(given, member?.row.password ?? null)
      return verified === 'busy' ? 'busy' : verified ? userOf(member!.row.id) : null
    },
    user: userOf,
    accessKey(id) {
      if (id === credentials.accessKey) return firstKey
      const row = memory.now().keys.get(id)
      const user = row && userOf(row.user_id)
      if (!user) return null
      // Opened once: every signed request asks.
      const secret = secretOf.get(row.secret) ?? secrets.open(row.secret)
      secretOf.set(row.secret, secret)
      return { secret, user }
    },
    holds(facts) {
      if (memory.isRevoked(facts.id ?? '')) return false
      return facts.userId === first.id || memory.now().members.get(facts.userId)?.row.epoch === facts.epoch
    },
    async revoke(facts) {
      await revokeToken(db, facts.id ?? '', facts.expiresAt, Date.now())
      await memory.reload()
    },
    epoch: (userId) => memory.now().members.get(userId)?.row.epoch ?? 0,
    async projects(user) {
      const all = await allProjects()
      return user.id === first.id ? all : all.filter((project) => rolesOf(user.id, project.id).length > 0)
    },
    async project(id) {
      if (!known.has(id)) await allProjects()
      return known.get(id) ?? null
    },
    judge: (userId, projectId, action) => judge(rolesOf(userId, projectId), action),
    roles: (userId, projectId) => [...new Set(rolesOf(userId, projectId).map((role) => role.name))],
    async createProject(by, name) {
      const row = await changePeople(db, async (tx) => {
        const row = await createProject(tx, name, domain.name)
        if (row) await appendAudit(tx, [{ at: row.created_at, actor: by.name, projectId: row.id, action: 'project.created', instanceId: '', operationId: '', detail: name }])
        return row
      })
      return row ? { id: row.id, name: row.name, domainId: domain.id } : null
    },
  }
}

const admin = builtInRoles.filter((role) => role.name === 'admin')

function is(named: Named, thing: { readonly id: string; readonly name: string }): boolean {
  return 'id' in named ? named.id === thing.id : named.name === thing.name
}

function digest(text: string): Buffer { return createHash('sha256').update(text).digest() }
