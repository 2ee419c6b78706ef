/**
 * Run by the guard of a home (`runtimes/process/spawner.pl`) when a master died and no control plane was there to see it:
 * does what one would do about that, and ends. Whoever opens the database decides, or on a shared one whoever has the lease,
 * so there is never a second opinion.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { hostname } from 'node:os'
import { pathToFileURL } from 'node:url'
import { pino } from 'pino'
import { readConfig } from './config.ts'
import { hostId } from './home.ts'
import { isShared, openDatabase, type Database } from './store/database.ts'
import { readSecrets } from './secrets.ts'
import { registry } from './registry.ts'
import { releaseAll } from './store/operations.ts'
import { startObserver } from './operations/observer.ts'
import { homeVault } from './vault.ts'
import { startWorker } from './operations/worker.ts'

/** A replica is promoted within milliseconds; the dead node's start and copy take as long as its data is large. */
const workForMs = 60_000
/** The observer has looked at everything by then. */
const atLeastMs = 1200
/** The holder of the database ends within this when it is asked. */
const leaveWithinMs = 5000

/** Ends the guard of a home, if it has one, and what that runs. For whoever takes over. */
export async function endGuard(home: string): Promise<void> {
  const path = join(home, 'guard')
  if (!existsSync(path)) return
  const pid = Number(readFileSync(path, 'utf8'))
  const isGuard = (): boolean => {
    try { return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('spawner.pl') } catch { return false }
  }
  if (!(pid > 1) || !isGuard()) return
  process.kill(pid, 'SIGTERM')
  for (const giveUp = Date.now() + leaveWithinMs; isGuard() && Date.now() < giveUp;) await sleep(5)
}

async function work(db: Database, env: NodeJS.ProcessEnv): Promise<void> {
  const config = readConfig(env)
  const log = pino({ level: config.logLevel }, pino.destination({ fd: 2, sync: true }))
  const [host, owner] = [hostId(config.home), `${hostname()}:${process.pid}:${Date.now()}`]
  // On a shared one others of this host may live, and this is one more of them for a while.
  if (!isShared(db)) await releaseAll(db)
  // The guard that runs this goes on; there must not be two of them.
  const { engines, runtimes } = registry({ ...config, guard: false }, readSecrets(config.home, config.masterKey))
  const worker = startWorker({ db, engines, runtimes, vault: homeVault(config.home), owner, host, log })
  const observer = startObserver({ db, engines, runtimes, host, log, opened: worker.nudge })
  let asked = false
  process.once('SIGTERM', () => { asked = true })
  observer.nudge()
  const began = Date.now()
  const open = () => db.selectFrom('operations as o').innerJoin('instances as i', 'i.id', 'o.instance_id').select('o.id').where('i.host', '=', host).where('o.finished_at', 'is', null).limit(1).executeTakeFirst()
  while (!asked && Date.now() - began < workForMs && (Date.now() - began < atLeastMs || await open())) await sleep(50)
  await Promise.race([Promise.all([observer.stop(), worker.stop()]), sleep(leaveWithinMs)])
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const config = readConfig(process.env)
  // A home that is being removed must not come back.
  const db = existsSync(join(config.home, config.databaseUrl === null ? 'sluice.db' : 'host-id')) ? await openDatabase(config).catch(() => null) : null
  if (db) await work(db, process.env).finally(() => db.destroy())
  process.exit()
}
