/** The CLI's one way to the server: HTTP, with the credentials of this environment. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { readConfig } from '../config.ts'

export type Service = 'iam' | 'dcs' | 'dms' | 'console'
const offsets: Readonly<Record<Service, number>> = { iam: 0, dcs: 1, dms: 2, console: 5 }

export interface Client {
  readonly projectId: string
  readonly token: string
  /** The parsed answer; throws what the server said when it refuses. */
  call<T = any>(service: Service, method: string, path: string, body?: unknown): Promise<T>
  /** The answer as it comes, for logs. */
  stream(service: Service, path: string, signal?: AbortSignal): Promise<Response>
}

/** What the person has to read; no stack. */
export class Complaint extends Error {
  readonly exitCode: number
  constructor(message: string, exitCode = 1) { super(message); this.exitCode = exitCode }
}

/** Nobody listens where the server should. */
export class NoServer extends Complaint {}

export async function connect(env: NodeJS.ProcessEnv): Promise<Client> {
  const config = readConfig(env)
  const at = (service: Service): string => `${config.tls ? 'https' : 'http'}://${urlHost(config.publicHost)}:${config.port + offsets[service]}`
  // A certificate that nobody else signed is as good as the file it is in.
  if (config.tls) setDefaultCACertificates([...getCACertificates('default'), readFileSync(config.tls.cert, 'utf8')])
  const path = join(config.home, 'credentials.json')
  const kept = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) as Record<string, string> : {}
  const password = config.identity.password ?? kept['password']
  if (!password) throw new Complaint(`no password: set SLUICE_PASSWORD as the server has it, or SLUICE_HOME to the server's home (looked in ${path})`)
  const scope = config.identity.projectId ? { id: config.identity.projectId } : { name: config.identity.project, domain: { name: config.identity.domain } }
  const answer = await reach(`${at('iam')}/v3/auth/tokens`, {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ auth: { identity: { methods: ['password'], password: { user: { name: config.identity.user, password, domain: { name: config.identity.domain } } } }, scope: { project: scope } } }),
  })
  const token = answer.headers.get('x-subject-token')
  if (answer.status !== 201 || !token) throw new Complaint(`the server refuses these credentials: ${await said(answer)}`)
  const { token: { project } } = await answer.json() as { token: { project: { id: string } } }
  return {
    projectId: project.id, token,
    async call(service, method, path, body) {
      const response = await reach(`${at(service)}${path}`, { method, headers: { 'content-type': 'application/json', 'x-auth-token': token }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
      if (!response.ok) throw new Complaint(await said(response))
      const text = await response.text()
      return text === '' ? null : JSON.parse(text)
    },
    async stream(service, path, signal) {
      const response = await reach(`${at(service)}${path}`, { headers: { 'x-auth-token': token }, ...(signal ? { signal } : {}) })
      if (!response.ok) throw new Complaint(await said(response))
      return response
    },
  }
}

/** Whatever takes longer goes on after the answer. */
const answersWithinMs = 60_000

async function reach(url: string, init: RequestInit): Promise<Response> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), answersWithinMs)
  try {
    const response = await fetch(url, { ...init, signal: init.signal ? AbortSignal.any([init.signal, late.signal]) : late.signal })
    if (response.headers.has('x-request-id')) return response
    // Left open it would hold the process.
    await response.body?.cancel()
    throw new Complaint(`what answers at ${new URL(url).origin} is no Sluice server (status ${response.status}): set SLUICE_PORT to the base port of one, and SLUICE_PUBLIC_HOST to its name`)
  } catch (error) {
    if (error instanceof Complaint || init.signal?.aborted) throw error
    if (late.signal.aborted) throw new Complaint(`the server at ${new URL(url).origin} takes the connection and does not answer within ${answersWithinMs / 1000} s: look at its log, and whether SLUICE_PORT is the base port of a Sluice server`)
    const cause = (error as { cause?: { code?: string; message?: string } }).cause
    if (/CERT|SELF_SIGNED|ALTNAME|WRONG_VERSION/.test(cause?.code ?? '')) throw new Complaint(`the server at ${new URL(url).origin} shows a certificate that this side does not trust (${cause?.message}): set SLUICE_TLS_CERT as the server has it, and SLUICE_PUBLIC_HOST to a name in it`)
    throw new NoServer(`no Sluice server answers at ${new URL(url).origin}: start one with "sluice serve", or set SLUICE_PORT to its base port`)
  } finally { clearTimeout(timer) }
}

async function said(response: Response): Promise<string> {
  const text = await response.text()
  try {
    const { error_code: code, error_msg: message, error } = JSON.parse(text)
    return code ? `${code}: ${message}` : error?.message ?? text
  } catch { return text || `status ${response.status}` }
}

function urlHost(host: string): string { return host.includes(':') ? `[${host}]` : host }
