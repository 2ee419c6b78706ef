/** Finds Kafka's jars and a Java that runs them, and puts the command line together. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import type { Config } from '../../config.ts'
import type { Locate } from '../../core/runtime.ts'

const run = promisify(execFile)
/** Kafka 3.9 runs on 11 and later; 17 is the oldest that still gets fixes everywhere. */
const oldestJava = 17
/** Counts up when scripts/class-archive.ts makes another archive, or brokers map it in another way. */
const archiveRecipe = 2

export interface Kafka {
  readonly version: string
  readonly java: string
  /** The class path, a wildcard of one folder: a class-data-sharing archive fits only the very same text. */
  readonly classPath: string
  /** Prepared things of this Java with these jars. */
  readonly folder: string
}

/** How the process runtime starts a broker: SLUICE_JAVA or the java on PATH, SLUICE_KAFKA_HOME or Sluice's own engine folder. */
export function locateKafka(programs: Config['programs']): Locate {
  return async (_software, { env }) => {
    const kafka = await findKafka(programs)
    const archive = join(kafka.folder, 'classes.jsa')
    return {
      command: kafka.java, version: kafka.version, env: {},
      args: [
        ...(existsSync(archive) ? sharing(archive) : []),
        ...['KAFKA_HEAP_OPTS', 'KAFKA_JVM_PERFORMANCE_OPTS', 'KAFKA_LOG4J_OPTS'].flatMap((name) => env[name]?.split(' ') ?? []),
        '-Djava.awt.headless=true', '-cp', kafka.classPath, 'kafka.Kafka',
      ],
      seed: { 'data/bootstrap.checkpoint': await storageTemplate(kafka) },
    }
  }
}

/**
 * Makes Java share the classes in an archive. Only for a Java that wrote the archive with these very flags: another
 * might not know them. Mapped where it was written, the archive needs no relocation of its 60 MB at each start.
 */
export function sharing(archive: string): string[] {
  // Counters for jstat, in a mapped file that is written in /tmp: nobody reads them, jcmd works without.
  return [`-XX:SharedArchiveFile=${archive}`, '-XX:+UnlockDiagnosticVMOptions', '-XX:ArchiveRelocationMode=0', '-XX:-UsePerfData']
}

/** Java and jars, or a sentence that names what is missing and where it was looked for. */
export async function findKafka(programs: Config['programs']): Promise<Kafka> {
  const home = programs.kafkaHome ?? installed(programs.engineFolder)
  if (!home) throw new Error(`Apache Kafka was not found in ${programs.engineFolder}: run "npm run engines", or set SLUICE_KAFKA_HOME to a folder whose libs/ holds its jars`)
  const version = versionOf(home)
  if (!version) throw new Error(`${join(home, 'libs')} holds no kafka_2.13 jar: SLUICE_KAFKA_HOME must name a folder whose libs/ holds Kafka's jars`)
  const java = programs.java ?? onPath('java')
  if (!java) throw new Error('no java was found on PATH: run "npm run engines", or set SLUICE_JAVA to the java program')
  const said = await javaVersion(java)
  const id = createHash('sha256').update(JSON.stringify([java, said, home, archiveRecipe])).digest('hex').slice(0, 12)
  return { version, java, classPath: join(home, 'libs', '*'), folder: join(programs.engineFolder, `prepared-kafka-${version}-${id}`) }
}

/** The version that would run, without starting anything; null when Kafka is not installed. */
export function kafkaVersion(programs: Config['programs']): string | null {
  const home = programs.kafkaHome ?? installed(programs.engineFolder)
  return home ? versionOf(home) : null
}

/**
 * The file that a formatted storage folder holds besides its names. Kafka's own tool makes it, once for each version;
 * copying it saves every creation the start of one more Java.
 */
export async function storageTemplate(kafka: Kafka): Promise<string> {
  const path = join(kafka.folder, 'bootstrap.checkpoint')
  if (existsSync(path)) return path
  mkdirSync(kafka.folder, { recursive: true })
  const work = mkdtempSync(join(kafka.folder, 'format-'))
  try {
    writeFileSync(join(work, 'server.properties'), 'process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:9093\nlisteners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\ncontroller.listener.names=CONTROLLER\nlog.dirs=data\n')
    // A Java start on a busy machine; the tool itself does next to nothing.
    await run(kafka.java, ['-cp', kafka.classPath, 'kafka.tools.StorageTool', 'format', '-t', 'AAAAAAAAAAAAAAAAAAAAAQ', '-c', 'server.properties'], { cwd: work, timeout: 60_000 })
      .catch((error: Error & { stdout?: string }) => { throw new Error(`Kafka's storage cannot be formatted with ${kafka.java}: ${lastWords(error.message)}`) })
    renameSync(join(work, 'data', 'bootstrap.checkpoint'), path)
  } finally { rmSync(work, { recursive: true, force: true }) }
  return path
}

const asked = new Map<string, string>()

/** All that `java -version` says, which also names the build. */
async function javaVersion(java: string): Promise<string> {
  let stamp: string
  try { stamp = `${java}:${statSync(java).mtimeMs}` } catch { throw new Error(`${java} does not exist: SLUICE_JAVA must name a java program`) }
  const before = asked.get(stamp)
  if (before) return before
  // A program that hangs is no java.
  const said = await run(java, ['-version'], { timeout: 20_000 }).then((done) => `${done.stderr}${done.stdout}`, (error: Error) => { throw new Error(`${java} cannot run Kafka: asked for its version it failed (${lastWords(error.message)})`) })
  const major = Number(/version "(\d+)/.exec(said)?.[1])
  if (!(major >= oldestJava)) throw new Error(`${java} is no Java ${oldestJava} or later: asked for its version it said ${JSON.stringify(said.slice(0, 80))}`)
  asked.set(stamp, said)
  return said
}

/** The newest Kafka that `npm run engines` brought. */
function installed(engineFolder: string): string | null {
  if (!existsSync(engineFolder)) return null
  const name = readdirSync(engineFolder).filter((entry) => /^kafka-[\d.]+$/.test(entry)).toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)
  return name ? join(engineFolder, name) : null
}

function versionOf(home: string): string | null {
  const libs = join(home, 'libs')
  if (!existsSync(libs)) return null
  return readdirSync(libs).map((name) => /^kafka_2\.1\d-(\d+\.\d+\.\d+)\.jar$/.exec(name)?.[1]).find((version) => version !== undefined) ?? null
}

function onPath(name: string): string | null {
  const home = process.env['JAVA_HOME']
  return [...(home ? [join(home, 'bin')] : []), ...(process.env['PATH'] ?? '').split(delimiter)].map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null
}

function lastWords(message: string): string { return message.trim().split('\n').at(-1)!.slice(0, 300) }
