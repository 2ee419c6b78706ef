/** One HTTP listener for one service: the order of checks, and what no request may do to the server. */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { actionOf, authenticate, forbidden, inProject, type AuthParts } from './auth.ts'
import { METHODS, STATUS_CODES } from './node-http.ts'
import type { Rate } from './rate.ts'
import { isUnavailable } from '../core/unavailable.ts'
import type { Logger } from '../core/logger.ts'
import type { Pair } from './tls.ts'
import type { Call, Method, Reply, Route, Service } from './http.ts'

const maxBodyBytes = 1024 * 1024
/** A client that needs longer for a megabyte is not coming back; it must not hold a socket for ever. */
const requestTimeoutMs = 60_000
/** Part of an address. */
const longestParam = 4096
const lingerMs = 1000
/** A database that was restarted is back by then, mostly. */
const retryAfterS = '5'
/** All that Node's parser lets through, QUERY and MKCALENDAR included; it never passes CONNECT on. */
const methods = METHODS.filter((method) => method !== 'CONNECT')

export interface AppOptions {
  readonly log: Logger
  /** What the listener shows; null: plain HTTP. */
  readonly tls: Pair | null
  /** Shared by all listeners. */
  readonly rate: Rate
  /** Called with every answer of a route; `ms` from its first byte on. */
  readonly answered?: (service: string, method: string, route: string, status: number, ms: number) => void
}

export function serviceApp(service: Service, auth: AuthParts, { log, tls, rate, answered }: AppOptions): FastifyInstance {
  const ignoreTrailingSlash = service.name === 'IAM'
  const known = [...new Set(service.routes.map((route) => route.path))].map((path) => new RegExp(`^${path.replaceAll(/:[a-z_]+/g, `[^/]{0,${longestParam}}`)}${ignoreTrailingSlash ? '/?' : ''}$`))
  const isKnown = (path: string): boolean => known.some((one) => one.test(path))
  const wrong = (path: string): Reply => service.refuse(isKnown(decoded(path)) ? 'wrong method' : 'no route', path)
  const underWay = new WeakMap<Socket, ServerResponse>()
  const app = fastify({
    // Without it Node answers a missing Host by itself, without a word.
    ...(tls ? { https: { requireHostHeader: false, ...tls } as never } : { http: { requireHostHeader: false } }),
    // What still comes in while the server closes is answered like everything else; Fastify's own 503 has no code.
    return503OnClosing: false, forceCloseConnections: 'idle', requestTimeout: requestTimeoutMs, exposeHeadRoutes: false,
    // Checks and shapes are ours; without this Fastify loads and keeps two compilers of schemas.
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    genReqId: newRequestId, routerOptions: { maxParamLength: longestParam, ignoreTrailingSlash },
    frameworkErrors: (_error, request, reply) => { void send(reply, request.id, service.refuse('no route', request.url)) },
    clientErrorHandler: (error, socket) => answerMalformed(service, wrong, error as unknown as ParserError, socket, underWay.get(socket)),
  })
  app.addHook('onResponse', (request, reply, done) => {
    const { method, routeOptions: { url }, id: requestId } = request
    const { statusCode: status, elapsedTime: ms } = reply
    answered?.(service.name, method, url ?? 'none', status, ms)
    // The request's id is what a caller has of it; the path is left out, which may hold what people typed.
    log.debug?.({ service: service.name, method, route: url ?? null, status, ms: Math.round(ms), requestId }, 'answered')
    done()
  })
  // Bodies are ours to read, for every method: a signature covers raw bytes, and Node's SDK sends GETs with a body.
  for (const method of methods) app.addHttpMethod(method, { hasBody: false, overrideExisting: true })
  for (const route of service.routes) {
    app.route({ method: route.method, url: route.path, handler: (request, reply) => serve(service, auth, rate, log, route, request, reply) })
  }
  const wrongMethod = (request: FastifyRequest, reply: FastifyReply): FastifyReply => send(reply, request.id, service.refuse('wrong method', pathOf(request.url)))
  // /instances/action is never taken for an instance called action: a known path has an answer of its own for each method that
  // another path could take it for. What no path takes is answered below.
  for (const [url, method] of takenFor(service.routes)) app.route({ method, url, handler: wrongMethod })
  app.setNotFoundHandler((request, reply) => send(reply, request.id, wrong(pathOf(request.url))))
  app.server.prependListener('request', (request, response) => underWay.set(request.socket, response))
  // An expectation that nobody here meets may be ignored; Node's own 417 would have no body.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
  app.setErrorHandler((error, request, reply) => {
    logFault(log, service, request, error)
    return send(reply, request.id, service.refuse('fault', pathOf(request.url)))
  })
  return app
}

