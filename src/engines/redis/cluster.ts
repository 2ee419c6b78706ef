/** A Redis Cluster. */
import { single } from './single.ts'
import type { Topology } from './topology.ts'

export const cluster: Topology = single
