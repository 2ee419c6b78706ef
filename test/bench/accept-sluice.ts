/**
 * The accepting half of Sluice as a process: its listeners, its control plane and its store as they are; only its worker
 * rests, so that fifty restarts do not compete for the two cores on which their acceptance is measured.
 * Arguments: home, port, project, number of instances.
 */
import type { Addresses } from '../../src/core/addresses.ts'
import { pino } from 'pino'
import { sql } from 'kysely'
import { readConfig } from '../../src/config.ts'
import { controlPlane } from '../../src/control-plane/control-plane.ts'
import { readCredentials } from '../../src/home.ts'
import { peopleOf } from '../../src/serve.ts'
import { listen } from '../../src/api/server.ts'
import { networkRecords } from '../../src/records.ts'
import { registry } from '../../src/registry.ts'
import { homeVault } from '../../src/vault.ts'
import { readSecrets } from '../../src/secrets.ts'
import { ensureProject } from '../../src/store/projects.ts'
import { fill, finishAll } from './accept-rows.ts'

const [home, port, projectId, count] = process.argv.slice(2) as [string, string, string, string]
const config = readConfig({ SLUICE_HOME: home, SLUICE_PORT: port, SLUICE_PASSWORD: 'Bench-Passw0rd', SLUICE_PROJECT_ID: projectId, SLUICE_MASTER_KEY: 'bench', SLUICE_DATABASE_URL: process.env['SLUICE_DATABASE_URL'] })
const { db, ids } = await fill(config.home, projectId, Number(count), config.databaseUrl)
const secrets = readSecrets(config.home, config.masterKey)
const credentials = readCredentials(config)
await ensureProject(db, { id: projectId, name: credentials.project, domain: credentials.domain })
const nowhere: Addresses = { async place() { throw new Error('nothing is created here') }, async admits() { return null }, close() {} }
const plane = controlPlane({ available: () => Infinity,
  db, ...registry(config, secrets), runtime: 'process', vault: homeVault(config.home), host: 'bench', seal: secrets.seal, open: secrets.open, worker: { nudge() {}, progress: () => null, cancel() {} },
  addresses: { process: nowhere, kubernetes: nowhere },
})
await listen({ config, plane, ...await peopleOf(db, credentials, secrets), records: networkRecords(db, { subnet: 'bench', region: config.identity.region }), log: pino({ level: 'warn' }), down() {} })
process.on('message', () => { void sql.raw(finishAll).execute(db).then(() => process.send!('finished')) })
process.on('disconnect', () => process.exit())
process.send!({ ids })
