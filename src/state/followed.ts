/** What nodes have done since a state was saved, by their own files. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { everyInstance, nodesOf, setGrants } from '../store/instances.ts'
import { dataFolder } from '../engines/redis/data-folder.ts'
import { grantsOn } from '../engines/redis/backup.ts'
import { turningTls } from '../core/instance.ts'
import type { Tx } from '../store/database.ts'

/**
 * Data that was restored into an instance since then stands in another folder than that state knows, and what it knows is
 * gone: a node that started there would be empty. So each instance keeps the folder that its nodes were started with last.
 * And one that was turned to TLS since then, or back, is reached in either way until somebody restarts or turns it.
 */
export async function followData(tx: Tx, home: string): Promise<void> {
  const instances = (await everyInstance(tx)).filter(({ engine, runtime }) => engine === 'redis' && runtime === 'process')
  const nodes = await nodesOf(tx, instances.map(({ id }) => id))
  for (const instance of instances) {
    const files = (nodes.get(instance.id) ?? []).map(({ id }) => join(home, 'nodes', id, 'redis.conf')).filter((path) => existsSync(path))
    const last = files.toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0]
    if (last === undefined) continue
    const text = readFileSync(last, 'utf8')
    const folder = /^dir (\S+)$/m.exec(text)?.[1]
    const followed = folder !== undefined && folder !== dataFolder(instance) ? grantsOn(instance.grants, folder) : instance.grants
    const grants = /^tls-port /m.test(text) === Boolean(instance.spec.tls) ? followed : { ...followed, [turningTls]: 'yes' }
    if (grants !== instance.grants) await setGrants(tx, instance.id, grants)
  }
}
