/** A test file that is told to end leaves no more behind than one that comes to its end: node's runner passes on what it is told. */
const endings = new Set<() => Promise<unknown>>()
let heard = false

/** `ending` is run when this process is told to end; the answer forgets it. The bench, which is no test, has its own way. */
export function whenCut(ending: () => Promise<unknown>): () => void {
  if (process.env['NODE_TEST_CONTEXT']) heedSignals()
  endings.add(ending)
  return () => { endings.delete(ending) }
}

/** For what is no test, as the sweep. */
export function heedSignals(): void {
  if (!heard) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end)
  heard = true
}

function end(): void { void Promise.allSettled([...endings].map((ending) => ending())).then(() => process.exit(1)) }
