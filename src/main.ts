/** `npm start`: the server in the foreground. */
import { enableCompileCache, flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { dataFolder } from './config.ts'

// What was compiled once is not compiled again: half the time to be ready, and less memory, which every launch of a node
// copies the tables of. In the user's own folder, not the system's temporary one, for code is run from it.
enableCompileCache(join(dataFolder(), 'compiled'))
const { runServer } = await import('./serve.ts')
await runServer(process.env)
// A server that is killed later would leave nothing for the next one.
flushCompileCache()
