/** The blocks of own addresses that a host holds, in its settings. */
import { inTurn, transact, type Database } from './database.ts'
import { readSetting, writeSetting } from './settings.ts'

/** The setting of a host. */
export const nameOf = (host: string): string => `address blocks ${host}`

/** Databases of one host had them under a name without it. */
export const formerName = 'address blocks'

export async function blocksOf(db: Database, host: string): Promise<readonly string[]> {
  return readSetting(db, nameOf(host), await readSetting<readonly string[]>(db, formerName, []))
}

/** Adds blocks to what the host holds: other control planes of it add theirs. */
export async function addBlocks(db: Database, host: string, blocks: readonly string[]): Promise<void> {
  await transact(db, async (tx) => {
    await inTurn(tx, 'blocks')
    const held = await readSetting<readonly string[]>(tx, nameOf(host), await readSetting<readonly string[]>(tx, formerName, []))
    await writeSetting(tx, nameOf(host), [...new Set([...held, ...blocks])])
  })
}

/** The host holds none any more. */
export async function dropBlocks(db: Database, host: string): Promise<void> { await writeSetting(db, nameOf(host), []) }
