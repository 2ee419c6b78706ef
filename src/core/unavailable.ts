/** What cannot be asked now and can be asked again later: the database. Told apart from faults, which are mistakes of ours. */

const mark = Symbol('unavailable')

/** An error that says so; `reason` never holds an address with a password in it. */
export function unavailable(reason: string, cause: unknown): Error {
  return Object.assign(new Error(`the database does not answer: ${reason}`, { cause }), { [mark]: true })
}

export function isUnavailable(error: unknown): boolean { return typeof error === 'object' && error !== null && mark in error }
