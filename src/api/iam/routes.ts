/** The part of Keystone v3 that cloud clients use before they reach a service. */
import { catalog, type CatalogUrls } from './catalog.ts'
import { keystone, refuseIam, unauthorized } from './errors.ts'
import { readTokenRequest, type Scope } from './token-request.ts'
import { isObject, isText, readJson } from '../json.ts'
import { issueToken, readToken, tokenLifetimeMs, type TokenFacts } from '../tokens.ts'
import { ok, type Call, type Reply, type Service, type User, type Who } from '../http.ts'
import type { Domain, Identity, Named, Project } from '../identity.ts'

export interface IamParts {
  readonly identity: Identity
  readonly tokenKey: Buffer
  readonly now: () => number
  readonly urls: CatalogUrls
  readonly region: string
}

/** Identity: tokens, catalog, projects, domains, regions. */
export function iamService(parts: IamParts): Service {
  const { identity, urls, region } = parts
  const links = (path: string): object => ({ self: `${urls.iam}${path}`, next: null, previous: null })
  const listProjects = async (call: Call, { user }: Who): Promise<Reply> => {
    const name = call.query.get('name')
    const domainId = call.query.get('domain_id')
    const all = domainId === null || domainId === user.domain.id ? await identity.projects(user.domain.id) : []
    return traced(call, { projects: all.filter((project) => name === null || project.name === name).map((project) => projectBody(parts, project)), links: links('/v3/projects') })
  }
  return {
    name: 'IAM', refuse: refuseIam,
    routes: [
      { method: 'GET', path: '/', access: 'open', handle: () => ({ status: 300, body: { versions: { values: [version(urls.iam)] } } }) },
      { method: 'GET', path: '/v3', access: 'open', handle: () => ok({ version: version(urls.iam) }) },
      { method: 'POST', path: '/v3/auth/tokens', access: 'open', handle: (call) => logIn(parts, call) },
      { method: 'GET', path: '/v3/auth/tokens', access: 'user', action: null, handle: (call, who) => showToken(parts, call, who) },
      {
        method: 'GET', path: '/v3/auth/catalog', access: 'user', action: null,
        // A signed request may name no project; its addresses are then those of the default one.
        handle: async (call, { user, projectId }) => traced(call, {
          catalog: catalog(urls, region, projectId ?? (call.headers['x-auth-token'] ? null : (await identity.projects(user.domain.id))[0]?.id ?? null)),
          links: links('/v3/auth/catalog'),
        }),
      },
      { method: 'GET', path: '/v3/projects', access: 'user', action: null, handle: listProjects },
      { method: 'GET', path: '/v3/auth/projects', access: 'user', action: null, handle: listProjects },
      {
        method: 'GET', path: '/v3/projects/:id', access: 'user', action: null,
        handle: async (call, { user }) => {
          const project = (await identity.projects(user.domain.id)).find((one) => one.id === call.params['id']!.toLowerCase())
          return project ? traced(call, { project: projectBody(parts, project) }) : keystone(404, `Could not find project: ${call.params['id']}.`)
        },
      },
      { method: 'POST', path: '/v3/projects', access: 'domain', action: 'iam:projects:createProject', handle: (call, who) => makeProject(parts, call, who) },
      {
        method: 'GET', path: '/v3/auth/domains', access: 'user', action: null,
        handle: (call, { user: { domain } }) => {
          const name = call.query.get('name')
          const own = { id: domain.id, name: domain.name, enabled: true, description: '', links: { self: `${urls.iam}/v3/domains/${domain.id}` } }
          return traced(call, { domains: name === null || name === domain.name ? [own] : [], links: links('/v3/auth/domains') })
        },
      },
      {
        method: 'GET', path: '/v3/regions', access: 'user', action: null,
        handle: (call) => traced(call, { regions: [{ id: region, type: 'public', description: '', parent_region_id: null, locales: { 'en-us': region }, links: { self: `${urls.iam}/v3/regions/${region}` } }], links: links('/v3/regions') }),
      },
    ],
  }
}

/** SDKs report a failure by the header that only IAM sends. */
function traced(call: Call, body: unknown, status = 200): Reply { return { status, body, headers: { 'x-iam-trace-id': call.requestId } } }

function version(url: string): object {
  return {
    id: 'v3.14', status: 'stable', updated: '2020-04-07T00:00:00Z', links: [{ rel: 'self', href: `${url}/v3/` }],
    'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
  }
}

