/** Config → database → registry → worker and observer → listeners; and all of it back again on a signal. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { freemem, hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { readConfig, type Config } from './config.ts'
import { hostId, movedName, prepareHome, readCredentials, type Credentials } from './home.ts'
import { readSecrets, type Secrets } from './secrets.ts'
import { sharedCredentials, sharedSecrets } from './agreement.ts'
import { startPresence } from './presence.ts'
import { dump, endOfState } from './state/dump.ts'
import { endGuard } from './guard.ts'
import { isShared, openDatabase, type Database } from './store/database.ts'
import { leaveSurveys } from './store/surveys.ts'
import { releaseAll } from './store/operations.ts'
import { hostInstances, nodesOf } from './store/instances.ts'
import { addBlocks, blocksOf, dropBlocks } from './store/blocks.ts'
import { ensureProject, projectOf } from './store/projects.ts'
import { ownAddresses, releaseBlocks, sharedAddress } from './runtimes/process/addresses.ts'
import { clusterHost } from './core/instance.ts'
import { registry } from './registry.ts'
import { homeVault } from './vault.ts'
import { startWorker } from './operations/worker.ts'
import { startRetention } from './retention.ts'
import { listAudit, verifyAudit } from './store/audit.ts'
import { startCalendar } from './calendar.ts'
import { startSurveyor } from './operations/surveyor.ts'
import { startObserver } from './operations/observer.ts'
import { controlPlane } from './control-plane/control-plane.ts'
import { directory } from './people/directory.ts'
import { identityStore } from './people/identity.ts'
import { networkRecords } from './records.ts'
import { peopleMemory } from './people/people.ts'
import { meter } from './metrics.ts'
import { listen } from './api/server.ts'
import type { Directory, Identity, Project } from './api/identity.ts'
import type { Logger } from './core/logger.ts'

/** Nodes' own logs are looked at this often; 10 MB do not fill in between. */
const rotateEveryMs = 60_000
/** A graceful stop of every node at exit: Kafka needs a few seconds, and nobody waits longer for a shutdown. */
const stopWithinMs = 20_000

/** A step in progress usually ends within this; a server that is asked to end must. */
const leaveWithinMs = 3000

/** Runs until SIGTERM or SIGINT; prints one ready line. A mistake of the person who starts it ends in one sentence and exit code 1. */
export async function runServer(env: NodeJS.ProcessEnv, options: { readonly ephemeral?: boolean } = {}): Promise<void> {
  let server: { stop(exit?: Config['onExit']): Promise<void> }
  try {
    const home = options.ephemeral ? mkdtempSync(join(tmpdir(), 'sluice-')) : undefined
    const config = readConfig(home ? { ...env, SLUICE_HOME: home } : env, options)
    // Logs go to standard error: standard output has the ready line alone.
    const log = pino({ level: config.logLevel, redact: ['password', 'token', 'authorization'] }, pino.destination({ fd: 2, sync: true }))
    server = await serve(config, log, (how) => void end(how))
  } catch (error) {
    console.error(`sluice: ${(error as Error).message}`)
    process.exit(1)
  }
  let ending = false
  async function end(how?: Config['onExit']): Promise<void> {
    if (ending) return
    ending = true
    await server.stop(how).catch((error) => { console.error(`sluice: ${(error as Error).message}`); process.exitCode = 1 })
    process.exit()
  }
  process.on('SIGTERM', () => void end())
  process.on('SIGINT', () => void end())
}

/** What a guard had begun ends within this many tenths of a second. */
async function openDatabaseSoon(where: Config): Promise<Database> {
  // Two databases would start two servers for each node.
  if (where.databaseUrl !== null && existsSync(join(where.home, 'sluice.db'))) throw new Error(`${where.home} has a database of its own, sluice.db: move it with "sluice export" and "sluice import", or give this server another SLUICE_HOME`)
  if (where.databaseUrl === null && !existsSync(join(where.home, 'sluice.db')) && existsSync(join(where.home, movedName))) throw new Error(`the state of ${where.home} was moved to PostgreSQL: set SLUICE_DATABASE_URL, or rename ${movedName} back to sluice.db`)
  for (let tries = 0; ; tries += 1) {
    try { return await openDatabase(where) } catch (error) {
      if (tries === 50 || where.databaseUrl !== null || !existsSync(join(where.home, 'guard.log'))) throw error
      await sleep(100)
    }
  }
}

/** Who this server is, to whom: of a home its own, of a shared database the same for all who share it. */
async function known(db: Database, config: Config): Promise<{ secrets: Secrets; credentials: Credentials }> {
  if (!isShared(db)) return { secrets: readSecrets(config.home, config.masterKey), credentials: readCredentials(config) }
  const secrets = await sharedSecrets(db, config)
  return { secrets, credentials: await sharedCredentials(db, secrets, config) }
}

/** Who may sign in, as the services ask for it. */
export async function peopleOf(db: Database, credentials: Credentials, secrets: Secrets): Promise<{ readonly identity: Identity; readonly directory: Directory }> {
  const projects = new Map<string, Project>()
  const memory = await peopleMemory(db, credentials.domain, () => projects.clear())
  return { identity: identityStore({ db, credentials, secrets, memory, projects }), directory: directory({ db, credentials, secrets, memory }) }
}

