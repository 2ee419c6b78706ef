/** The part of Keystone v3 that cloud clients use before they reach a service, and what people look up with them. */
import { catalog } from './catalog.ts'
import { keystone, refuseIam } from './errors.ts'
import { domainBody, links, projectBody, regionBody, traced, version } from './forms.ts'
import { peopleRoutes } from './people.ts'
import { endToken, isOwnToken, logIn, showToken, type SessionParts } from './sessions.ts'
import { isObject, isText, readJson } from '../json.ts'
import { ok, type Call, type Reply, type Route, type Service, type Who } from '../http.ts'
import type { Directory } from '../identity.ts'

export interface IamParts extends SessionParts {
  /** Absent: one user, who is not in it. */
  readonly directory?: Directory
}

/** Identity: tokens, catalog, projects, domains, regions, users, roles. */
export function iamService(parts: IamParts): Service {
  const { identity, urls, region, directory } = parts
  const ownToken = (call: Call, who: Who): boolean => isOwnToken(parts, call, who)
  const routes: Route[] = [
    { method: 'GET', path: '/', access: 'open', handle: () => ({ status: 300, body: { versions: { values: [version(urls.iam)] } } }) },
    { method: 'GET', path: '/v3', access: 'open', handle: () => ok({ version: version(urls.iam) }) },
    { method: 'POST', path: '/v3/auth/tokens', access: 'open', handle: (call) => logIn(parts, call) },
    { method: 'GET', path: '/v3/auth/tokens', access: 'domain', action: 'iam:tokens:get', unless: ownToken, handle: (call, who) => showToken(parts, call, who) },
    { method: 'HEAD', path: '/v3/auth/tokens', access: 'domain', action: 'iam:tokens:get', unless: ownToken, handle: (call, who) => showToken(parts, call, who) },
    { method: 'DELETE', path: '/v3/auth/tokens', access: 'domain', action: 'iam:tokens:revoke', unless: ownToken, handle: (call, who) => endToken(parts, call, who) },
    {
      method: 'GET', path: '/v3/auth/catalog', access: 'user', action: null,
      // A signed request may name no project; its addresses are then those of the default one.
      handle: async (call, { user, projectId }) => traced(call, {
        catalog: catalog(urls, region, projectId ?? (call.headers['x-auth-token'] ? null : (await identity.projects(user))[0]?.id ?? null)),
        links: links(urls, '/v3/auth/catalog'),
      }),
    },
    { method: 'GET', path: '/v3/projects', access: 'user', action: null, handle: (call, who) => listProjects(parts, call, who) },
    { method: 'GET', path: '/v3/auth/projects', access: 'user', action: null, handle: (call, who) => listProjects(parts, call, who) },
    { method: 'GET', path: '/v3/projects/:id', access: 'user', action: null, handle: (call, who) => showProject(parts, call, who) },
    { method: 'POST', path: '/v3/projects', access: 'domain', action: 'iam:projects:createProject', handle: (call, who) => makeProject(parts, call, who) },
    { method: 'GET', path: '/v3/auth/domains', access: 'user', action: null, handle: (call, who) => listDomains(parts, call, who) },
    { method: 'GET', path: '/v3/domains', access: 'user', action: null, handle: (call, who) => listDomains(parts, call, who) },
    {
      method: 'GET', path: '/v3/domains/:id', access: 'user', action: null,
      handle: (call, { user: { domain } }) => call.params['id'] === domain.id ? traced(call, { domain: domainBody(urls, domain) }) : keystone(404, `Could not find domain: ${call.params['id']}.`),
    },
    { method: 'GET', path: '/v3/regions', access: 'user', action: null, handle: (call) => traced(call, { regions: [regionBody(urls, region)], links: links(urls, '/v3/regions') }) },
    {
      method: 'GET', path: '/v3/regions/:id', access: 'user', action: null,
      handle: (call) => call.params['id'] === region ? traced(call, { region: regionBody(urls, region) }) : keystone(404, `Could not find region: ${call.params['id']}.`),
    },
    ...directory ? peopleRoutes({ identity, directory, urls }) : [],
  ]
  return { name: 'IAM', refuse: refuseIam, routes }
}

async function listProjects({ identity, urls }: IamParts, call: Call, { user }: Who): Promise<Reply> {
  const [name, domainId] = [call.query.get('name'), call.query.get('domain_id')]
  const all = domainId === null || domainId === user.domain.id ? await identity.projects(user) : []
  return traced(call, { projects: all.filter((project) => name === null || project.name === name).map((project) => projectBody(urls, project)), links: links(urls, call.path) })
}

async function showProject({ identity, urls }: IamParts, call: Call, { user }: Who): Promise<Reply> {
  const project = (await identity.projects(user)).find((one) => one.id === call.params['id']!.toLowerCase())
  return project ? traced(call, { project: projectBody(urls, project) }) : keystone(404, `Could not find project: ${call.params['id']}.`)
}

function listDomains({ urls }: IamParts, call: Call, { user: { domain } }: Who): Reply {
  const name = call.query.get('name')
  return traced(call, { domains: name === null || name === domain.name ? [domainBody(urls, domain)] : [], links: links(urls, call.path) })
}

async function makeProject({ identity, urls }: IamParts, call: Call, { user }: Who): Promise<Reply> {
  const body = readJson(call.body, call.headers['content-type'] as string | undefined)
  const wish = typeof body === 'string' ? null : body['project']
  if (!isObject(wish)) return keystone(400, 'Invalid request: project is missing.')
  const name = wish['name']
  if (!isText(name, 64) || !/^[A-Za-z0-9_-]+$/.test(name)) return keystone(400, 'Invalid request: project.name must be 1 to 64 letters, digits, underscores and hyphens.')
  if (typeof wish['domain_id'] === 'string' && wish['domain_id'] !== user.domain.id) return keystone(403, 'You are not authorized to perform the requested action: this is another domain.')
  const project = await identity.createProject(user, name)
  return project ? traced(call, { project: projectBody(urls, project) }, 201) : keystone(409, `Conflict occurred attempting to store project - it is not permitted to have two projects with the same name in the same domain: ${name}.`)
}
