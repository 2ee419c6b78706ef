/** Requests to one service over the wire, with a token, at a ground of its own for the tests of a file. */
import { after, before } from 'node:test'
import { ground, projectId, type Ground, type Reply } from './api-double.ts'

/** Of the project that the token is for. */
export const v2 = `/v2/${projectId}/instances`

export interface Wire {
  /** Brings it up, and tells when it is there. */
  onGround(ready: (ground: Ground) => void): void
  send(method: string, path: string, body?: unknown, more?: Record<string, string>): Promise<Reply>
}

export function wireTo(service: 'dcs' | 'dms'): Wire {
  let g: Ground
  let headers: Record<string, string>
  return {
    onGround(ready) {
      before(async () => {
        g = await ground()
        headers = { 'x-auth-token': await g.token(), 'content-type': 'application/json' }
        ready(g)
      })
      after(() => g.listening.close())
    },
    send: (method, path, body, more = {}) => g.call(service, method, path, { headers: { ...headers, ...more }, ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }) }),
  }
}
