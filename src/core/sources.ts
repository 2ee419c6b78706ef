/** Where connections to an instance may come from, and where those of its own nodes and of the control plane do. Pure. */
import type { NodeRecord } from './instance.ts'

/** IPv4 addresses as numbers, both ends included. */
export type Range = readonly [first: number, last: number]

/** `10.0.0.1`, `10.0.0.0/24` and `10.0.0.1-10.0.0.9` as ranges that are sorted and do not touch. The host's part of a CIDR does not count. */
export function rangesOf(sources: readonly string[]): Range[] {
  const merged: [number, number][] = []
  for (const [first, last] of sources.map(rangeOf).toSorted((a, b) => a[0] - b[0])) {
    const before = merged.at(-1)
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last)
    else merged.push([first, last])
  }
  return merged
}

function rangeOf(source: string): Range {
  const [first, last] = source.split('-') as [string, string?]
  if (last !== undefined) return [numberOf(first), numberOf(last)]
  const [address, bits] = source.split('/') as [string, string?]
  const size = 2 ** (32 - Number(bits ?? 32))
  const start = Math.floor(numberOf(address) / size) * size
  return [start, start + size - 1]
}

/** An address as a number; NaN for what is none. */
export function numberOf(address: string): number { return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) }

export function addressOf(number: number): string { return [24, 16, 8, 0].map((bits) => Math.floor(number / 2 ** bits) % 256).join('.') }

/** Whether several nodes have one address, which then is the whole machine's: what comes from there may be anybody of it. */
export function shareAddress(nodes: readonly Pick<NodeRecord, 'address'>[]): boolean {
  return new Set(nodes.map(({ address }) => address)).size < nodes.length
}
