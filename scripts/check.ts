/** `npm run check`: types, lint, import rules, generated documents, unused exports and dependencies. Runs all of them, then says which failed. */
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const bin = (name: string): string => join(root, 'node_modules', '.bin', name)
const checks: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ['types', bin('tsc'), '--noEmit'],
  ['lint', bin('oxlint'), '--deny-warnings', 'src', 'test', 'scripts', 'bin'],
  ['import rules', process.execPath, join(root, 'scripts', 'layers.ts')],
  ['compatibility', process.execPath, join(root, 'scripts', 'compatibility.ts'), '--check'],
  ['unused exports', bin('knip'), '--no-progress'],
]
const failed = checks.filter(([name, command, ...args]) => {
  console.log(`— ${name}`)
  return spawnSync(command, args, { cwd: root, stdio: 'inherit' }).status !== 0
}).map(([name]) => name)
console.log(failed.length === 0 ? 'check: all green' : `check: failed: ${failed.join(', ')}`)
process.exitCode = failed.length === 0 ? 0 : 1
