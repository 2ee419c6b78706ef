/** The way to the API server, which can be cut, and on which answers can be replaced by those of a server that has too much to do. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { whenCut } from '../support/cut.ts'
import type { AddressInfo, Socket } from 'node:net'

export interface Way {
  /** For KUBECONFIG. */
  readonly kubeconfig: string
  /** Nobody gets through until `mend`. */
  cut(): void
  mend(): void
  /** This share of the requests that change something, and of the others, is refused: 429, 500, 409 in turn. */
  refuse(share: number): void
  readonly refused: () => number
  close(): void
}

export async function wayToCluster(): Promise<Way> {
  const proxy = spawn('kubectl', ['proxy', '--port=0'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const port = await new Promise<number>((resolve, reject) => {
    createInterface({ input: proxy.stdout }).on('line', (line) => { const match = /:(\d+)$/.exec(line); if (match) resolve(Number(match[1])) })
    proxy.once('exit', () => reject(new Error('kubectl proxy ended')))
  })
  const folder = mkdtempSync(join(tmpdir(), 'sluice-way-'))
  const sockets = new Set<Socket>()
  let [isCut, share, count] = [false, 0, 0]
  const server = createServer((incoming, answer) => {
    if (isCut) return void incoming.socket.destroy()
    const isWatch = incoming.url!.includes('watch=true')
    if (!isWatch && Math.random() < share) {
      const code = incoming.method === 'GET' ? [429, 500][count++ % 2]! : [429, 500, 409][count++ % 3]!
      answer.writeHead(code, { 'content-type': 'application/json', 'retry-after': '1' })
      return void answer.end(JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message: `refused by the test with ${code}`, code }))
    }
    const onward = request({ host: '127.0.0.1', port, method: incoming.method, path: incoming.url, headers: { ...incoming.headers, host: `127.0.0.1:${port}` } }, (back) => {
      answer.writeHead(back.statusCode!, back.headers)
      back.pipe(answer)
    })
    onward.on('error', () => answer.destroy())
    answer.on('close', () => onward.destroy())
    incoming.pipe(onward)
  })
  server.on('connection', (socket) => { sockets.add(socket); socket.on('close', () => sockets.delete(socket)) })
  await new Promise<void>((done) => { server.listen(0, '127.0.0.1', done) })
  const kubeconfig = join(folder, 'kubeconfig')
  writeFileSync(kubeconfig, JSON.stringify({
    apiVersion: 'v1', kind: 'Config', 'current-context': 'way', users: [{ name: 'nobody', user: {} }], contexts: [{ name: 'way', context: { cluster: 'way', user: 'nobody' } }],
    clusters: [{ name: 'way', cluster: { server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, 'insecure-skip-tls-verify': true } }],
  }))
  function close(): void {
    uncut()
    for (const socket of sockets) socket.destroy()
    server.close()
    proxy.kill()
    rmSync(folder, { recursive: true })
  }
  const uncut = whenCut(async () => close())
  return {
    kubeconfig,
    cut() { isCut = true; for (const socket of sockets) socket.destroy() },
    mend() { isCut = false },
    refuse(wanted) { share = wanted },
    refused: () => count,
    close,
  }
}
