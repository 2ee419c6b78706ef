// `npm start`: the server in the foreground.
import { flushCompileCache } from 'node:module'

/**
 * Garbage is collected often and by the one thread. By default V8 waits until there is much, and then four threads look
 * through it for 5 to 10 ms beside the main one; on a small machine clients of a Redis waited for a processor as long, which
 * was longer than any handover (docs/decisions/0025-garbage-in-small-steps.md). Only a command line takes
 * this, so the process begins anew as itself: with the same id, and 25 ms later. Unless whoever started it holds a channel
 * to it, which would end.
 */
const inSmallSteps = ['--single-threaded-gc', '--max-semi-space-size=2']
if (process.execve && !process.connected && !process.execArgv.includes(inSmallSteps[0])) {
  process.execve(process.execPath, [process.execPath, ...inSmallSteps, ...process.execArgv, ...process.argv.slice(1)], process.env)
}

await import('./compiled.js')
const { runServer } = await import('../src/serve.ts')
await runServer(process.env)
// A server that is killed later would leave nothing for the next one.
flushCompileCache()
