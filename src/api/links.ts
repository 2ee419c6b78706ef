/** Links that anybody may follow for a while: path and end of time, signed. */
import { createHmac } from 'node:crypto'
import { sameText } from './tokens.ts'

export interface Links {
  /** A whole URL of this listener for a path without a query; `until`: epoch ms. */
  link(path: string, until: number): string
  /** Whether a call follows a link of ours whose time is not over. */
  check(path: string, query: URLSearchParams): boolean
}

/** `base`: of the listener, without a slash at its end. */
export function signedLinks(base: string, key: Buffer, now: () => number): Links {
  const sign = (path: string, until: string): string => createHmac('sha256', key).update(`${until} ${path}`).digest('base64url')
  return {
    link(path, until) { return `${base}${path}?expires=${until}&signature=${sign(path, String(until))}` },
    check(path, query) {
      const [until, signature] = [query.get('expires') ?? '', query.get('signature') ?? '']
      return /^\d{1,15}$/.test(until) && sameText(signature, sign(path, until)) && Number(until) > now()
    },
  }
}
