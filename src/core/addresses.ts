/** Where the nodes of a runtime may listen. */

import type { Listening } from './instance.ts'

/** An empty address: the runtime finds it one when the node is provided for. */
export interface Place { readonly address: string; readonly ports: Readonly<Record<string, number>>; readonly listen?: Listening }

export interface Addresses {
  /**
   * A free place for one more node; `taken` are the "address:port" pairs in use. `wanted` is the service port a
   * customer asked for, which only nodes with an own address can have, `at` the address. A sentence when there is no room.
   */
  place(ports: Readonly<Record<string, number>>, wanted: number | null, taken: ReadonlySet<string>, at?: string): Promise<Place | string>
  /** Why nodes at this address cannot have this service port, by "address:port" pairs in use; null: they can. */
  admits(address: string, port: number, taken: ReadonlySet<string>): Promise<string | null>
  /** The network that addresses come from, `127.70.1.0/24`, where it is known. */
  network?(): Promise<string>
  close(): void
}
