/** Which Redis runs behind the version that a customer asked for. */

/** What DCS offers. Each is served by the installed release, which must not be older. */
const offered = ['3.0', '4.0', '5.0', '6.0', '7.0'] as const

/**
 * The installed version when it can stand in for the asked one: the same, or the nearest newer one. Valkey counts with
 * the Redis it is compatible with, 7.2. Otherwise null.
 */
export function runnable(asked: string, installed: string): string | null {
  if (!(offered as readonly string[]).includes(asked)) return null
  const [askedMajor, askedMinor] = asked.split('.').map(Number) as [number, number]
  // An image may be tagged with its major version alone: the newest of that.
  const [major, minor = Infinity] = installed.split('.').map(Number) as [number, number?]
  return major > askedMajor || (major === askedMajor && minor >= askedMinor) ? installed : null
}
