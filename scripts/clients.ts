/**
 * The clouds' own clients, for tests: Python packages with pinned versions, each set in a virtual environment of its own
 * beside the engines, installed once.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { readConfig } from '../src/config.ts'

const sets = {
  huawei: ['huaweicloudsdkcore==3.1.219', 'huaweicloudsdkdcs==3.1.219'],
  openstack: ['python-openstackclient==10.5.0', 'openstacksdk==4.22.0', 'otcextensions==0.34.8', 'keystoneauth1==5.18.1'],
} as const

/** The python that has these packages; installs them when they are missing. Throws a sentence when that cannot be. */
export function pythonWith(set: keyof typeof sets, log: (line: string) => void = () => {}): string {
  const folder = join(readConfig(process.env).programs.engineFolder, '..', 'clients')
  const home = join(folder, `${set}-${sets[set].map((name) => name.split('==')[1]).join('-')}`)
  const python = join(home, 'bin', 'python')
  if (existsSync(python)) return python
  log(`installing ${sets[set].join(', ')} with pip into ${home}: the tests run the clouds' own clients`)
  mkdirSync(folder, { recursive: true })
  const work = mkdtempSync(join(folder, 'installing-'))
  try {
    run('python3', ['-m', 'venv', work], 'python3 cannot make a virtual environment: install python3 and python3-venv')
    run(join(work, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...sets[set]], 'pip could not install them: see its words above')
    // Whole or not at all; its python finds its packages wherever it stands.
    try { renameSync(work, home) } catch (error) {
      if (!existsSync(python)) throw error
    }
  } finally { rmSync(work, { recursive: true, force: true }) }
  return python
}

function run(command: string, args: readonly string[], sentence: string): void {
  const done = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  if (done.status !== 0) throw new Error(sentence)
}

if (import.meta.main) for (const set of Object.keys(sets) as (keyof typeof sets)[]) console.log(`${set}: ${pythonWith(set, (line) => console.log(line))}`)
