/** What a Redis knows of its calls and sessions. */
import { all, withSession, type Session as Link } from './client.ts'
import { join } from 'node:path'
import { analyse } from './analysis.ts'
import { copyTo } from './copy.ts'
import { admits, runCommand } from './command-line.ts'
import { customers, hangUp } from './sessions.ts'
import { diagnose } from './diagnosis.ts'
import { expireKeys, findKeys } from './survey.ts'
import type { Desk, SlowCall } from '../../core/desk.ts'
import type { World } from '../../core/engine.ts'
import type { NodeRecord } from '../../core/instance.ts'
import type { Ground } from './topology.ts'
import type { RedisSecrets } from './layout.ts'

/** More than a server keeps. */
const mostCalls = 1000

export function desk(ground: (world: World) => Ground, secrets: RedisSecrets): Desk {
  function at<T>(world: World, node: NodeRecord, work: (link: Link) => Promise<T>): Promise<T> {
    const state = world.states.find(({ id }) => id === node.id)
    if (state?.phase !== 'running') return Promise.reject(new Error(`node ${node.ordinal} does not run`))
    return withSession(ground(world).reach(node, state), work)
  }
  return {
    async slowCalls(world) {
      const answers = await Promise.allSettled(world.nodes.map((node) => at(world, node, async ({ redis }) => (await all(redis, [['SLOWLOG', 'GET', mostCalls]]) as [SlowEntry[]])[0].map((entry) => slowCall(node, entry)))))
      if (answers.length > 0 && answers.every(({ status }) => status === 'rejected')) throw (answers[0] as PromiseRejectedResult).reason
      return answers.flatMap((answer) => answer.status === 'fulfilled' ? answer.value : [])
    },
    sessions: (world, node) => at(world, node, ({ redis }) => customers(redis)),
    hangUp: (world, node, addresses) => at(world, node, async ({ redis }) => hangUp(redis, (await customers(redis)).filter(({ addr }) => addresses === null || addresses.includes(addr!)))),
    admits: (world, password) => admits(ground(world), password),
    databases: ({ spec }) => spec.topology === 'cluster' ? 1 : 256,
    command: (world, words, database) => runCommand(ground(world), secrets, words, database),
    unsurveyable({ spec, version }, kind) {
      if (version === '3.0') return 'Redis 3.0 has no surveys; 4.0 and later have'
      return kind === 'hotkey' && !(spec.parameters['maxmemory-policy'] ?? '').endsWith('-lfu') ? 'servers count how often keys are used only with a maxmemory-policy of allkeys-lfu or volatile-lfu' : null
    },
    async survey(world, kind, how, run) {
      if (kind === 'analysis') {
        const files = run.files!
        if ('paths' in files) return { analysis: await analyse(files.paths, run.signal) }
        const [node] = world.nodes.filter(({ id }) => how.nodes?.includes(id))
        const state = world.states.find(({ id }) => id === node?.id)
        if (!node || state?.phase !== 'running') throw new Error('the node does not run')
        const path = join(files.folder, 'copy.rdb')
        await copyTo(path, ground(world).reach(node, state), run.signal, () => {})
        return { analysis: await analyse([path], run.signal) }
      }
      if (kind === 'diagnosis') return diagnose(ground(world), how)
      return kind === 'expire' ? expireKeys(ground(world), how, run) : findKeys(ground(world), kind, how, run)
    },
  }
}

type SlowEntry = [id: number, at: number, micros: number, words: string[], client?: string]

function slowCall(node: NodeRecord, [id, seconds, micros, words, client = '']: SlowEntry): SlowCall {
  return { node, id, at: seconds * 1000, micros, command: words.join(' '), client }
}
