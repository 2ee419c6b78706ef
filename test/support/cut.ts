/** A test file that is told to end leaves no more behind than one that comes to its end: node's runner passes on what it is told. */
const endings = new Set<() => Promise<unknown>>()
let heard = false

/** `ending` is run when this process is told to end; the answer forgets it. The bench, which is no test, has its own way. */
export function whenCut(ending: () => Promise<unknown>): () => void {
  if (!heard && process.env['NODE_TEST_CONTEXT']) for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, end)
  heard = true
  endings.add(ending)
  return () => { endings.delete(ending) }
}

function end(): void { void Promise.allSettled([...endings].map((ending) => ending())).then(() => process.exit(1)) }
