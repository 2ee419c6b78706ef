/** Starts servers through one helper process, `spawner.pl`; see there for why, and for what a started process does first. */
import { spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface Launch {
  readonly directory: string
  readonly generation: number
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

export interface Started {
  readonly pid: number
  /** Resolves when the process has become its server, or ended before that. */
  readonly begun: Promise<void>
  /** Resolves with the exit code; null after a signal, or when the helper is gone and nobody will ever know. */
  readonly ended: Promise<number | null>
}

/** What the helper does when this process is gone: it looks after the nodes of a home. */
export interface Guard { readonly home: string; /** Run when a guarded node is found dead, in this process's environment. */ readonly command: readonly string[] }

export interface Spawner {
  /** Resolves as soon as the process has a number. Throws a sentence when none can be made. */
  launch(launch: Launch): Promise<Started>
}

interface Helper {
  ask(launch: Launch): Promise<Started>
  gone: boolean
}

const program = fileURLToPath(new URL('spawner.pl', import.meta.url))

/** The helper starts with the first launch, again if somebody killed it, and ends when this process does. */
export function spawner(guard?: Guard): Spawner {
  let helper: Helper | undefined
  return {
    launch(launch) {
      if (!helper || helper.gone) helper = startHelper(guard)
      return helper.ask(launch)
    },
  }
}

function startHelper(guard?: Guard): Helper {
  const child = spawn('perl', [program, ...guard ? [guard.home, ...guard.command] : []], { cwd: '/', detached: true, stdio: ['pipe', 'pipe', 'inherit'], env: guard ? process.env : { PATH: process.env['PATH'] } })
  const [input, output] = [child.stdin as Socket, child.stdout as Socket]
  const asked = new Map<string, PromiseWithResolvers<Started>>()
  const processes = new Map<string, { readonly begun: PromiseWithResolvers<void>; readonly ended: PromiseWithResolvers<number | null> }>()
  let requests = 0
  const helper: Helper = {
    gone: false,
    ask(launch) {
      const key = String(requests++)
      const answer = Promise.withResolvers<Started>()
      asked.set(key, answer)
      output.ref()
      input.write(request(key, launch))
      return answer.promise
    },
  }
  const answered: Readonly<Record<string, (...words: string[]) => void>> = {
    pid(key, number) {
      const [begun, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<number | null>()]
      processes.set(number!, { begun, ended })
      asked.get(key!)?.resolve({ pid: Number(number), begun: begun.promise, ended: ended.promise })
      asked.delete(key!)
    },
    failed(key) {
      asked.get(key!)?.reject(new Error('the machine has no room for another process'))
      asked.delete(key!)
    },
    begun(number) { processes.get(number!)?.begun.resolve() },
    ended(number, code) {
      processes.get(number!)?.ended.resolve(code === '-' ? null : Number(code))
      processes.delete(number!)
    },
  }
  createInterface({ input: output }).on('line', (line) => {
    const [what, ...words] = line.split(' ')
    answered[what!]?.(...words)
    // What nobody waits for must not keep this process from ending.
    if (asked.size === 0) output.unref()
  })
  function lost(reason: string): void {
    if (helper.gone) return
    helper.gone = true
    for (const answer of asked.values()) answer.reject(new Error(reason))
    for (const { begun, ended } of processes.values()) { begun.resolve(); ended.resolve(null) }
  }
  child.once('error', (error) => lost(`perl, which starts the servers of nodes, cannot be run (${error.message}): install it with this machine's package manager`))
  child.once('close', () => lost('the process that starts servers was ended by somebody'))
  input.on('error', () => {})
  child.unref()
  input.unref()
  return helper
}

function request(key: string, { directory, generation, command, env }: Launch): Buffer {
  const words = [key, directory, String(generation), String(command.length), ...command, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)]
  const payload = Buffer.from(words.join('\0'))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(payload.length)
  return Buffer.concat([length, payload])
}