/** For a backup while this server has the database. */
async function* stateLines(db: Database, config: Config, secrets: Secrets): AsyncGenerator<string> {
  for await (const line of dump(db, config.home, secrets)) yield `${line}\n`
  yield `${endOfState}\n`
}

/** Starts everything; `down` is called when somebody asks through the API that all of it stops. */
export async function serve(config: Config, log: Logger, down: (how: Config['onExit']) => void): Promise<{ stop(exit?: Config['onExit']): Promise<void> }> {
  prepareHome(config.home)
  await endGuard(config.home)
  const db = await openDatabaseSoon(config)
  const shared = isShared(db)
  const { secrets, credentials } = await known(db, config).catch(async (error) => { await db.destroy(); throw error })
  await ensureProject(db, { id: credentials.projectId, name: credentials.project, domain: credentials.domain })
  // Where this process alone has the database open, whoever held a lease is dead.
  if (!shared) await releaseAll(db)
  if (!shared) await leaveSurveys(db, null)
  const host = hostId(config.home)
  const owner = `${hostname()}:${process.pid}:${Date.now()}`
  const presence = await startPresence(db, { id: owner, host }, log)
  let blocks = await blocksOf(db, host)
  const ownPorts = [0, 1, 2, 3, 4, 5].map((offset) => config.port + offset)
  const own = config.nodes.kind === 'own'
    ? await ownAddresses(config.home, { held: blocks, async remember(held) { blocks = [...held]; await addBlocks(db, host, held) } })
    : sharedAddress(config.nodes, ownPorts)
  const { engines, runtimes, addresses } = registry(config, secrets, (instanceId) => projectOf(db, instanceId))
  const metrics = meter({ db, engines, runtimes, host })
  const vault = homeVault(config.home)
  const worker = startWorker({ db, engines, runtimes, vault, owner, host, log, ended: metrics.ended })
  const observer = startObserver({ db, engines, runtimes, host, log, opened: worker.nudge })
  const surveyor = startSurveyor({ db, engines, runtimes, owner, host, log, vault })
  runtimes.process.onExit(observer.nudge)
  runtimes.kubernetes.onChange(observer.nudge)
  const rotating = setInterval(() => runtimes.process.rotateLogs(), rotateEveryMs)
  const plane = controlPlane({ db, engines, runtimes, addresses: addresses(own), runtime: config.runtime, vault, host, available: freemem, seal: secrets.seal, open: secrets.open, worker, surveyed: surveyor.nudge })

  const retention = startRetention({ db, keep: config.keep, log })
  const calendar = startCalendar({ db, host, backups: plane.backups, surveys: plane.surveys, change: plane.change, vault, log })

  async function stopWork(): Promise<void> {
    clearInterval(rotating)
    await Promise.all([retention.stop(), calendar.stop(), surveyor.stop(), observer.stop(), worker.stop()])
  }
  async function close(): Promise<void> {
    own.close()
    runtimes.kubernetes.close()
    await presence.stop()
    await db.destroy()
  }
  const people = await peopleOf(db, credentials, secrets)
  let listeners: Awaited<ReturnType<typeof listen>>
  try {
    listeners = await listen({ config, plane, ...people, trail: { list: (filter) => listAudit(db, filter), verify: () => verifyAudit(db) }, records: networkRecords(db, { subnet: config.subnet, region: config.identity.region, ...config.runtime === 'process' && own.network ? { network: own.network } : {} }), log, ready: presence.reachable, down: () => down('stop'), state: () => stateLines(db, config, secrets), metrics })
  } catch (error) {
    await stopWork()
    await close()
    throw error
  }
  worker.nudge()
  console.log(`sluice is ready: IAM ${listeners.urls.iam}  DCS ${listeners.urls.dcs}  DMS ${listeners.urls.dms}  health ${listeners.urls.console}/healthz  project ${credentials.projectId}  home ${config.home}`)
  return {
    async stop(exit = config.onExit) {
      await listeners.close()
      // What is under way is accepted and goes on at the next start: nobody has to wait for a broker's grace period.
      await Promise.race([stopWork(), sleep(exit === 'keep' ? leaveWithinMs : stopWithinMs, undefined, { ref: false })])
      // The others look after the nodes, and would start at once what is stopped here.
      const accompanied = exit !== 'keep' && await presence.accompanied()
      if (accompanied) log.warn({ exit }, 'other control planes of this host go on, and so do the nodes')
      if (exit !== 'keep' && !accompanied) {
        // A cluster's nodes are not this machine's to stop; but what a home that goes away has made, nobody else knows of.
        const instances = await hostInstances(db, host, ...exit === 'remove' ? [clusterHost] : [])
        const nodes = await nodesOf(db, instances.map((instance) => instance.id))
        await Promise.all(instances.map((instance) => {
          const ids = (nodes.get(instance.id) ?? []).map((node) => node.id)
          return exit === 'remove' ? runtimes[instance.runtime].remove(instance.id, ids, { all: true }) : runtimes[instance.runtime].stop(instance.id, ids, stopWithinMs)
        }))
      }
      // Others may share the home, and its blocks.
      if (!shared && blocks.length > 0 && (await hostInstances(db, host)).length === 0) {
        await dropBlocks(db, host)
        releaseBlocks(blocks)
      }
      await close()
      if (config.ephemeral) {
        releaseBlocks(blocks)
        rmSync(config.home, { recursive: true, force: true, maxRetries: 5 })
      }
    },
  }
}
