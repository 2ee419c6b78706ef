// `npm start`: the server in the foreground.
import { flushCompileCache } from 'node:module'
import './compiled.js'

const { runServer } = await import('../src/serve.ts')
await runServer(process.env)
// A server that is killed later would leave nothing for the next one.
flushCompileCache()
