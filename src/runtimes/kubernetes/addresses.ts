/** Nodes of a cluster listen everywhere in their pod, and get the address that others reach them at when they are provided for. */
import type { Addresses } from '../../core/addresses.ts'

export const clusterAddresses: Addresses = {
  async place(standard, wanted, _taken, at) {
    if (at !== undefined) return 'the cluster gives out addresses'
    const ports = wanted === null ? standard : { ...standard, service: wanted }
    return { address: '', ports, listen: { address: '0.0.0.0', ports } }
  },
  async admits() { return null },
  close() {},
}
