/** Asks for an action on instances, or only for its plan, and tells what came of it. */
import { waitFor } from './wait.ts'
import { print } from './output.ts'
import type { Client } from './client.ts'

export type Service = 'dcs' | 'dms'
export interface Flags { readonly json?: boolean; readonly wait?: boolean; readonly yes?: boolean; readonly dryRun?: boolean }

export interface Plan {
  readonly nodes: readonly { readonly node: string; readonly number: number; readonly role: string; readonly what: string }[]
  readonly gap: { readonly from_ms: number; readonly to_ms: number | null; readonly why: string }
  readonly data_at_risk: string
}

export interface Result {
  readonly instance: string
  readonly result: 'success' | 'failed'
  readonly error_code?: string
  readonly error_msg?: string
  readonly error_ext_msg?: string | null
  /** Of a dry run that would be accepted. */
  readonly plan?: Plan
}

/** One result an instance. With `dryRun` nothing is done. */
export async function request(client: Client, service: Service, action: string, ids: readonly string[], { allFailed, dryRun = false }: { readonly allFailed: boolean; readonly dryRun?: boolean }): Promise<Result[]> {
  const path = `/v2/${client.projectId}/instances`
  const query = dryRun ? '?dry_run=true' : ''
  if (service === 'dms') return (await client.call('dms', 'POST', `${path}/action${query}`, allFailed ? { action, all_failure: 'kafka' } : { action, instances: ids })).results
  if (action !== 'delete') return (await client.call('dcs', 'PUT', `${path}/status${query}`, { action, instances: ids })).results
  return (await client.call('dcs', 'DELETE', `${path}${query}${allFailed ? `${dryRun ? '&' : '?'}all_failure=true` : ''}`, allFailed ? undefined : { instances: ids })).results
}

/** What would happen, node by node; and the exit code when some of it would be refused. */
export function showPlans(action: string, results: readonly Result[], { json = false, on = process.stdout }: { readonly json?: boolean; readonly on?: NodeJS.WriteStream }): void {
  if (results.some((one) => one.result === 'failed')) process.exitCode = 1
  if (json) return print(results)
  for (const { instance, plan } of results) {
    if (!plan) continue
    on.write(`${action} of ${instance}\n`)
    const width = Math.max(7, ...plan.nodes.map((node) => node.role.length))
    for (const node of plan.nodes) on.write(`  node ${node.number}  ${node.role.padEnd(width)}  ${node.what}\n`)
    on.write(`  gap: ${gapText(plan.gap)}. ${plan.gap.why}\n  data at risk: ${plan.data_at_risk}\n`)
  }
  sayRefused(results)
}

function gapText({ from_ms: from, to_ms: to }: Plan['gap']): string {
  const text = (ms: number): string => ms >= 1000 ? `${Math.round(ms / 100) / 10} s` : `${ms} ms`
  if (to === null) return 'for good'
  return to === 0 ? 'none' : `${text(from)} to ${text(to)}`
}

function sayRefused(results: readonly Result[]): void {
  for (const { instance, error_code: code, error_msg: message, error_ext_msg: reason } of results.filter((result) => result.result === 'failed')) console.error(`${instance}  refused: ${code ?? ''} ${message ?? ''}${reason ? ` (${reason})` : ''}`)
}

/** Waits for what was accepted, says what was not, and sets the exit code. */
export async function finish(client: Client, service: Service, results: readonly Result[], flags: Flags): Promise<void> {
  const accepted = results.filter((result) => result.result === 'success').map((result) => result.instance)
  const awaited = flags.wait === false ? [] : await waitFor(client, service, accepted, flags.json ?? false)
  const outcomes = results.map((result) => ({ ...result, ...awaited.find((one) => one.id === result.instance) }))
  if (flags.json) print(outcomes)
  sayRefused(results)
  if (results.length === 0 && !flags.json) console.log('nothing to do')
  if (flags.wait === false && !flags.json) for (const id of accepted) console.log(`${id}  accepted`)
  if (results.some((result) => result.result === 'failed') || awaited.some((one) => one.outcome === 'failed')) process.exitCode = 1
}
