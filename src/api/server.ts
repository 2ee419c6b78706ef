/** Opens one listener for each service. */
import { createHmac } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { Server as SecureServer } from 'node:https'
import { computeService } from './compute/routes.ts'
import { consoleService } from './console/routes.ts'
import { dcsService } from './dcs/routes.ts'
import { dmsService } from './dms/routes.ts'
import { iamService } from './iam/routes.ts'
import { signedLinks } from './links.ts'
import { serviceApp } from './listener.ts'
import { documented } from './openapi.ts'
import { networkService } from './network/routes.ts'
import { rate } from './rate.ts'
import { readPair, watchPair } from './tls.ts'
import type { Config } from '../config.ts'
import type { AuditTrail } from '../core/audit.ts'
import type { ControlPlane } from '../core/control-plane.ts'
import type { Logger } from '../core/logger.ts'
import type { Service } from './http.ts'
import type { Directory, Identity } from './identity.ts'
import type { Records } from './records.ts'
import type { Metrics } from './console/metrics.ts'

export interface ListenOptions {
  readonly config: Pick<Config, 'host' | 'port' | 'publicHost' | 'tls' | 'metricsToken' | 'rateLimit'> & { readonly identity: Pick<Config['identity'], 'region'> }
  readonly plane: ControlPlane
  readonly identity: Identity
  /** Absent: one user, and nobody to look up. */
  readonly directory?: Directory
  readonly records: Records
  /** Absent: there is nothing to read. */
  readonly trail?: AuditTrail
  readonly log: Logger
  /** Whether /healthz may say so; absent: as soon as every listener is open. */
  readonly ready?: () => boolean
  /** What POST /v1/down does: stop every node, then the server. */
  readonly down: () => void
  readonly now?: () => number
  /** What GET /v1/state gives; absent: it is no route. */
  readonly state?: () => AsyncIterable<string>
  /** Absent: nothing is measured, and /metrics is no route. */
  readonly metrics?: Metrics
}

export interface Urls { readonly iam: string; readonly dcs: string; readonly dms: string; readonly network: string; readonly compute: string; readonly console: string }

export interface Listening {
  readonly urls: Urls
  /** Lets requests that are under way end, for two seconds; idle connections are closed at once. */
  close(): Promise<void>
}

/** Above the base port. */
const offsets = { iam: 0, dcs: 1, dms: 2, network: 3, compute: 4, console: 5 } as const

/** Listens on every port, or throws a sentence that names the one that failed, with the others closed again. */
export async function listen({ config, plane, identity, directory, records, trail, log, ready, down, now = Date.now, state, metrics }: ListenOptions): Promise<Listening> {
  const urls = urlsOf(config)
  let open = false
  const services: Readonly<Record<keyof Urls, Service>> = {
    iam: iamService({ identity, now, urls, region: config.identity.region, ...directory ? { directory } : {} }),
    dcs: dcsService(plane, { region: config.identity.region, url: urls.dcs, networks: records, projectName: async (id) => (await identity.project(id))?.name ?? null, links: signedLinks(urls.dcs, createHmac('sha256', identity.tokenKeys.all[0]!).update('links').digest(), now) }),
    dms: dmsService(plane, config.identity.region),
    network: networkService(records, urls.network),
    compute: computeService(records, { url: urls.compute, region: config.identity.region }),
    console: consoleService({ plane, urls, ready: () => open && (ready?.() ?? true), down, ...(state ? { state } : {}), ...(trail ? { audit: { trail, identity } } : {}), ...(directory ? { people: { identity, directory, actions: () => actionsOf(Object.values(services)) } } : {}), ...(metrics ? { metrics: { ...metrics, token: config.metricsToken } } : {}) }),
  }
  const apps: FastifyInstance[] = []
  const limit = rate(config.rateLimit, () => performance.now())
  const pair = config.tls && readPair(config.tls)
  const watching = config.tls && watchPair(config.tls, log, (renewed) => { for (const app of apps) (app.server as unknown as SecureServer).setSecureContext(renewed) })
  const close = async (): Promise<void> => {
    watching?.close()
    const late = setTimeout(() => { for (const app of apps) app.server.closeAllConnections() }, 2000)
    await Promise.all(apps.map((app) => app.close()))
    clearTimeout(late)
  }
  for (const [name, service] of Object.entries(services) as [keyof Urls, Service][]) {
    const app = serviceApp(documented(service, urls[name]), { identity, now }, { log, tls: pair, rate: limit, ...(metrics ? { answered: metrics.answered } : {}) })
    const port = config.port + offsets[name]
    apps.push(app)
    try { await app.listen({ host: config.host, port }) } catch (error) {
      await close()
      throw new Error(`port ${port} of ${config.host}, for ${service.name}, ${reason(error)}: ${(error as NodeJS.ErrnoException).code === 'EADDRINUSE' ? 'set SLUICE_PORT to another base port, of which six in a row are used' : 'look at SLUICE_HOST and SLUICE_PORT'}`, { cause: error })
    }
  }
  open = true
  return { urls, close }
}

/** Every action that a route of these services asks for, once. */
function actionsOf(services: readonly Service[]): string[] {
  const named = services.flatMap((service) => service.routes).flatMap((route) => 'action' in route && route.action !== null ? typeof route.action === 'string' ? [route.action] : route.action.among : [])
  return [...new Set(named)].toSorted()
}

function urlsOf(config: Pick<Config, 'port' | 'publicHost' | 'tls'>): Urls {
  const host = config.publicHost.includes(':') ? `[${config.publicHost}]` : config.publicHost
  const url = (name: keyof Urls): string => `${config.tls ? 'https' : 'http'}://${host}:${config.port + offsets[name]}`
  return { iam: url('iam'), dcs: url('dcs'), dms: url('dms'), network: url('network'), compute: url('compute'), console: url('console') }
}

function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  const known: Readonly<Record<string, string>> = { EADDRINUSE: 'is taken by another program', EACCES: 'may not be opened by this user', EADDRNOTAVAIL: 'cannot be opened, for this machine has no such address' }
  return known[code ?? ''] ?? `cannot be opened (${message})`
}
