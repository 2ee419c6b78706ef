/** PostgreSQL, shared by several control planes. It may go away and come back at any time. */
import { createHash } from 'node:crypto'
import { Kysely, PostgresDialect, type PostgresPool } from 'kysely'
import { Pool, types as defaults, type CustomTypesConfig, type PoolConfig } from 'pg'
import { unavailable } from '../core/unavailable.ts'
import { migrate } from './migrate.ts'
import type { Tables } from './tables.ts'

/** More only wait for each other: what a control plane does at once is mostly waiting for one disk. */
const connections = 10
/** One that is there answers at once; a caller hears sooner that it is not. */
const connectWithinMs = 3000
/** No query of ours takes a tenth of this on a million rows; whoever waits longer has no database. */
const answerWithinMs = 8000
/** A control plane that is frozen in the middle of a transaction must not hold what others need to take over. */
const idleInTransactionMs = 4000

/** Opens the database and brings its schema up to date. Throws a sentence, without the address, for it holds a password. */
export async function openPostgres(url: string): Promise<Kysely<Tables>> {
  // Another control plane may be migrating, which takes as long as it takes.
  const patient = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: pool(url, {}) }) })
  try { await migrate(patient, 'the database of SLUICE_DATABASE_URL') } finally { await patient.destroy() }
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool: pool(url, { query_timeout: answerWithinMs, idle_in_transaction_session_timeout: idleInTransactionMs }) }) })
}

/** Connections whose losses are told apart from mistakes, and end nothing but the query. */
function pool(url: string, limits: PoolConfig): PostgresPool {
  const inner = new Pool({ connectionString: url, max: connections, application_name: 'sluice', connectionTimeoutMillis: connectWithinMs, keepAlive: true, types, ...limits })
  // What an idle connection says when it dies; the next query finds out by itself.
  inner.on('error', () => {})
  inner.on('connect', (client) => client.on('error', () => {}))
  return {
    options: inner.options,
    end: () => inner.end(),
    async connect() {
      const client = await inner.connect().catch((error) => { throw told(error) })
      let broken = false
      return {
        async query(text: string, parameters: readonly unknown[]) {
          try { return await client.query({ text, values: parameters.map(storable), ...named(text, parameters) }) } catch (error) {
            const said = told(error as Error)
            broken ||= said !== error
            throw said
          }
        },
        release(destroy?: boolean) { client.release(destroy || broken) },
      } as unknown as Awaited<ReturnType<PostgresPool['connect']>>
    },
  }
}

/** More texts than there are writes, each with a few lengths of its lists; each connection keeps as many plans. */
const namesKept = 400
/** Null: seen once. */
const names = new Map<string, string | null>()

/**
 * What comes again is planned once a connection: reading fifty rows of parameters costs more than writing them.
 * Never what answers whole rows: its plan would fail when a newer release adds a column.
 */
function named(text: string, parameters: readonly unknown[]): { name?: string } {
  if (parameters.length === 0 || !/^\s*(insert|update|select|with)/.test(text) || text.includes('*')) return {}
  const known = names.get(text)
  if (known) return { name: known }
  if (known === null) names.set(text, `sluice_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`)
  else if (names.size < namesKept) names.set(text, null)
  return {}
}

/** Epoch milliseconds and counts fit into a double for the next quarter of a million years. */
const types: CustomTypesConfig = {
  getTypeParser: ((id: number, format?: 'text') => id === defaults.builtins.INT8 ? Number : defaults.getTypeParser(id, format)) as typeof defaults.getTypeParser,
}

/** PostgreSQL's text has no NUL; the last words of a server that crashed may. */
function storable(value: unknown): unknown { return typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value }

/** Of the machine or the network. */
const unreachable = /^(ECONN|EPIPE|ETIMEDOUT|ENOENT|ENOTFOUND|EAI_AGAIN|EHOST|ENET)/
/** By the first letters of SQLSTATE: connections, logins, resources, shutdown or cancelled, disk; no such database; a standby that only reads; locks held too long. */
const refusing = /^(08|28|3D|53|57|58|25006|25P03|55P03)/
/** The driver has no codes for its own. */
const lost = /connection terminated|not queryable|timeout exceeded when trying to connect|query read timeout|connection timeout/i

function told(error: Error & { code?: string }): Error {
  const code = error.code ?? (error as AggregateError).errors?.[0]?.code ?? ''
  if (unreachable.test(code) || /^[0-9A-Z]{5}$/.test(code) && refusing.test(code) || lost.test(error.message)) return unavailable(error.message || code, error)
  return error
}
