/** What scrapers read: /metrics in Prometheus' text form, and the engines' own addresses for its service discovery. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { gateway } from '../gateway.ts'
import { ok, type Call, type Reply, type Route } from '../http.ts'

/** Where single servers are found, in the form of Prometheus' http_sd. */
export interface Target { readonly targets: readonly string[]; readonly labels: Readonly<Record<string, string>> }

export interface Metrics {
  /** Counts an answer. */
  answered(service: string, method: string, route: string, status: number, ms: number): void
  /** All series as of now. */
  text(): Promise<string>
  targets(): Promise<readonly Target[]>
}

const textForm = 'text/plain; version=0.0.4; charset=utf-8'

export function metricsRoutes(metrics: Metrics & { readonly token: string | null }): Route[] {
  const guarded = (answer: () => Promise<Reply>) => async (call: Call): Promise<Reply> => may(call, metrics.token) ? answer()
    : { status: 401, body: { error_code: gateway.signature.code, error_msg: 'SLUICE_METRICS_TOKEN is set: send it as "Authorization: Bearer TOKEN".' }, headers: { 'www-authenticate': 'Bearer' } }
  return [
    { method: 'GET', path: '/metrics', access: 'open', handle: guarded(async () => ({ status: 200, text: await metrics.text(), headers: { 'content-type': textForm } })) },
    { method: 'GET', path: '/v1/discovery', access: 'open', handle: guarded(async () => ok(await metrics.targets())) },
  ]
}

function may({ headers }: Call, token: string | null): boolean {
  const given = headers['authorization']
  return token === null || typeof given === 'string' && timingSafeEqual(digest(given), digest(`Bearer ${token}`))
}

function digest(text: string): Buffer { return createHash('sha256').update(text).digest() }
