/** Users and roles as OpenStack's clients look them up; a user may give itself another password. */
import { forbidden, keystone } from './errors.ts'
import { links, projectBody, roleBody, traced, userBody } from './forms.ts'
import { passwordProblem } from '../names.ts'
import { isObject, isText, readJson } from '../json.ts'
import type { CatalogUrls } from './catalog.ts'
import type { Call, Reply, Route, Who } from '../http.ts'
import type { Directory, Identity, Member } from '../identity.ts'

export interface PeopleParts {
  readonly identity: Identity
  readonly directory: Directory
  readonly urls: CatalogUrls
}

export function peopleRoutes(parts: PeopleParts): Route[] {
  const { directory, urls } = parts
  return [
    {
      method: 'GET', path: '/v3/users', access: 'domain', action: 'iam:users:listUsers',
      handle: (call, { user: { domain } }) => {
        const [name, domainId] = [call.query.get('name'), call.query.get('domain_id')]
        const found = directory.members().filter((member) => (name === null || member.name === name) && (domainId === null || domainId === domain.id))
        return traced(call, { users: found.map((member) => userBody(urls, domain.id, member)), links: links(urls, '/v3/users') })
      },
    },
    { method: 'GET', path: '/v3/users/:id', access: 'domain', action: 'iam:users:getUser', unless: own, handle: (call, who) => ofUser(parts, call, (member) => traced(call, { user: userBody(urls, who.user.domain.id, member) })) },
    {
      method: 'GET', path: '/v3/users/:id/projects', access: 'domain', action: 'iam:users:getUser', unless: own,
      handle: (call, who) => ofUser(parts, call, async ({ id, name }) => {
        const all = await parts.identity.projects({ id, name, domain: who.user.domain })
        return traced(call, { projects: all.map((project) => projectBody(urls, project)), links: links(urls, call.path) })
      }),
    },
    { method: 'POST', path: '/v3/users/:id/password', access: 'user', action: null, handle: (call, who) => changePassword(parts, call, who) },
    {
      method: 'GET', path: '/v3/roles', access: 'user', action: null,
      handle: (call) => {
        const name = call.query.get('name')
        return traced(call, { roles: directory.roles().filter((role) => name === null || role.name === name).map((role) => roleBody(urls, role)), links: links(urls, '/v3/roles') })
      },
    },
    {
      method: 'GET', path: '/v3/roles/:id', access: 'user', action: null,
      handle: (call) => {
        const role = directory.roles().find((one) => one.name === call.params['id'])
        return role ? traced(call, { role: roleBody(urls, role) }) : keystone(404, `Could not find role: ${call.params['id']}.`)
      },
    },
  ]
}

/** Everybody may look at themselves. */
function own(call: Call, { user }: Who): boolean { return call.params['id'] === user.id }

function ofUser({ directory }: PeopleParts, call: Call, answer: (member: Member) => Reply | Promise<Reply>): Reply | Promise<Reply> {
  const id = call.params['id']!
  const member = directory.members().find((one) => one.id === id)
  return member ? answer(member) : keystone(404, `Could not find user: ${id}.`)
}

async function changePassword({ identity, directory }: PeopleParts, call: Call, { user }: Who): Promise<Reply> {
  const body = readJson(call.body, call.headers['content-type'] as string | undefined)
  const wish = typeof body === 'string' ? null : body['user']
  if (!isObject(wish)) return keystone(400, 'Invalid request: user is missing.')
  const { original_password: before, password } = wish
  if (!isText(before, 1024)) return keystone(400, 'Invalid request: user.original_password is missing.')
  const problem = passwordProblem(password)
  if (problem) return keystone(400, `Invalid request: ${problem}.`)
  if (call.params['id'] !== user.id) return forbidden('iam:users:changePassword')
  const right = await identity.authenticate({ id: user.id }, null, before)
  if (right === 'busy') return { ...keystone(429, 'Too many log-ins at once. Send this one again.'), headers: { 'retry-after': '2' } }
  if (!right) return keystone(401, 'The original password is wrong.')
  const declined = await directory.setPassword(user, user.id, password as string)
  return declined ? keystone(403, "This user's password is in the server's settings.") : { status: 204, headers: { 'X-IAM-Trace-Id': call.requestId } }
}
