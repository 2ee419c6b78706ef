/**
 * The import rules: core ← store, operations, engines, runtimes ← control-plane ← api ← registry ← main.
 * A row says what a place may import besides itself and node's own modules; what is not listed is refused.
 */
import { globSync, readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'

/** First row whose prefix fits decides. */
const rows: readonly { readonly place: string; readonly may: readonly string[] }[] = [
  { place: 'src/core/', may: [] },
  { place: 'src/config-kubernetes.ts', may: [] },
  { place: 'src/config.ts', may: ['src/config-kubernetes.ts'] },
  { place: 'src/kept.ts', may: [] },
  { place: 'src/home.ts', may: ['src/config.ts', 'src/kept.ts'] },
  { place: 'src/secrets.ts', may: ['src/kept.ts'] },
  { place: 'src/store/', may: ['src/core/'] },
  { place: 'src/engines/redis/', may: ['src/core/', 'src/config.ts'] },
  { place: 'src/engines/kafka/', may: ['src/core/', 'src/config.ts'] },
  { place: 'src/runtimes/process/', may: ['src/core/', 'src/config.ts'] },
  { place: 'src/runtimes/kubernetes/', may: ['src/core/', 'src/config-kubernetes.ts'] },
  { place: 'src/operations/', may: ['src/core/', 'src/store/'] },
  { place: 'src/certificates.ts', may: [] },
  { place: 'src/authority.ts', may: ['src/core/', 'src/store/', 'src/certificates.ts'] },
  { place: 'src/control-plane/', may: ['src/core/', 'src/store/', 'src/operations/', 'src/authority.ts'] },
  { place: 'src/vault.ts', may: ['src/core/'] },
  { place: 'src/api/dcs/', may: ['src/core/', 'src/config.ts', 'src/api/'] },
  { place: 'src/api/dms/', may: ['src/core/', 'src/config.ts', 'src/api/'] },
  { place: 'src/api/', may: ['src/core/', 'src/config.ts', 'src/api/'] },
  { place: 'src/cli/', may: ['src/config.ts', 'src/home.ts', 'src/serve.ts', 'src/state/'] },
  { place: 'src/', may: ['src/'] },
]
/** Dialects do not know each other. */
const apart: readonly (readonly [string, string])[] = [['src/api/dcs/', 'src/api/dms/'], ['src/api/dms/', 'src/api/dcs/']]

const root = resolve(import.meta.dirname, '..')
const broken: string[] = []
for (const file of globSync('src/**/*.ts', { cwd: root })) {
  const row = rows.find((r) => file.startsWith(r.place))!
  for (const [, target] of readFileSync(resolve(root, file), 'utf8').matchAll(/(?:from|import\() ?'(\.[^']+)'/g)) {
    const to = relative(root, resolve(root, dirname(file), target!))
    const allowed = to.startsWith(row.place) || row.may.some((place) => to.startsWith(place))
    const kept = apart.some(([from, other]) => file.startsWith(from) && to.startsWith(other))
    if (!allowed || kept) broken.push(`${file} may not import ${to}`)
  }
}
for (const line of broken) console.error(line)
if (broken.length === 0) console.log('import rules hold')
process.exitCode = broken.length === 0 ? 0 : 1
