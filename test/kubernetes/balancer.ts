/** Does what a cloud does for Services of the type LoadBalancer: each gets an address, here of this machine, which is one of the cluster's. */
import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { whenCut } from '../support/cut.ts'
import type { TestCluster } from './cluster.ts'

/** For documents and tests (RFC 5737), so that nobody is there; on the loopback interface, so that nothing leaves this machine. */
const addressOf = (n: number): string => `198.51.100.${n}`
/** As clouds do, it takes its time: longer than a step that fails is tried again. */
const lookEveryMs = 3000

export interface Balancer {
  /** What was given away so far. */
  readonly addresses: readonly string[]
  end(): Promise<void>
}

/** Needs root, for the addresses. */
export function startBalancer({ kubectl }: TestCluster): Balancer {
  const addresses: string[] = []
  let ended = false
  async function give(): Promise<void> {
    const { items } = JSON.parse(await kubectl('get', 'services', '-o', 'json'))
    for (const { metadata, spec, status } of items) {
      if (spec.type !== 'LoadBalancer' || status.loadBalancer?.ingress) continue
      const address = addressOf(addresses.length + 1)
      execFileSync('ip', ['address', 'replace', `${address}/32`, 'dev', 'lo'])
      addresses.push(address)
      // One that has been removed meanwhile needs none.
      await kubectl('patch', 'service', metadata.name, '--subresource=status', '--type=merge', '-p', JSON.stringify({ status: { loadBalancer: { ingress: [{ ip: address }] } } })).catch(() => {})
    }
  }
  const working = (async () => {
    for (; !ended; await sleep(lookEveryMs)) await give()
  })()
  async function end(): Promise<void> {
    uncut()
    ended = true
    try { await working } finally {
      for (const address of addresses) execFileSync('ip', ['address', 'delete', `${address}/32`, 'dev', 'lo'])
    }
  }
  const uncut = whenCut(end)
  return { addresses, end }
}
