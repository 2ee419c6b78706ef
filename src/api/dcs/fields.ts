/** Single fields of DCS requests that have rules of their own. Each gives the value, or why it is refused. */
import { isAbsent, isObject, isText, type Body } from '../json.ts'
import { refused, type Refused } from './errors.ts'
import type { Tag } from '../../core/instance.ts'

/** Null: the customer asked for password-free access. */
export function password(body: Body): string | null | Refused {
  const free = body['no_password_access']
  if (!isAbsent(free) && ![true, false, 'true', 'false'].includes(free as boolean)) return refused('DCS.4843')
  const given = body['password']
  if (free === true || free === 'true') return isAbsent(given) ? null : refused('DCS.4843')
  if (isAbsent(given) || typeof given !== 'string') return refused('DCS.4845')
  return isStrong(given) ? given : refused('DCS.4019')
}

/** 8 to 32 characters of three classes out of four: lower case, upper case, digits, specials. */
export function isStrong(text: string): boolean {
  if (!/^[A-Za-z0-9`~!@#$^&*()\-_=+\\|{},<.>/?:'"]{8,32}$/.test(text)) return false
  return [/[a-z]/, /[A-Z]/, /[0-9]/, /[^A-Za-z0-9]/].filter((kind) => kind.test(text)).length >= 3
}

export interface Window { readonly begin: string; readonly end: string }

/** Whole hours in UTC, one hour apart as OTC documents them, or four as Huawei and v1.0 do. */
export function maintainWindow(body: Body, usual: Window): Window | Refused {
  const [begin, end] = [body['maintain_begin'], body['maintain_end']]
  if (isAbsent(begin) && isAbsent(end)) return usual
  const [from, to] = [hour(begin), hour(end)]
  if (from === null || to === null || ![1, 4].includes((to - from + 24) % 24)) return refused('DCS.4106')
  return { begin: begin as string, end: end as string }
}

function hour(value: unknown): number | null {
  return typeof value === 'string' && /^([01]\d|2[0-3]):00:00$/.test(value) ? Number(value.slice(0, 2)) : null
}

/** At most 20, no key twice. */
export function readTags(value: unknown): readonly Tag[] | Refused {
  if (isAbsent(value)) return []
  const wrong = refused('DCS.4062', 'tags')
  if (!Array.isArray(value) || value.length > 20) return wrong
  const tags: Tag[] = []
  for (const tag of value) {
    const key = isObject(tag) ? tag['key'] : undefined
    const text = isObject(tag) ? tag['value'] ?? '' : undefined
    if (!isText(key, 128) || !isText(text, 255) || !/^[\p{L}\p{N} _.:=+\-@]+$/u.test(key) || !/^[\p{L}\p{N} _.:=+\-@/]*$/u.test(text)) return wrong
    if (key !== key.trim() || text !== text.trim() || key.startsWith('_sys_') || tags.some((other) => other.key === key)) return wrong
    tags.push({ key, value: text })
  }
  return tags
}

const renamable: readonly string[] = ['command', 'keys', 'flushdb', 'flushall', 'scan', 'hscan', 'sscan', 'zscan', 'hgetall']

/** Old name to new name; no two commands under one name. */
export function renamedCommands(value: unknown): Readonly<Record<string, string>> | Refused {
  if (isAbsent(value)) return {}
  const wrong = refused('DCS.4062', 'rename_commands')
  if (!isObject(value)) return wrong
  const renamed: Record<string, string> = {}
  for (const [name, to] of Object.entries(value)) {
    const from = name.toLowerCase()
    // Clients send every command, those they leave alone with an empty text or their own name.
    if (!renamable.includes(from)) return wrong
    if (isAbsent(to) || to === from) continue
    if (typeof to !== 'string' || !/^[A-Za-z][A-Za-z0-9_-]{3,63}$/.test(to)) return wrong
    renamed[from] = to
  }
  const targets = Object.values(renamed).map((to) => to.toLowerCase())
  return new Set(targets).size === targets.length && !targets.some((to) => renamable.includes(to)) ? renamed : wrong
}

const settable: Readonly<Record<string, readonly string[]>> = { appendonly: ['yes', 'no'], appendfsync: ['no', 'always', 'everysec'] }

/**
 * An extension of ours, in the form of PUT …/configs: `redis_config: [{param_name, param_value}]`. It is how a customer
 * says `appendonly=no`, and gets the cloud's loss of data at every restart.
 */
export function parameters(value: unknown): Readonly<Record<string, string>> | Refused {
  const chosen: Record<string, string> = { appendonly: 'yes' }
  if (isAbsent(value)) return chosen
  if (!Array.isArray(value) || value.length > 100) return refused('DCS.4062', 'redis_config')
  for (const item of value) {
    const name = isObject(item) ? item['param_name'] : undefined
    const wanted = isObject(item) ? item['param_value'] : undefined
    if (typeof name !== 'string' || !Object.hasOwn(settable, name) || !settable[name]!.includes(wanted as string)) return refused('DCS.4066', isText(name, 64) ? name : 'redis_config')
    chosen[name] = wanted as string
  }
  return chosen
}
