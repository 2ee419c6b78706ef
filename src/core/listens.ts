/** Whether anybody listens on an address: cheaper than a client while a server is starting and this is asked every few milliseconds. */
import { connect } from 'node:net'

/** `from`: the address that is asked from; absent: any. */
export function listens(host: string, port: number, from?: string): Promise<boolean> {
  return new Promise((resolve) => {
    // A listener of this machine or its network answers at once; one that is cut off never does.
    const socket = connect({ host, port, timeout: 1000, ...from === undefined ? {} : { localAddress: from } })
    const settle = (answer: boolean) => (): void => { socket.destroy(); resolve(answer) }
    socket.on('connect', settle(true)).on('error', settle(false)).on('timeout', settle(false))
  })
}
