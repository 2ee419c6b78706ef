/** Tokens: given for a password or for another token, shown, and revoked. */
import { catalog, type CatalogUrls } from './catalog.ts'
import { keystone, unauthorized } from './errors.ts'
import { moment, named } from './forms.ts'
import { readTokenRequest, type Scope } from './token-request.ts'
import { readJson } from '../json.ts'
import { issueToken, readToken, tokenLifetimeMs, type TokenFacts } from '../tokens.ts'
import type { Call, Reply, User, Who } from '../http.ts'
import type { Identity, Project } from '../identity.ts'

export interface SessionParts {
  readonly identity: Identity
  readonly now: () => number
  readonly urls: CatalogUrls
  readonly region: string
}

/** POST /v3/auth/tokens. */
export async function logIn(parts: SessionParts, call: Call): Promise<Reply> {
  const body = readJson(call.body, call.headers['content-type'] as string | undefined)
  if (body === 'type') return keystone(400, 'The Content-Type must be application/json.')
  if (body === 'empty' || body === 'bad') return keystone(400, 'The request body must be a JSON object.')
  const request = readTokenRequest(body)
  if (typeof request === 'string') return keystone(400, `Invalid request: ${request}.`)
  const { login } = request
  const { identity } = parts
  const now = parts.now()
  const earlier = login.method === 'token' ? await tokenOf(parts, login.token) : null
  const user = login.method === 'password' ? await identity.authenticate(login.user, login.domain, login.password) : earlier && identity.user(earlier.userId)
  if (user === 'busy') return { ...keystone(429, 'Too many log-ins at once. Send this one again.'), headers: { 'retry-after': '2' } }
  const scope = user && await resolveScope(parts, user, request.scope)
  if (!user || !scope) return keystone(401, unauthorized)
  const facts: Omit<TokenFacts, 'id'> = {
    userId: user.id, userName: user.name, domainId: user.domain.id, domainName: user.domain.name, epoch: identity.epoch(user.id),
    projectId: scope.project?.id ?? null, scope: scope.kind, methods: [login.method], issuedAt: now,
    // A token made from a token ends with it: nobody stays logged in for ever without the password.
    expiresAt: earlier ? earlier.expiresAt : now + tokenLifetimeMs,
  }
  return {
    status: 201, headers: { 'X-Subject-Token': issueToken(identity.tokenKeys, facts), 'X-IAM-Trace-Id': call.requestId },
    body: { token: tokenBody(parts, facts, scope.project, !call.query.has('nocatalog')) },
  }
}

/** GET and HEAD /v3/auth/tokens: of the caller, or of anybody for whoever may validate. */
export async function showToken(parts: SessionParts, call: Call, who: Who): Promise<Reply> {
  const subject = await subjectOf(parts, call, who)
  if ('status' in subject) return subject
  const { token, facts } = subject
  const headers = { 'X-Subject-Token': token, 'X-IAM-Trace-Id': call.requestId }
  if (call.method === 'HEAD') return { status: 200, headers }
  const project = facts.projectId === null ? null : await parts.identity.project(facts.projectId)
  return { status: 200, headers, body: { token: tokenBody(parts, facts, project, !call.query.has('nocatalog')) } }
}

/** DELETE /v3/auth/tokens: from here on it is a wrong one, everywhere. */
export async function endToken(parts: SessionParts, call: Call, who: Who): Promise<Reply> {
  const subject = await subjectOf(parts, call, who)
  if ('status' in subject) return subject
  await parts.identity.revoke(subject.facts)
  return { status: 204, headers: { 'X-IAM-Trace-Id': call.requestId } }
}

/** Whether it is the caller's, or none at all. */
export function isOwnToken({ identity, now }: SessionParts, call: Call, { user }: Who): boolean {
  const facts = readToken(identity.tokenKeys, String(call.headers['x-subject-token'] ?? ''), now())
  return typeof facts === 'string' || facts.userId === user.id
}

async function subjectOf(parts: SessionParts, call: Call, { user }: Who): Promise<Reply | { readonly token: string; readonly facts: TokenFacts }> {
  const token = call.headers['x-subject-token']
  if (typeof token !== 'string' || token === '') return keystone(400, 'The header X-Subject-Token is missing.')
  const facts = await tokenOf(parts, token)
  if (!facts || facts.domainId !== user.domain.id) return keystone(404, 'Could not find the token.')
  return { token, facts }
}

/** Null for one that is wrong, has ended or was revoked. */
async function tokenOf({ identity, now }: SessionParts, token: string): Promise<TokenFacts | null> {
  const facts = readToken(identity.tokenKeys, token, now())
  if (typeof facts === 'string') return null
  await identity.refresh()
  return identity.holds(facts) ? facts : null
}

async function resolveScope({ identity }: SessionParts, user: User, scope: Scope): Promise<{ readonly kind: TokenFacts['scope']; readonly project: Project | null } | null> {
  if (scope.kind === 'none') return { kind: 'none', project: null }
  // Whoever is at home in a domain gets it: Terraform's provider asks for it before everything else.
  if (scope.kind === 'domain') return named(scope.domain, user.domain) ? { kind: 'domain', project: null } : null
  if (scope.kind === 'project' && scope.domain && !named(scope.domain, user.domain)) return null
  const projects = await identity.projects(user)
  if (scope.kind === 'default') return projects[0] ? { kind: 'project', project: projects[0] } : { kind: 'none', project: null }
  const wanted = 'id' in scope.project ? { id: scope.project.id.toLowerCase() } : scope.project
  const project = projects.find((one) => named(wanted, one))
  return project ? { kind: 'project', project } : null
}

function tokenBody({ identity, urls, region }: SessionParts, facts: Omit<TokenFacts, 'id'>, project: Project | null, withCatalog: boolean): object {
  const domain = { id: facts.domainId, name: facts.domainName }
  return {
    methods: facts.methods, expires_at: moment(facts.expiresAt), issued_at: moment(facts.issuedAt),
    user: { id: facts.userId, name: facts.userName, domain, password_expires_at: '' },
    ...(facts.scope === 'project' && project ? { project: { id: project.id, name: project.name, domain } } : {}),
    ...(facts.scope === 'domain' ? { domain } : {}),
    // `te_admin` is what the clouds call whoever may do everything.
    roles: facts.scope === 'none' ? [] : identity.roles(facts.userId, facts.projectId).map((role) => ({ id: role, name: role === 'admin' ? 'te_admin' : role })),
    ...(withCatalog ? { catalog: catalog(urls, region, facts.projectId) } : {}),
  }
}
