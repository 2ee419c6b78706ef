/** How long a node that died waits for its next start, on a real Redis server. */
import { join } from 'node:path'
import { test } from 'node:test'
import Sqlite from 'better-sqlite3'
import { ask } from './support/postgres.ts'
import { makeServer, nodePid, starts, until } from './support/server.ts'

test('a node that was well for a minute starts with a clean record, although its control plane was restarted meanwhile', async () => {
  const server = await makeServer()
  try {
    await server.start()
    const id = await server.createRedis('steady')
    await server.running('dcs', id)
    await server.end('SIGKILL')
    const [url, change] = [server.env['SLUICE_DATABASE_URL'], 'update instances set crashes = 6, updated_at = updated_at - 61000']
    if (url) await ask(url, change)
    else {
      const db = new Sqlite(join(server.home, 'sluice.db'))
      db.prepare(change).run()
      db.close()
    }
    await server.start()
    process.kill(nodePid(server.home, id), 'SIGKILL')
    await until('it to be started again at once, not after the minute of a seventh crash', async () => starts(server.home, id) === 2 && await server.status('dcs', id) === 'RUNNING', 5000)
  } finally { await server.destroy() }
})
