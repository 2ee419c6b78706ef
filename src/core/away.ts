/** What cannot be asked now and can be asked again later: a cluster. Told apart from faults, which are mistakes of somebody. */

const mark = Symbol('away')

/** An error that says so. */
export function away(reason: string, cause: unknown): Error { return Object.assign(new Error(reason, { cause }), { [mark]: true }) }

export function isAway(error: unknown): boolean { return typeof error === 'object' && error !== null && mark in error }
