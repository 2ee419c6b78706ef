/** A machine that has just been installed, for a test to administrate: systemd as process 1 on a copy of this machine's files, with a network of its own. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readlinkSync } from 'node:fs'
import { promisify } from 'node:util'
import { Fatal, root, until } from './server.ts'

export interface Machine {
  /** Runs a command as root of that machine and answers what it said; throws with its complaint. */
  run(command: string, ...words: string[]): Promise<string>
  /** A command as root of that machine, which is to end when its input does. */
  open(command: string, ...words: string[]): ReturnType<typeof spawn>
  /** Resolves when it has shut down and come up again. */
  reboot(): Promise<void>
  destroy(): Promise<void>
}

/** All of it is in namespaces that end with the test: its processes, and what it wrote. No service of this machine's starts in it. */
const boot = `set -e
work=/run
mount -t tmpfs tmpfs $work
mkdir $work/changes $work/work $work/root
mount -t overlay overlay -o lowerdir=/,upperdir=$work/changes,workdir=$work/work $work/root
rm -rf $work/root/etc/systemd/system/*.wants
while true; do
  status=0
  systemd-nspawn --quiet --directory=$work/root --boot --private-network --register=no --keep-unit --link-journal=no --console=pipe --bind-ro="$1:/opt/sluice" || status=$?
  # It is to be booted again.
  [ $status = 133 ] || exit $status
done`

/** Needs root. This checkout is its /opt/sluice. */
export async function startMachine(): Promise<Machine> {
  let said = ''
  const machine = spawn('setpriv', ['--pdeathsig', 'KILL', 'unshare', '--mount', '--pid', '--mount-proc', '--fork', '--kill-child', 'sh', '-c', boot, 'sh', root], { stdio: ['ignore', 'pipe', 'pipe'] })
  machine.on('error', (error) => { said += error.message })
  for (const stream of [machine.stdout, machine.stderr]) stream.on('data', (data) => { said += data })
  const childOf = (pid: number | string): string => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')[0]!
  const namespace = (pid: number | string): string => readlinkSync(`/proc/${pid}/ns/pid`)
  /** Process 1 of the machine, as this one sees it; throws while there is none. What is meant for that machine must not reach this one. */
  function first(): string {
    const nspawn = childOf(childOf(machine.pid!))
    const pid = childOf(nspawn)
    if (namespace(pid) === namespace(nspawn)) throw new Error('the machine is not there')
    return pid
  }
  const inside = (words: readonly string[]): string[] => ['-t', first(), '-a', '--', ...words]
  const options = { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } }

  async function run(...words: string[]): Promise<string> {
    return (await promisify(execFile)('nsenter', inside(words), options)).stdout.trim()
  }
  /** Processes have other numbers after a boot, and it has one process 1 at a time. */
  async function up(notThis = ''): Promise<void> {
    await until('the machine to come up', async () => {
      if (machine.exitCode !== null) throw new Fatal(`no machine could be started: ${said}`)
      return first() !== notThis && /running|degraded/.test(await run('systemctl', 'is-system-running', '--wait').catch((error) => error.stdout))
    // Systemd itself gives what has to end this long.
    }, 90_000, 50)
  }
  await up()
  return {
    run,
    open: (...words) => spawn('nsenter', inside(words), options),
    async reboot() {
      const before = first()
      await run('systemctl', 'reboot').catch(() => { /* it ends with the machine */ })
      await up(before)
    },
    async destroy() {
      const gone = once(machine, 'close')
      machine.kill('SIGKILL')
      await gone
    },
  }
}
