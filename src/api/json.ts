/** Reads a request's body. Strict in form, so that what the checks see is what the caller sent. */

export type Body = Readonly<Record<string, unknown>>

/** The object in the body; `empty` without a body, `type` for another content type or charset, `bad` for bad UTF-8, no JSON, no object. */
export function readJson(body: Buffer, contentType: string | undefined): Body | 'empty' | 'type' | 'bad' {
  if (body.length === 0) return 'empty'
  if (contentType !== undefined && !isJson(contentType)) return 'type'
  let value: unknown
  try { value = JSON.parse(utf8.decode(body)) } catch { return 'bad' }
  return isObject(value) ? value : 'bad'
}

/** `application/json`, with UTF-8 or no charset. */
export function isJson(contentType: string): boolean {
  return /^\s*application\/json\s*(;\s*(charset\s*=\s*"?utf-?8"?)?\s*)?$/i.test(contentType)
}

/** A plain object, and neither null nor an array. */
export function isObject(value: unknown): value is Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Absent in the way clients leave things out: not there, null or an empty text. */
export function isAbsent(value: unknown): value is undefined | null | '' {
  return value === undefined || value === null || value === ''
}

/** A text without lone surrogates, at most so long. */
export function isText(value: unknown, max: number): value is string {
  return typeof value === 'string' && value.length <= max && value.isWellFormed()
}

/** A whole number in range; else null. */
export function wholeNumber(value: unknown, min: number, max: number): number | null {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max ? value : null
}

/** The same from its decimal text, as queries and some clients have it. */
export function numberIn(value: unknown, min: number, max: number): number | null {
  return wholeNumber(typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value, min, max)
}

/** A UUID in any case; null when it is none, otherwise in lower case. */
export function uuid(value: unknown): string | null {
  return typeof value === 'string' && /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(value) ? value.toLowerCase() : null
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