function noSchemas(): never { throw new Error('no route has a schema') }

/** As the router reads it: escapes, whole addresses, and `*`, the server as such, are allowed. Bad escapes are no path of ours. */
function decoded(path: string): string {
  try { return decodeURI(path.replace(/^\*$|^https?:\/\/[^/]*\/?/, '/')) } catch { return path }
}

/** Paths, each with the methods that it has not, and that a path has which fits some of the same addresses. */
function takenFor(routes: readonly Route[]): (readonly [path: string, methods: Method[]])[] {
  const paths = [...Map.groupBy(routes, (route) => route.path)].map(([path, rows]) => ({ path, parts: path.split('/'), methods: rows.map((route) => route.method) }))
  return paths.flatMap((one) => {
    const others = paths.filter(({ parts }) => parts.length === one.parts.length && parts.every((part, n) => part === one.parts[n] || part.startsWith(':') || one.parts[n]!.startsWith(':')))
    const methods = [...new Set(others.flatMap((other) => other.methods))].filter((method) => !one.methods.includes(method))
    return methods.length > 0 ? [[one.path, methods] as const] : []
  })
}

/** 32 hexadecimal digits, as the clouds form them. Node keeps random UUIDs in stock, so this costs no system call. */
function newRequestId(): string { return randomUUID().replaceAll('-', '') }

async function serve(service: Service, auth: AuthParts, rate: Rate, log: Logger, route: Route, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const path = pathOf(request.url)
  let answer: Reply
  try {
    const body = await readBody(request.raw)
    if (request.raw.headers.host === undefined && request.raw.httpVersion === '1.1') answer = service.refuse('malformed', path)
    else answer = body ? await dispatch(service, auth, rate, route, {
      method: request.method, path, params: request.params as Record<string, string>, query: new URLSearchParams(request.url.slice(path.length + 1)),
      headers: request.headers, body, requestId: request.id,
    }) : service.refuse('too large', path)
  } catch (error) {
    // Told by the loops, once; not for every request that comes meanwhile.
    if (isUnavailable(error)) return send(reply, request.id, { ...service.refuse('unavailable', path), headers: { 'retry-after': retryAfterS } })
    // A client that went away while it was sending is nobody's fault here, and nobody reads the answer.
    if (!request.raw.destroyed || request.raw.complete) logFault(log, service, request, error)
    answer = service.refuse('fault', path)
  }
  return send(reply, request.id, answer)
}

async function dispatch(service: Service, auth: AuthParts, rate: Rate, route: Route, call: Call): Promise<Reply> {
  if (route.access === 'open') return route.handle(call)
  const who = await authenticate(auth, call)
  if (typeof who === 'string') return service.refuse(who, call.path)
  const wait = rate.take(who.credential)
  if (wait > 0) return { ...service.refuse('too many', call.path), headers: { 'retry-after': String(wait) } }
  if (route.access === 'project') {
    const caller = await inProject(auth, call, who)
    if (typeof caller === 'string') return service.refuse(caller, call.path)
    const action = actionOf(route.action, call)
    const problem = forbidden(auth, caller.userId, caller.projectId, action)
    return problem ? service.refuse(problem, call.path, action) : route.handle(call, caller)
  }
  const action = route.action && actionOf(route.action, call)
  const mayAnyway = action === null || route.access === 'domain' && route.unless?.(call, who)
  const problem = mayAnyway ? null : forbidden(auth, who.user.id, route.access === 'domain' ? null : who.projectId, action)
  return problem ? service.refuse(problem, call.path, action!) : route.handle(call, who)
}

