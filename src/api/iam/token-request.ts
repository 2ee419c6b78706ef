/** Reads the body of POST /v3/auth/tokens. */
import { isObject, isText, type Body } from '../json.ts'
import type { Named } from '../identity.ts'

export interface TokenRequest {
  readonly login:
    | { readonly method: 'password'; readonly user: Named; readonly domain: Named | null; readonly password: string }
    | { readonly method: 'token'; readonly token: string }
  readonly scope: Scope
}

export type Scope =
  | { readonly kind: 'project'; readonly project: Named; readonly domain: Named | null }
  | { readonly kind: 'domain'; readonly domain: Named }
  /** Asked for with the word "unscoped". */
  | { readonly kind: 'none' }
  /** Nothing was said: the user's default project. */
  | { readonly kind: 'default' }

/** The request, or a sentence that says what is wrong with it. */
export function readTokenRequest(body: Body): TokenRequest | string {
  const auth = body['auth']
  if (!isObject(auth)) return 'auth is missing'
  const identity = auth['identity']
  if (!isObject(identity)) return 'auth.identity is missing'
  const methods = identity['methods']
  if (!Array.isArray(methods) || methods.length !== 1) return 'auth.identity.methods must hold one method'
  const scope = readScope(auth['scope'])
  if (!scope) return 'auth.scope must name a project or a domain'
  if (methods[0] === 'token') {
    const token = isObject(identity['token']) ? identity['token']['id'] : undefined
    return isText(token, 8192) ? { login: { method: 'token', token }, scope } : 'auth.identity.token.id is missing'
  }
  if (methods[0] !== 'password') return 'auth.identity.methods must be password or token'
  const user = isObject(identity['password']) ? identity['password']['user'] : undefined
  if (!isObject(user)) return 'auth.identity.password.user is missing'
  const named = readNamed(user)
  const password = user['password']
  if (!named || !isText(password, 1024)) return 'auth.identity.password.user needs a name or an id, and a password'
  const domain = readNamed(user['domain'])
  if ('name' in named && !domain) return 'auth.identity.password.user.domain is missing'
  return { login: { method: 'password', user: named, domain, password }, scope }
}

function readScope(value: unknown): Scope | null {
  if (value === undefined || value === null) return { kind: 'default' }
  if (value === 'unscoped') return { kind: 'none' }
  if (!isObject(value)) return null
  if (Object.hasOwn(value, 'unscoped')) return { kind: 'none' }
  if (value['project'] !== undefined) {
    const project = readNamed(value['project'])
    return project && isObject(value['project']) ? { kind: 'project', project, domain: readNamed(value['project']['domain']) } : null
  }
  const domain = readNamed(value['domain'])
  return domain ? { kind: 'domain', domain } : null
}

/** An id, which wins, or a name. */
function readNamed(value: unknown): Named | null {
  if (!isObject(value)) return null
  if (isText(value['id'], 256) && value['id'] !== '') return { id: value['id'] }
  return isText(value['name'], 256) && value['name'] !== '' ? { name: value['name'] } : null
}