async function logIn(parts: IamParts, call: Call): Promise<Reply> {
  const body = readJson(call.body, call.headers['content-type'] as string | undefined)
  if (body === 'type') return keystone(400, 'The Content-Type must be application/json.')
  if (body === 'empty' || body === 'bad') return keystone(400, 'The request body must be a JSON object.')
  const request = readTokenRequest(body)
  if (typeof request === 'string') return keystone(400, `Invalid request: ${request}.`)
  const { login } = request
  const user = login.method === 'password'
    ? await parts.identity.authenticate(login.user, login.domain, login.password)
    : await userOfToken(parts, login.token)
  const scope = user && await resolveScope(parts, user, request.scope)
  if (!user || !scope) return keystone(401, unauthorized)
  const now = parts.now()
  const facts: TokenFacts = {
    userId: user.id, userName: user.name, domainId: user.domain.id, domainName: user.domain.name,
    projectId: scope.project?.id ?? null, scope: scope.kind, methods: [login.method], issuedAt: now,
    // A token made from a token ends with it: nobody stays logged in for ever without the password.
    expiresAt: login.method === 'token' ? (readToken(parts.tokenKey, login.token, now) as TokenFacts).expiresAt : now + tokenLifetimeMs,
  }
  return {
    status: 201, headers: { 'x-subject-token': issueToken(parts.tokenKey, facts), 'x-iam-trace-id': call.requestId },
    body: { token: tokenBody(parts, facts, scope.project, !call.query.has('nocatalog')) },
  }
}

async function userOfToken(parts: IamParts, token: string): Promise<User | null> {
  const facts = readToken(parts.tokenKey, token, parts.now())
  return typeof facts === 'string' ? null : parts.identity.user(facts.userId)
}

async function resolveScope({ identity }: IamParts, user: User, scope: Scope): Promise<{ readonly kind: TokenFacts['scope']; readonly project: Project | null } | null> {
  if (scope.kind === 'none') return { kind: 'none', project: null }
  if (scope.kind === 'domain') return names(scope.domain, user.domain) ? { kind: 'domain', project: null } : null
  if (scope.kind === 'project' && scope.domain && !names(scope.domain, user.domain)) return null
  const projects = await identity.projects(user.domain.id)
  if (scope.kind === 'default') return projects[0] ? { kind: 'project', project: projects[0] } : { kind: 'none', project: null }
  const wanted = 'id' in scope.project ? { id: scope.project.id.toLowerCase() } : scope.project
  const project = projects.find((one) => names(wanted, one))
  return project ? { kind: 'project', project } : null
}

function names(named: Named, thing: Domain | Project): boolean {
  return 'id' in named ? named.id === thing.id : named.name === thing.name
}

async function showToken(parts: IamParts, call: Call, { user }: Who): Promise<Reply> {
  const subject = call.headers['x-subject-token']
  if (typeof subject !== 'string' || subject === '') return keystone(400, 'The header X-Subject-Token is missing.')
  const facts = readToken(parts.tokenKey, subject, parts.now())
  if (typeof facts === 'string' || facts.domainId !== user.domain.id) return keystone(404, 'Could not find the token.')
  const project = facts.projectId === null ? null : await parts.identity.project(facts.projectId)
  return { ...traced(call, { token: tokenBody(parts, facts, project, !call.query.has('nocatalog')) }), headers: { 'x-subject-token': subject, 'x-iam-trace-id': call.requestId } }
}

function tokenBody({ urls, region }: IamParts, facts: TokenFacts, project: Project | null, withCatalog: boolean): object {
  const domain = { id: facts.domainId, name: facts.domainName }
  return {
    methods: facts.methods, expires_at: moment(facts.expiresAt), issued_at: moment(facts.issuedAt),
    user: { id: facts.userId, name: facts.userName, domain, password_expires_at: '' },
    ...(facts.scope === 'project' && project ? { project: { id: project.id, name: project.name, domain } } : {}),
    ...(facts.scope === 'domain' ? { domain } : {}),
    roles: facts.scope === 'none' ? [] : [{ id: '0', name: 'te_admin' }],
    ...(withCatalog ? { catalog: catalog(urls, region, facts.projectId) } : {}),
  }
}

/** With microseconds, as Keystone writes it. */
function moment(at: number): string { return `${new Date(at).toISOString().slice(0, -1)}000Z` }

async function makeProject(parts: IamParts, call: Call, { user }: Who): Promise<Reply> {
  const body = readJson(call.body, call.headers['content-type'] as string | undefined)
  const wish = typeof body === 'string' ? null : body['project']
  if (!isObject(wish)) return keystone(400, 'Invalid request: project is missing.')
  const name = wish['name']
  if (!isText(name, 64) || !/^[A-Za-z0-9_-]+$/.test(name)) return keystone(400, 'Invalid request: project.name must be 1 to 64 letters, digits, underscores and hyphens.')
  if (typeof wish['domain_id'] === 'string' && wish['domain_id'] !== user.domain.id) return keystone(403, 'You are not authorized to perform the requested action: this is another domain.')
  const project = await parts.identity.createProject(user.domain.id, name)
  return project ? traced(call, { project: projectBody(parts, project) }, 201) : keystone(409, `Conflict occurred attempting to store project - it is not permitted to have two projects with the same name in the same domain: ${name}.`)
}

function projectBody({ urls }: IamParts, project: Project): object {
  return { id: project.id, name: project.name, domain_id: project.domainId, parent_id: project.domainId, enabled: true, is_domain: false, description: '', links: { self: `${urls.iam}/v3/projects/${project.id}` } }
}
