/** Who calls: a token or a signature, and whether the project in the path is theirs. */
import { claimProblem, readClaim, signatureHolds } from './signature.ts'
import { readToken } from './tokens.ts'
import type { Call, Caller, IamAction, Problem, Who } from './http.ts'
import type { Identity } from './identity.ts'
import type { Verdict } from '../core/policy.ts'

export interface AuthParts {
  readonly identity: Identity
  /** Epoch ms. */
  readonly now: () => number
}

/** The caller, or why not. A token decides when both it and a signature are there. */
export async function authenticate(parts: AuthParts, call: Call): Promise<Who | Problem> {
  const { identity } = parts
  const token = call.headers['x-auth-token']
  if (typeof token === 'string' && token !== '') {
    const facts = readToken(identity.tokenKeys, token, parts.now())
    if (facts === 'invalid') return 'token invalid'
    if (facts === 'expired') return 'token expired'
    await identity.refresh()
    if (!identity.holds(facts)) return 'token invalid'
    return { user: { id: facts.userId, name: facts.userName, domain: { id: facts.domainId, name: facts.domainName } }, projectId: facts.projectId, credential: facts.id }
  }
  const authorization = call.headers['authorization']
  if (typeof authorization !== 'string' || authorization === '') return 'token missing'
  const claim = readClaim(authorization)
  if (!claim) return 'bad signature'
  const problem = claimProblem(claim, call, parts.now())
  if (problem) return problem
  await identity.refresh()
  const key = identity.accessKey(claim.accessKey)
  // An unknown key is checked against a secret nobody has, so that it takes as long as a known one.
  if (!signatureHolds(claim, key?.secret ?? identity.tokenKeys.all[0]!.toString('hex'), call) || !key) return 'bad signature'
  const wanted = call.headers['x-project-id']
  if (wanted === undefined || wanted === '') return { user: key.user, projectId: null, credential: claim.accessKey }
  const project = typeof wanted === 'string' ? await identity.project(wanted.toLowerCase()) : null
  return project?.domainId === key.user.domain.id ? { user: key.user, projectId: project.id, credential: claim.accessKey } : 'other project'
}

/** The caller in the project of the path, or why not. */
export async function inProject(parts: AuthParts, call: Call, who: Who): Promise<Caller | Problem> {
  const id = (call.params['project_id'] ?? '').toLowerCase()
  if (!/^[0-9a-f]{32}$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) return 'bad project id'
  const caller: Caller = { projectId: id, userId: who.user.id, userName: who.user.name }
  // A signature covers every project of its user's domain; a token without a project covers none.
  if (who.projectId === null ? call.headers['x-auth-token'] : who.projectId !== id) return 'other project'
  // It may have been deleted since the token was given.
  const project = await parts.identity.project(id)
  return project?.domainId === who.user.domain.id ? caller : 'other project'
}

/** Null when the user's roles in this project, or with null in all of them, allow the action. */
export function forbidden({ identity }: AuthParts, userId: string, projectId: string | null, action: string): Problem | null {
  return problems[identity.judge(userId, projectId, action)]
}

/** Which of a route's actions this call is. */
export function actionOf(action: IamAction, call: Call): string { return typeof action === 'string' ? action : action.of(call) }

const problems: Readonly<Record<Verdict, Problem | null>> = { allowed: null, denied: 'forbidden', 'read only': 'read only', 'no role': 'no role' }
