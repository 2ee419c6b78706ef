/** Users, their roles and keys, roles and projects, for the CLI and the console. */
import { badRequest, declinedReply } from './errors.ts'
import { nameProblem, passwordProblem } from '../names.ts'
import { readRules } from './rules.ts'
import { isAbsent, isText, readJson, type Body } from '../json.ts'
import { noContent, ok, type Call, type Reply, type Route, type Who } from '../http.ts'
import type { Declined, Directory, HeldRole, Identity, Member, Project } from '../identity.ts'

export interface PeopleParts {
  readonly identity: Identity
  readonly directory: Directory
  /** Every action that some route asks for. */
  readonly actions: () => readonly string[]
}

export function peopleRoutes(parts: PeopleParts): Route[] {
  const { identity, directory } = parts
  // Everybody may look after themselves.
  const own = (call: Call, who: Who): boolean => directory.member(call.params['user']!)?.id === who.user.id
  const changing = (work: (body: Body, member: Member, who: Who) => Promise<Reply>) => (call: Call, who: Who): Promise<Reply> | Reply => {
    const [member, body] = [directory.member(call.params['user']!), bodyOf(call)]
    if (typeof body === 'string') return badRequest(body)
    return member ? work(body, member, who) : noUser(call)
  }
  return [
    { method: 'GET', path: '/v1/users', access: 'domain', action: 'sluice:user:list', handle: async (_call, { user }) => ok({ users: await Promise.all(directory.members().map(async (member) => memberBody(member, await identity.projects(user)))) }) },
    { method: 'POST', path: '/v1/users', access: 'domain', action: 'sluice:user:create', handle: (call, who) => createUser(parts, call, who) },
    { method: 'GET', path: '/v1/users/:user', access: 'domain', action: 'sluice:user:get', unless: own, handle: (call, who) => withMember(parts, call, async (member) => ok({ user: memberBody(member, await identity.projects(who.user)) })) },
    { method: 'DELETE', path: '/v1/users/:user', access: 'domain', action: 'sluice:user:delete', handle: (call, { user }) => withMember(parts, call, async (member) => done(await directory.deleteUser(user, member.id))) },
    {
      method: 'PUT', path: '/v1/users/:user/password', access: 'domain', action: 'sluice:user:setPassword',
      handle: changing(async ({ password }, member, { user }) => {
        const problem = passwordProblem(password)
        return problem ? badRequest(problem) : done(await directory.setPassword(user, member.id, password as string))
      }),
    },
    {
      method: 'POST', path: '/v1/users/:user/roles', access: 'domain', action: 'sluice:user:setRoles',
      handle: changing(async (body, member, { user }) => {
        const held = heldOf(body)
        return typeof held === 'string' ? badRequest(held) : done(await directory.grant(user, member.id, held))
      }),
    },
    {
      method: 'DELETE', path: '/v1/users/:user/roles/:role', access: 'domain', action: 'sluice:user:setRoles',
      handle: (call, { user }) => withMember(parts, call, async (member) => done(await directory.withdraw(user, member.id, { role: call.params['role']!, projectId: call.query.get('project_id') || null }))),
    },
    { method: 'GET', path: '/v1/users/:user/keys', access: 'domain', action: 'sluice:key:list', unless: own, handle: (call) => withMember(parts, call, (member) => ok({ keys: member.keys.map((key) => ({ access_key: key.id, description: key.description, created_at: key.createdAt })) })) },
    { method: 'POST', path: '/v1/users/:user/keys', access: 'domain', action: 'sluice:key:create', unless: own, handle: (call, who) => withMember(parts, call, (member) => createKey(parts, call, who, member)) },
    { method: 'DELETE', path: '/v1/users/:user/keys/:key', access: 'domain', action: 'sluice:key:delete', unless: own, handle: (call, who) => withMember(parts, call, async (member) => done(await directory.deleteKey(who.user, member.id, call.params['key']!))) },
    { method: 'GET', path: '/v1/roles', access: 'user', action: null, handle: () => ok({ roles: directory.roles() }) },
    {
      method: 'PUT', path: '/v1/roles/:role', access: 'domain', action: 'sluice:role:write',
      handle: async (call, { user }) => {
        const [body, name] = [bodyOf(call), call.params['role']!]
        const rules = typeof body === 'string' ? body : readRules(body['rules'], parts.actions())
        const problem = nameProblem(name) ?? (typeof body !== 'string' && !isAbsent(body['description']) && !isText(body['description'], 256) ? 'description must be a text of at most 256 characters' : null)
        if (problem || typeof body === 'string' || typeof rules === 'string') return badRequest(problem ?? String(rules))
        return done(await directory.putRole(user, { name, description: (body['description'] as string | undefined) ?? '', rules }))
      },
    },
    { method: 'DELETE', path: '/v1/roles/:role', access: 'domain', action: 'sluice:role:delete', handle: async (call, { user }) => done(await directory.deleteRole(user, call.params['role']!)) },
    { method: 'GET', path: '/v1/actions', access: 'user', action: null, handle: () => ok({ actions: parts.actions() }) },
    { method: 'GET', path: '/v1/projects', access: 'user', action: null, handle: async (_call, { user }) => ok({ projects: (await identity.projects(user)).map(({ id, name }) => ({ id, name })) }) },
    { method: 'POST', path: '/v1/projects', access: 'domain', action: 'iam:projects:createProject', handle: (call, who) => createProject(parts, call, who) },
    { method: 'DELETE', path: '/v1/projects/:id', access: 'domain', action: 'iam:projects:deleteProject', handle: async (call, { user }) => done(await directory.deleteProject(user, call.params['id']!.toLowerCase())) },
  ]
}

