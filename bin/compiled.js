// What was compiled once is not compiled again, and types that were taken out are out: half the time to be ready, and less
// memory, which every launch of a node copies the tables of. JavaScript, and before everything else: one TypeScript file read
// without this loads what takes types out. In the user's own folder, not the system's temporary one, for code is run from it.
import { enableCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

const data = process.platform === 'darwin' ? join(homedir(), 'Library', 'Application Support') : process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share')
const folder = join(data, 'sluice', 'compiled')
enableCompileCache(folder)
// For the guard, which has no such file before it.
process.env['NODE_COMPILE_CACHE'] ??= folder
