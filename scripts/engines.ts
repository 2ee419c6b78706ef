/**
 * `npm run engines`: installs what is missing of redis-server, Java, Apache Kafka and (Linux, as root) nftables with the platform's own package
 * managers, says what and why first, and prepares what makes brokers start fast. The demo and the tests call it as well;
 * the tests, and `npm run engines -- --postgres`, also want PostgreSQL.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { platform } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { readConfig } from '../src/config.ts'
import { findKafka, storageTemplate } from '../src/engines/kafka/program.ts'
import { findRedis } from '../src/engines/redis/program.ts'
import { postgresPrograms } from '../test/support/postgres.ts'
import { makeClassArchive } from './class-archive.ts'

export interface EnsureOptions {
  readonly redis: boolean
  readonly kafka: boolean
  /** For tests: a Sluice that runs is given the URL of one. */
  readonly postgres?: boolean
  /** What only tests need. */
  readonly openssl?: boolean
  /** For whitelists; on Linux, where root alone can use it. */
  readonly nftables?: boolean
  /** A machine of its own for the test of the service; on Linux, where root alone can start one. */
  readonly machine?: boolean
  /** A C compiler, for a disk that is slow; on Linux. */
  readonly compiler?: boolean
  /** Python with virtual environments, for the clouds' own clients. */
  readonly python?: boolean
  /** Whether a person can be asked before something is installed with more rights than ours. */
  readonly interactive: boolean
  readonly log: (line: string) => void
}

const kafkaVersion = '3.9.1'
const root = resolve(import.meta.dirname, '..')

/** Throws one sentence that says what to install by hand when it cannot be installed here. */
export async function ensureEngines(options: EnsureOptions): Promise<void> {
  const { programs } = readConfig(process.env)
  if (options.redis) await ensureRedis(options)
  if (options.postgres && !process.env['SLUICE_TEST_POSTGRES'] && !postgresPrograms()) {
    await installPackages(['postgres'], 'the tests run on a real PostgreSQL', options)
    if (!postgresPrograms()) throw new Error('PostgreSQL was installed and its initdb is not found: put it on PATH, or set SLUICE_TEST_POSTGRES to the URL of a server')
  }
  if (options.openssl && !works('openssl', 'version')) await installPackages(['openssl'], 'Tests make certificates', options)
  const rootOfLinux = platform() === 'linux' && process.getuid?.() === 0
  if (options.nftables && rootOfLinux && !['nft', '/usr/sbin/nft'].some((path) => works(path, '--version'))) await installPackages(['nftables'], 'IP whitelists of Redis are rules of nftables', options)
  if (options.machine && rootOfLinux && !works('systemd-nspawn', '--version')) await installPackages(['machine'], 'The unit for systemd is tested under a systemd of its own', options)
  if (options.compiler && platform() === 'linux' && !works('cc', '--version')) await installPackages(['compiler'], 'A test makes the disk slow by a library of its own, which is written in C', options)
  if (options.python && !works('python3', '-c', 'import venv, ensurepip')) await installPackages(['python'], "Tests run the clouds' own clients, which are written in Python", options)
  if (!options.kafka) return
  if (!programs.java && !works(join(process.env['JAVA_HOME'] ?? '', process.env['JAVA_HOME'] ? 'bin/java' : 'java'), '-version')) await installPackages(['java'], 'Apache Kafka runs on Java 17 or later', options)
  if (!programs.kafkaHome && !existsSync(join(programs.engineFolder, `kafka-${kafkaVersion}`))) await installKafka(programs.engineFolder, options)
  const kafka = await findKafka(programs)
  mkdirSync(kafka.folder, { recursive: true })
  await storageTemplate(kafka)
  if (!existsSync(join(kafka.folder, 'classes.jsa'))) {
    options.log('preparing Kafka: one short run of a broker, whose loaded classes later starts share')
    await makeClassArchive(kafka).catch((error) => options.log(`brokers will start a second slower, for their classes could not be prepared: ${(error as Error).message}`))
  }
}

async function ensureRedis(options: EnsureOptions): Promise<void> {
  const { programs } = readConfig(process.env)
  try { await findRedis(programs); return } catch (error) {
    // A path that somebody chose, or one that is too old, is theirs to change.
    if (!/no redis-server was found/.test((error as Error).message)) throw error
  }
  await installPackages(['redis'], 'Sluice runs real Redis servers', options)
  await findRedis(programs)
}

/** Maven Central's jars, exactly as pinned in engines/kafka/pom.xml; moved into place whole, so that half an installation is never found. */
async function installKafka(engineFolder: string, options: EnsureOptions): Promise<void> {
  if (!works('mvn', '--version')) await installPackages(['maven'], "Apache Kafka's jars come from Maven Central", options)
  options.log(`installing Apache Kafka ${kafkaVersion}: its published jars, 46 MB, with mvn into ${engineFolder}`)
  mkdirSync(engineFolder, { recursive: true })
  const work = mkdtempSync(join(engineFolder, 'installing-'))
  try {
    const done = spawnSync('mvn', ['-q', '-B', '-f', join(root, 'engines', 'kafka', 'pom.xml'), 'dependency:copy-dependencies', `-DoutputDirectory=${join(work, 'libs')}`], { stdio: ['ignore', 'inherit', 'inherit'] })
    if (done.status !== 0) throw new Error('mvn could not bring the jars of Apache Kafka: see its words above, or set SLUICE_KAFKA_HOME to a Kafka that is there already')
    try { renameSync(work, join(engineFolder, `kafka-${kafkaVersion}`)) } catch (error) {
      // Somebody else finished first; theirs is the same.
      if (!existsSync(join(engineFolder, `kafka-${kafkaVersion}`, 'libs'))) throw error
    }
  } finally { rmSync(work, { recursive: true, force: true }) }
}

