/** Users, roles, access keys and projects, and changing them: one transaction each, with its audit row. */
import { randomBytes, randomUUID } from 'node:crypto'
import { builtInRoles } from '../core/policy.ts'
import { hashPassword } from './scrypt.ts'
import { appendAudit } from '../store/audit.ts'
import { deleteProject, listProjects } from '../store/projects.ts'
import { addUserRole, changePeople, deleteKey, deleteRole, deleteUser, hasRole, insertKey, insertUser, keyIds, putRole, removeUserRole, roleIsHeld, setPassword, userName } from '../store/people.ts'
import { isTaken, type Database, type Tx } from '../store/database.ts'
import type { Credentials } from '../home.ts'
import type { Memory, Member as Known } from './people.ts'
import type { Secrets } from '../secrets.ts'
import type { Declined, Directory, HeldRole, Member, User } from '../api/identity.ts'

export interface DirectoryParts {
  readonly db: Database
  readonly credentials: Credentials
  readonly secrets: Pick<Secrets, 'seal'>
  readonly memory: Memory
}

/** Keys are changed by having two for a while; more are a mistake of a script. */
const mostKeys = 10

export function directory({ db, credentials, secrets, memory }: DirectoryParts): Directory {
  const first: Member = {
    id: credentials.userId, name: credentials.user, description: 'the first user', createdAt: null, roles: [{ role: 'admin', projectId: null }],
    keys: [{ id: credentials.accessKey, description: 'the first key', createdAt: null }],
  }
  const member = (idOrName: string): Member | null => {
    if (idOrName === first.id || idOrName === first.name) return first
    const found = memory.now().members.get(idOrName) ?? memory.now().byName.get(idOrName)
    return found ? memberOf(found) : null
  }

  /** Of a user of the database; others may have changed it since this memory was read, so the transaction asks for itself. */
  async function change(by: User, id: string, action: string, detail: string, work: (tx: Tx) => Promise<Declined | null>): Promise<Declined | null> {
    if (id === first.id) return { declined: 'fixed', what: `the user ${first.name}` }
    const answer = await changePeople(db, async (tx) => {
      const name = await userName(tx, id)
      if (name === null) return { declined: 'missing' as const, what: 'the user' }
      const declined = await work(tx)
      if (!declined) await audit(tx, by, action, detail === '' ? name : `${name}: ${detail}`)
      return declined
    })
    await memory.reload()
    return answer
  }

  async function unknownRole(tx: Tx, { role, projectId }: HeldRole): Promise<Declined | null> {
    if (!isBuiltIn(role) && !await hasRole(tx, credentials.domain, role)) return { declined: 'missing', what: `the role ${role}` }
    if (projectId === null || (await listProjects(tx, credentials.domain)).some((project) => project.id === projectId)) return null
    return { declined: 'missing', what: `the project ${projectId}` }
  }

  return {
    members: () => [first, ...[...memory.now().members.values()].map(memberOf)],
    member,
    async createUser(by, { name, password, description, roles }) {
      // `sluice` is what the audit calls this program.
      if (name === first.name || name === 'sluice') return { declined: 'taken', what: name }
      const id = randomUUID().replaceAll('-', '')
      const hash = await hashPassword(password)
      try {
        const declined = await changePeople(db, async (tx) => {
          for (const held of roles) {
            const unknown = await unknownRole(tx, held)
            if (unknown) return unknown
          }
          const now = Date.now()
          await insertUser(tx, { id, domain: credentials.domain, name, description, password: hash, epoch: 1, created_at: now })
          for (const held of roles) await addUserRole(tx, rowOf(id, held))
          await audit(tx, by, 'user.created', [name, ...roles.map(told)].join(', '))
          return null
        })
        if (declined) return declined
      } catch (error) {
        if (isTaken(error)) return { declined: 'taken', what: name }
        throw error
      }
      await memory.reload()
      return member(id) ?? { declined: 'missing', what: 'the user' }
    },
    deleteUser: (by, id) => change(by, id, 'user.deleted', '', async (tx) => { await deleteUser(tx, id); return null }),
    async setPassword(by, id, password) {
      const hash = await hashPassword(password)
      return change(by, id, 'user.password', '', async (tx) => { await setPassword(tx, id, hash); return null })
    },
    grant: (by, id, held) => change(by, id, 'user.granted', told(held), async (tx) => {
      const unknown = await unknownRole(tx, held)
      if (!unknown) await addUserRole(tx, rowOf(id, held))
      return unknown
    }),
    withdraw: (by, id, held) => change(by, id, 'user.withdrawn', told(held), async (tx) => await removeUserRole(tx, rowOf(id, held)) ? null : { declined: 'missing', what: `the role ${told(held)} of this user` }),
    async createKey(by, id, description) {
      const key = { id: randomBytes(10).toString('hex').toUpperCase(), description, createdAt: Date.now() }
      const secret = randomBytes(30).toString('base64url')
      const declined = await change(by, id, 'key.created', key.id, async (tx) => {
        if ((await keyIds(tx, id)).length >= mostKeys) return { declined: 'too many', what: `${mostKeys} access keys` }
        await insertKey(tx, { id: key.id, user_id: id, secret: secrets.seal(secret), description, created_at: key.createdAt })
        return null
      })
      return declined ?? { key, secret }
    },
    deleteKey: (by, id, keyId) => change(by, id, 'key.deleted', keyId, async (tx) => {
      if (!(await keyIds(tx, id)).includes(keyId)) return { declined: 'missing', what: `the access key ${keyId}` }
      await deleteKey(tx, keyId)
      return null
    }),
    roles: () => [...builtInRoles, ...memory.now().roles.values()],
    async putRole(by, { name, description, rules }) {
      if (isBuiltIn(name)) return { declined: 'fixed', what: `the role ${name}` }
      await changePeople(db, async (tx) => {
        await putRole(tx, { domain: credentials.domain, name, description, rules: JSON.stringify(rules) })
        await audit(tx, by, 'role.written', `${name}: ${rules.map((rule) => `${rule.effect} ${rule.actions.join(' ')}`).join('; ')}`)
      })
      await memory.reload()
      return null
    },
    async deleteRole(by, name) {
      if (isBuiltIn(name)) return { declined: 'fixed', what: `the role ${name}` }
      const answer = await changePeople(db, async (tx): Promise<Declined | null> => {
        if (!await hasRole(tx, credentials.domain, name)) return { declined: 'missing', what: `the role ${name}` }
        if (await roleIsHeld(tx, name)) return { declined: 'in use', what: `the role ${name}` }
        await deleteRole(tx, credentials.domain, name)
        await audit(tx, by, 'role.deleted', name)
        return null
      })
      await memory.reload()
      return answer
    },
    async deleteProject(by, id) {
      if (id === credentials.projectId) return { declined: 'fixed', what: 'the default project' }
      const answer = await changePeople(db, async (tx): Promise<Declined | null> => {
        const project = (await listProjects(tx, credentials.domain)).find((one) => one.id === id)
        if (!project) return { declined: 'missing', what: `the project ${id}` }
        if (!await deleteProject(tx, id)) return { declined: 'in use', what: `the project ${project.name}` }
        await appendAudit(tx, [{ at: Date.now(), actor: by.name, projectId: id, action: 'project.deleted', instanceId: '', operationId: '', detail: project.name }])
        return null
      })
      await memory.reload()
      return answer
    },
  }
}

function isBuiltIn(name: string): boolean { return builtInRoles.some((role) => role.name === name) }

function memberOf({ row, roles, keys }: Known): Member {
  return {
    id: row.id, name: row.name, description: row.description, createdAt: row.created_at,
    roles: [...roles].flatMap(([projectId, held]) => held.map((role) => ({ role: role.name, projectId: projectId || null }))),
    keys: keys.map((key) => ({ id: key.id, description: key.description, createdAt: key.created_at })),
  }
}

function rowOf(userId: string, { role, projectId }: HeldRole): { user_id: string; project_id: string; role: string } { return { user_id: userId, project_id: projectId ?? '', role } }

function told({ role, projectId }: HeldRole): string { return `${role} in ${projectId ?? 'all projects'}` }

async function audit(tx: Tx, by: User, action: string, detail: string): Promise<void> {
  await appendAudit(tx, [{ at: Date.now(), actor: by.name, projectId: '', action, instanceId: '', operationId: '', detail }])
}
