/** Every database that the store runs on; each store and worker test runs once for each. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase, type Database } from '../../src/store/database.ts'
import { freshDatabase } from './postgres.ts'

export interface TestDatabase { readonly db: Database; close(): Promise<void> }

export const databases: readonly { readonly name: string; open(): Promise<TestDatabase> }[] = [
  {
    name: 'SQLite',
    async open() {
      const home = mkdtempSync(join(tmpdir(), 'sluice-store-'))
      const db = await openDatabase({ home, databaseUrl: null })
      return { db, async close() { await db.destroy(); rmSync(home, { recursive: true }) } }
    },
  },
  {
    name: 'PostgreSQL',
    async open() {
      const { url, drop } = await freshDatabase()
      const db = await openDatabase({ home: '', databaseUrl: url })
      return { db, async close() { await db.destroy(); await drop() } }
    },
  },
]