/** Null when it is larger than allowed; what remains of it is thrown away as it comes. */
async function readBody(raw: IncomingMessage): Promise<Buffer | null> {
  const length = raw.headers['content-length']
  if ((length === undefined || length === '0') && raw.headers['transfer-encoding'] === undefined) return empty
  if (length !== undefined && Number(length) > maxBodyBytes) return null
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const collect = (chunk: Buffer): void => {
      size += chunk.length
      if (size <= maxBodyBytes) { chunks.push(chunk); return }
      raw.off('data', collect)
      raw.resume()
      resolve(null)
    }
    raw.on('data', collect)
    raw.once('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
    raw.once('error', reject)
    // It closes after every request: an error that nobody wants is dear.
    raw.once('close', () => { if (!raw.complete) reject(new Error('the client went away')) })
  })
}

const empty = Buffer.alloc(0)

function send(reply: FastifyReply, requestId: string, answer: Reply): FastifyReply {
  reply.code(answer.status)
  // Node keeps the letters of a name as they are, Fastify makes them small; the Java SDK finds no X-Subject-Token in small ones.
  reply.raw.setHeader('X-Request-Id', requestId)
  for (const [name, value] of Object.entries(answer.headers ?? {})) if (name.startsWith('X-')) reply.raw.setHeader(name, value); else reply.header(name, value)
  if (answer.stream) return (reply.hasHeader('content-type') ? reply : reply.header('content-type', 'text/plain; charset=utf-8')).send(answer.stream)
  if (answer.text !== undefined) return reply.send(answer.text)
  if (answer.body === undefined) return reply.send()
  return reply.header('content-type', 'application/json').send(JSON.stringify(answer.body))
}

function pathOf(url: string): string {
  const end = url.indexOf('?')
  return end === -1 ? url : url.slice(0, end)
}

/** Names the route and the fault; never headers, bodies or the address itself, which may hold what people typed. */
function logFault(log: Logger, service: Service, request: FastifyRequest, error: unknown): void {
  const stack = error instanceof Error ? error.stack : String(error)
  log.error({ service: service.name, method: request.method, route: request.routeOptions.url ?? null, requestId: request.id, error: stack }, 'a request failed')
}

type ParserError = NodeJS.ErrnoException & { readonly reason?: string; readonly rawPacket?: Buffer }

/** Answers what Node's parser refused, where an answer is still possible. */
function answerMalformed(service: Service, wrong: (path: string) => Reply, error: ParserError, socket: Socket, underWay: ServerResponse | undefined): void {
  if (error.code === 'ECONNRESET' || !socket.writable) { socket.destroy(); return }
  if (underWay && !underWay.writableFinished && underWay.req.complete) {
    // The bytes after a whole request are bad, not the request: whoever sent it must hear what became of it, not this.
    if (!underWay.headersSent) underWay.setHeader('connection', 'close')
    underWay.once('close', () => socket.end())
    return
  }
  // Of a method that Node does not know it says no more than this; our callers may know their line is well formed.
  const line = /method/i.test(error.reason ?? '') ? /^[A-Z][A-Za-z-]* (\/[^\s?#]*)\S* HTTP\/1\.[01]\r\n/.exec(error.rawPacket?.toString('latin1') ?? '') : null
  const answer = line ? wrong(line[1]!) : service.refuse('malformed', '/')
  const status = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }[error.code ?? ''] ?? answer.status
  const body = JSON.stringify(answer.body)
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nX-Request-Id: ${newRequestId()}\r\nConnection: close\r\n\r\n${body}`)
  // Whoever neither reads nor hangs up must not hold the socket; others have this long to read.
  setTimeout(() => socket.destroy(), lingerMs).unref()
}
