/** Each service describes itself: `/openapi.json`, made from its route table, and `/docs`, a page that sends what it describes. */
import { readFileSync } from 'node:fs'
import type { Described, Route, Service } from './http.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
const file = (name: string): string => readFileSync(new URL(`explorer/${name}`, import.meta.url), 'utf8')
/** Nothing from elsewhere is loaded, and nothing is sent elsewhere. */
const policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
const parts = [['/docs', 'index.html', 'text/html'], ['/docs/page.js', 'page.js', 'text/javascript'], ['/docs/sign.js', 'sign.js', 'text/javascript']] as const

/** The service with these routes added; open to everybody, for they tell nothing that the documents do not. */
export function documented(service: Service, url: string): Service {
  const text = JSON.stringify(openApi(service, url))
  const page = parts.map(([path, name, type]): Route => ({ method: 'GET', path, access: 'open', handle: () => ({ status: 200, text: file(name), headers: { 'content-type': `${type}; charset=utf-8`, 'content-security-policy': policy, 'x-content-type-options': 'nosniff' } }) }))
  return { ...service, routes: [...service.routes, { method: 'GET', path: '/openapi.json', access: 'open', handle: () => ({ status: 200, text, headers: { 'content-type': 'application/json' } }) }, ...page] }
}

/** OpenAPI 3.1 of what a service answers to. Fields of bodies are there where the documents list them. */
export function openApi(service: Service, url: string): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const route of service.routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(service, route) }
  }
  return {
    openapi: '3.1.0',
    info: { title: `Sluice: ${service.name}`, version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url }], paths,
    components: {
      securitySchemes: {
        token: { type: 'apiKey', in: 'header', name: 'X-Auth-Token', description: 'From POST /v3/auth/tokens of IAM.' },
        signature: { type: 'apiKey', in: 'header', name: 'Authorization', description: 'SDK-HMAC-SHA256 with an access key, as the SDKs sign.' },
      },
      schemas: { Error: { type: 'object', properties: { error_code: { type: 'string' }, error_msg: { type: 'string' } } } },
    },
  }
}

function operation({ describe }: Service, route: Route): object {
  const described: Described | null = describe?.(route.method, route.path) ?? null
  const names = [...route.path.matchAll(/:(\w+)/g)].map((match) => match[1]!)
  const action = 'action' in route ? route.action : null
  const status = described?.status ?? 200
  const error = { description: 'Refused; the code says why.', content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } } }
  return {
    operationId: described?.name ?? `${route.method.toLowerCase()}${route.path.replaceAll(/[^A-Za-z0-9]+/g, '_')}`,
    tags: [/^\/(v[\d.]+)/.exec(route.path)?.[1] ?? 'service'],
    parameters: [
      ...names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
      ...(described?.query ?? []).map((name) => ({ name, in: 'query', schema: { type: 'string' } })),
    ],
    ...(route.method === 'GET' || route.method === 'HEAD' || route.method === 'DELETE' && !described?.body ? {} : { requestBody: { content: { 'application/json': { schema: described?.body ?? { type: 'object' } } } } }),
    responses: { [status]: status === 204 ? { description: 'Done.' } : { description: 'Done.', content: { 'application/json': { schema: {} } } }, '4XX': error },
    security: route.access === 'open' ? [] : [{ token: [] }, { signature: [] }],
    ...action === null ? {} : { 'x-iam-action': typeof action === 'string' ? action : action.among },
  }
}
