/** `npm start`: the server in the foreground. */
import { runServer } from './serve.ts'

await runServer(process.env)
