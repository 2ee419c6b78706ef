/** Config → database → registry → worker and observer → listeners; and all of it back again on a signal. */
import { createHmac } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { freemem, hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { readConfig, type Config } from './config.ts'
import { hostId, prepareHome, readCredentials } from './home.ts'
import { readSecrets, type Secrets } from './secrets.ts'
import { endGuard } from './guard.ts'
import { openDatabase, type Database } from './store/database.ts'
import { releaseAll } from './store/operations.ts'
import { hostInstances, nodesOf } from './store/instances.ts'
import { readSetting, writeSetting } from './store/settings.ts'
import { ensureProject } from './store/projects.ts'
import { ownAddresses, releaseBlocks, sharedAddress } from './runtimes/process/addresses.ts'
import { clusterHost } from './core/instance.ts'
import { registry } from './registry.ts'
import { startWorker } from './operations/worker.ts'
import { startObserver } from './operations/observer.ts'
import { controlPlane } from './control-plane.ts'
import { identityStore } from './identity.ts'
import { meter } from './metrics.ts'
import { listen } from './api/server.ts'
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

/** Another password ends every token that was given for the old one. */
function tokenKey(secrets: Secrets, password: string): Buffer {
  return createHmac('sha256', secrets.derive('tokens')).update(password).digest()
}

/** What a guard had begun ends within this many tenths of a second. */
async function openDatabaseSoon(home: string): Promise<Database> {
  for (let tries = 0; ; tries += 1) {
    try { return await openDatabase(home) } catch (error) {
      if (tries === 50 || !existsSync(join(home, 'guard.log'))) throw error
      await sleep(100)
    }
  }
}

/** Starts everything; `down` is called when somebody asks through the API that all of it stops. */
export async function serve(config: Config, log: Logger, down: (how: Config['onExit']) => void): Promise<{ stop(exit?: Config['onExit']): Promise<void> }> {
  prepareHome(config.home)
  await endGuard(config.home)
  const db = await openDatabaseSoon(config.home)
  const secrets = readSecrets(config.home, config.masterKey)
  const credentials = readCredentials(config)
  await ensureProject(db, { id: credentials.projectId, name: credentials.project, domain: credentials.domain })
  // This process alone has the database open, so whoever held a lease is dead.
  await releaseAll(db)
  const host = hostId(config.home)
  let blocks = await readSetting<readonly string[]>(db, 'address blocks', [])
  const ownPorts = [0, 1, 2, 3, 4, 5].map((offset) => config.port + offset)
  const own = config.nodes.kind === 'own'
    ? await ownAddresses(config.home, { held: blocks, async remember(held) { blocks = [...held]; await writeSetting(db, 'address blocks', held) } })
    : sharedAddress(config.nodes, ownPorts)
  const { engines, runtimes, addresses } = registry(config, secrets)
  const metrics = meter({ db, engines, runtimes, host })
  const worker = startWorker({ db, engines, runtimes, owner: `${hostname()}:${process.pid}:${Date.now()}`, log, ended: metrics.ended })
  const observer = startObserver({ db, engines, runtimes, host, log, opened: worker.nudge })
  runtimes.process.onExit(observer.nudge)
  runtimes.kubernetes.onChange(observer.nudge)
  const rotating = setInterval(() => runtimes.process.rotateLogs(), rotateEveryMs)
  const plane = controlPlane({ db, engines, runtimes, addresses: addresses(own), runtime: config.runtime, host, available: freemem, seal: secrets.seal, worker })

  async function stopWork(): Promise<void> {
    clearInterval(rotating)
    await Promise.all([observer.stop(), worker.stop()])
  }
  async function close(): Promise<void> {
    own.close()
    runtimes.kubernetes.close()
    await db.destroy()
  }
  let listeners: Awaited<ReturnType<typeof listen>>
  try {
    listeners = await listen({ config, plane, identity: identityStore(db, credentials), tokenKey: tokenKey(secrets, credentials.password), log, down: () => down('stop'), metrics })
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
      if (exit !== 'keep') {
        // A cluster's nodes are not this machine's to stop; but what a home that goes away has made, nobody else knows of.
        const instances = await hostInstances(db, host, ...exit === 'remove' ? [clusterHost] : [])
        const nodes = await nodesOf(db, instances.map((instance) => instance.id))
        await Promise.all(instances.map((instance) => {
          const ids = (nodes.get(instance.id) ?? []).map((node) => node.id)
          return exit === 'remove' ? runtimes[instance.runtime].remove(instance.id, ids, { all: true }) : runtimes[instance.runtime].stop(instance.id, ids, stopWithinMs)
        }))
      }
      const left = await hostInstances(db, host)
      if (left.length === 0 && blocks.length > 0) {
        await writeSetting(db, 'address blocks', [])
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
