/** A command in a pod, by a websocket, with what it reads: no more of that at a time than the way there takes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { away } from '../../core/away.ts'
import type * as Client from '@kubernetes/client-node'

type Socket = Awaited<ReturnType<Client.Exec['exec']>>
type Open = (stderr: Writable, stdin: Readable | null, ended: (status: Client.V1Status) => void) => Promise<Socket>

/** Of the protocol: what goes to the command's standard input. */
const stdinChannel = Buffer.from([0])
const onTheWay = 4 * 2 ** 20
const lookAgainMs = 5
/** A command without input is a matter of milliseconds; one with input goes on for as long as something moves, and a disk is slow at the end. */
const silentForMs = { without: 30_000, with: 300_000 }
const lastWords = 500

/** Null when it succeeded, otherwise what it said. Throws `away` when the way there breaks. */
export async function runIn(open: Open, input?: AsyncIterable<Buffer>): Promise<string | null> {
  let said = ''
  const stderr = new PassThrough()
  stderr.on('data', (chunk) => { said = (said + String(chunk)).slice(-lastWords) })
  const { promise: over, resolve, reject } = Promise.withResolvers<string | null>()
  // Whoever opens it hears of it at once.
  over.catch(() => {})
  const silent = { since: Date.now() }
  const mostMs = input ? silentForMs.with : silentForMs.without
  const watch = setInterval(() => { if (Date.now() - silent.since > mostMs) reject(away('a command in a pod does not go on', null)) }, silentForMs.without / 10)
  let socket: Socket | null = null
  try {
    // Its input is never written to: what the client would send of it nobody holds back.
    const opening = open(stderr, input ? new PassThrough() : null, ({ status, message }) => resolve(status === 'Success' ? null : said.trim() || message || 'it failed')).then((late) => {
      socket = late
      late.addEventListener('close', () => reject(away('the connection to a command in a pod broke', null)))
      return late
    }, (error: Error) => { throw away(`Kubernetes runs no command in the pod: ${error.message}`, error) })
    opening.catch(() => {})
    await Promise.race([over, opening])
    if (input) await Promise.race([over, opening.then((socket) => feed(socket, input, silent))])
    return await over
  } finally {
    clearInterval(watch)
    ;(socket as Socket | null)?.close()
  }
}

async function feed(socket: Socket, input: AsyncIterable<Buffer>, silent: { since: number }): Promise<void> {
  for await (const chunk of input) {
    if (socket.readyState !== socket.OPEN) return
    socket.send(Buffer.concat([stdinChannel, chunk]))
    for (let left = socket.bufferedAmount; left > onTheWay && socket.readyState === socket.OPEN; await sleep(lookAgainMs)) {
      if (socket.bufferedAmount < left) silent.since = Date.now()
      left = socket.bufferedAmount
    }
    silent.since = Date.now()
  }
}