const packages = {
  apt: { redis: 'redis-server', java: 'openjdk-17-jre-headless', maven: 'maven', postgres: 'postgresql', openssl: 'openssl', python: 'python3-venv', nftables: 'nftables', machine: 'systemd-container', compiler: 'gcc' },
  brew: { redis: 'redis', java: 'temurin', maven: 'maven', postgres: 'postgresql', openssl: 'openssl', python: 'python', nftables: 'nftables', machine: 'systemd', compiler: 'gcc' },
} as const

async function installPackages(names: readonly (keyof typeof packages.apt)[], why: string, { interactive, log }: EnsureOptions): Promise<void> {
  const manager = platform() === 'darwin' ? 'brew' : 'apt'
  const wanted = names.map((name) => packages[manager][name])
  const byHand = manager === 'brew' ? `brew install ${wanted.join(' ')}` : `sudo apt-get install ${wanted.join(' ')}`
  if (!works(manager === 'brew' ? 'brew' : 'apt-get', '--version')) throw new Error(`${why}, and ${wanted.join(', ')} is missing: install it with this system's package manager`)
  log(`installing ${wanted.join(', ')}: ${why}`)
  if (manager === 'brew') { install('brew', ['install', ...wanted], byHand); return }
  const isRoot = process.getuid?.() === 0
  if (!isRoot && !works('sudo', '-n', 'true')) {
    if (!interactive || !await agreed(`This needs your password for: ${byHand}. Go on?`)) throw new Error(`${why}, and ${wanted.join(', ')} is missing: run ${byHand}`)
  }
  const sudo = isRoot ? [] : ['sudo', ...(interactive ? [] : ['-n'])]
  // A release that has no Java 17 any more has 21.
  const newer = wanted.join(' ').replace('openjdk-17', 'openjdk-21')
  // Debian's policy hook: 101 forbids a package to start services, which would take port 6379 of every address, or 5432.
  // It goes again however this ends: left behind, it would silence every later installation.
  const quiet = '/usr/sbin/policy-rc.d'
  const ours = !existsSync(quiet)
  const shell = `${ours ? `trap 'rm -f ${quiet}' EXIT; trap 'exit 130' HUP INT TERM; printf '#!/bin/sh\\nexit 101\\n' >${quiet} && chmod 755 ${quiet};` : ''} export DEBIAN_FRONTEND=noninteractive; apt-get update -qq; apt-get install -y -qq ${wanted.join(' ')} || apt-get install -y -qq ${newer}`
  install(sudo[0] ?? 'sh', sudo.length > 0 ? [...sudo.slice(1), 'sh', '-c', shell] : ['-c', shell], byHand)
  // The hook holds for now, not for the next boot; only what was just installed is told not to come up by itself.
  for (const [name, service] of [['redis', 'redis-server'], ['postgres', 'postgresql']] as const) {
    if (names.includes(name) && works('systemctl', '--version')) spawnSync(sudo[0] ?? 'systemctl', [...(sudo.length > 0 ? [...sudo.slice(1), 'systemctl'] : []), 'disable', service], { stdio: 'ignore' })
  }
}

function install(command: string, args: readonly string[], byHand: string): void {
  const done = spawnSync(command, args, { stdio: ['inherit', 'ignore', 'inherit'] })
  if (done.status !== 0) throw new Error(`the package manager failed: see its words above, then run ${byHand}`)
}

function works(command: string, ...args: readonly string[]): boolean { return spawnSync(command, args, { stdio: 'ignore' }).status === 0 }

async function agreed(question: string): Promise<boolean> {
  const prompt = createInterface({ input: process.stdin, output: process.stderr })
  try { return /^(y|yes|)$/i.test((await prompt.question(`${question} [Y/n] `)).trim()) } finally { prompt.close() }
}

if (import.meta.main) {
  try {
    await ensureEngines({ redis: true, kafka: true, nftables: true, postgres: process.argv.includes('--postgres'), interactive: Boolean(process.stdin.isTTY), log: (line) => console.log(line) })
    const { programs } = readConfig(process.env)
    const [redis, kafka] = [await findRedis(programs), await findKafka(programs)]
    console.log(`${redis.valkey ? 'Valkey' : 'Redis'} ${redis.version}: ${redis.path}\nApache Kafka ${kafka.version}: ${kafka.classPath} on ${kafka.java}`)
  } catch (error) {
    console.error(`engines: ${(error as Error).message}`)
    process.exitCode = 1
  }
}