async function createUser({ identity, directory }: PeopleParts, call: Call, { user }: Who): Promise<Reply> {
  const body = bodyOf(call)
  if (typeof body === 'string') return badRequest(body)
  const { name, password, description = '', roles = [] } = body
  const problem = nameProblem(name) ?? passwordProblem(password) ?? (isText(description, 256) ? null : 'description must be a text of at most 256 characters')
  if (problem) return badRequest(problem)
  if (!Array.isArray(roles) || roles.length > 100) return badRequest('roles must be a list of at most 100')
  const held = roles.map((role) => heldOf(role))
  const wrong = held.find((one) => typeof one === 'string')
  if (wrong !== undefined) return badRequest(wrong as string)
  const made = await directory.createUser(user, { name: name as string, password: password as string, description: description as string, roles: held as HeldRole[] })
  return 'declined' in made ? declinedReply(made) : { status: 201, body: { user: memberBody(made, await identity.projects(user)) } }
}

async function createKey({ directory }: PeopleParts, call: Call, { user }: Who, member: Member): Promise<Reply> {
  const body = call.body.length === 0 ? {} : bodyOf(call)
  if (typeof body === 'string') return badRequest(body)
  const { description = '' } = body as Body
  if (!isText(description, 256)) return badRequest('description must be a text of at most 256 characters')
  const made = await directory.createKey(user, member.id, description)
  return 'declined' in made ? declinedReply(made) : { status: 201, body: { access_key: made.key.id, secret_key: made.secret } }
}

async function createProject({ identity }: PeopleParts, call: Call, { user }: Who): Promise<Reply> {
  const body = bodyOf(call)
  const name = typeof body === 'string' ? undefined : body['name']
  if (!isText(name, 64) || !/^[A-Za-z0-9_-]+$/.test(name)) return badRequest('name must be 1 to 64 letters, digits, underscores and hyphens')
  const project = await identity.createProject(user, name)
  return project ? { status: 201, body: { project: { id: project.id, name } } } : declinedReply({ declined: 'taken', what: name })
}

function withMember({ directory }: PeopleParts, call: Call, answer: (member: Member) => Promise<Reply> | Reply): Promise<Reply> | Reply {
  const member = directory.member(call.params['user']!)
  return member ? answer(member) : noUser(call)
}

function noUser(call: Call): Reply { return declinedReply({ declined: 'missing', what: `the user ${call.params['user']}` }) }

function done(declined: Declined | null): Reply { return declined ? declinedReply(declined) : noContent }

function heldOf(value: unknown): HeldRole | string {
  const { role, project_id: projectId = null } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  if (nameProblem(role)) return 'role must name a role'
  return projectId === null || isText(projectId, 64) ? { role: role as string, projectId } : 'project_id must be the id of a project, or be left out for all of them'
}

function bodyOf(call: Call): Body | string {
  const body = readJson(call.body, call.headers['content-type'] as string | undefined)
  return typeof body === 'string' ? 'the body must be a JSON object, with the Content-Type application/json' : body
}

function memberBody({ id, name, description, createdAt, roles, keys }: Member, projects: readonly Project[]): object {
  return {
    id, name, description, created_at: createdAt, access_keys: keys.length,
    roles: roles.map(({ role, projectId }) => ({ role, project_id: projectId, project: projects.find((project) => project.id === projectId)?.name ?? null })),
  }
}
