/** packaging/sluice.service under a real systemd, installed as it says, for a user without rights; as root, for nobody else may boot a machine. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { readConfig } from '../src/config.ts'
import { startMachine, type Machine } from './support/machine.ts'
import { sleep, until } from './support/server.ts'

describe('under systemd', { concurrency: false }, () => {
  let machine: Machine
  let id: string
  let ip: string

  const run: Machine['run'] = (...words) => machine.run(...words)
  const shell = (script: string): Promise<string> => run('sh', '-c', script)
  const program = '/opt/sluice/node_modules/node/bin/node'
  const sluice = (...words: string[]): Promise<string> => run('env', 'SLUICE_HOME=/var/lib/sluice', program, '/opt/sluice/bin/sluice.js', ...words)
  /** The status of an answer, and what it says. */
  const ask = (url: string, options: object = {}): Promise<string> => run(program, '-e', 'fetch(process.argv[1], JSON.parse(process.argv[2])).then(async (answer) => console.log(answer.status, await answer.text()))', url, JSON.stringify(options))
  const shown = async (property: string): Promise<string> => run('systemctl', 'show', 'sluice', '--value', '-p', property)
  const redis = (...words: string[]): Promise<string> => run('redis-cli', '-h', ip, ...words)
  const servers = (): Promise<string> => shell('pgrep -x redis-server || true')
  const log = (): Promise<string> => run('journalctl', '--no-pager', '-u', 'sluice')
  async function ready(): Promise<void> {
    await until('the control plane', async () => (await ask('http://127.0.0.1:7485/healthz')).startsWith('200'), 30_000, 50)
      .catch(async (error) => { throw new Error(`${error.message}\n${await log()}`) })
  }
  /** A customer's connection: it has another number when it was made anew. */
  function connection(): { number(): Promise<string>; leave(): void } {
    const client = machine.open('redis-cli', '-h', ip)
    let heard = ''
    client.stdout!.on('data', (data) => { heard += data })
    return {
      async number() {
        heard = ''
        client.stdin!.write('CLIENT ID\n')
        return until('its number', () => heard.trim(), 5000)
      },
      leave() { client.stdin!.end() },
    }
  }
  /** As the control plane that runs now sees it. */
  const node = async (): Promise<any> => JSON.parse(await sluice('ps', '--json'))[0]
  const whitelist = async (): Promise<string> => {
    const { token, project_id } = JSON.parse(await sluice('token', '--json'))
    const list = { enable_whitelist: true, whitelist: [{ group_name: 'some', ip_list: ['127.0.0.1'] }] }
    return ask(`http://127.0.0.1:7481/v2/${project_id}/instance/${id}/whitelist`, { method: 'PUT', headers: { 'content-type': 'application/json', 'x-auth-token': token }, body: JSON.stringify(list) })
  }

  before(async () => {
    machine = await startMachine()
    await shell(`cp /opt/sluice/packaging/sluice.service /etc/systemd/system
      useradd --system --create-home --home-dir /var/lib/sluice sluice
      systemctl daemon-reload && systemctl enable --now sluice`)
    await ready()
    const made = await sluice('dcs', 'create', 'cache', '--no-password')
    id = made.split(' ')[0]!
    ip = /\s(\S+):6379/.exec(made)![1]!
    await redis('SET', 'kept', 'yes')
  })
  after(async () => { await machine?.destroy() })

  test('it runs as its user, whose home nobody else looks into, and finds what it compiled', async () => {
    assert.equal(await shell('ps -o user= -p $(systemctl show sluice --value -p MainPID),$(pgrep -x redis-server) | sort -u'), 'sluice')
    assert.equal(await run('stat', '-c', '%U %a', '/var/lib/sluice'), 'sluice 700')
    assert.match(await shell('cat /proc/$(pgrep -x redis-server)/status'), /NoNewPrivs:\t1/)
    assert.notEqual(await shell('find /var/lib/sluice/.local/share/sluice/compiled -type f | head -1'), '')
  })

  test('a restart, a kill and a stop end the control plane alone', async () => {
    const customer = connection()
    const number = await customer.number()
    const server = await servers()
    const untouched = async (): Promise<void> => {
      assert.deepEqual([await servers(), await customer.number(), await redis('GET', 'kept')], [server, number, 'yes'])
    }
    const found = async (): Promise<void> => {
      await ready()
      await untouched()
      const { status, pid } = await node()
      assert.deepEqual([status, String(pid)], ['running', server])
    }
    await run('systemctl', 'restart', 'sluice')
    await untouched()
    await found()

    const before = await shown('MainPID')
    await run('systemctl', 'kill', '--kill-whom=main', '-s', 'KILL', 'sluice')
    await until('another control plane', async () => !['0', before].includes(await shown('MainPID')))
    assert.equal(await shown('NRestarts'), '1')
    await found()

    await run('systemctl', 'stop', 'sluice')
    assert.equal(await shown('ActiveState'), 'inactive')
    await untouched()
    await run('systemctl', 'start', 'sluice')
    await found()
    customer.leave()
  })

  test('after sluice down all is down and stays down, until it is started', async () => {
    await ready()
    await sluice('down', '--yes')
    await until('the end', async () => await shown('ActiveState') === 'inactive')
    // RestartSec is over by then.
    await sleep(2000)
    assert.deepEqual([await shown('ActiveState'), await servers()], ['inactive', ''])
    await run('systemctl', 'start', 'sluice')
    await until('what was in it', async () => await redis('GET', 'kept') === 'yes')
  })

  test('while it cannot start it tries again and again, and says why', async () => {
    await shell('mkdir -p /run/systemd/system/sluice.service.d && printf "[Unit]\nStartLimitBurst=1\n[Service]\nRestartSec=0\n" > /run/systemd/system/sluice.service.d/soon.conf && systemctl daemon-reload && systemctl stop sluice')
    const other = machine.open(program, '-e', "require('net').createServer().listen(7480, '127.0.0.1'); process.stdin.resume().on('end', () => process.exit())")
    try {
      await run('systemctl', 'start', 'sluice')
      // Where there is a limit, it is one in ten seconds now, and five before: a slow machine needs longer for five.
      await until('the third try', async () => Number(await shown('NRestarts')) >= 3)
      assert.match(await log(), /sluice: .*7480/)
    } finally { other.stdin!.end() }
    await ready()
  })

  test('whitelists work once it may set rules', async () => {
    assert.match(await whitelist(), /this server may not set the machine's packet filter/)
    await shell("sed -i s/^#AmbientCapabilities/AmbientCapabilities/ /etc/systemd/system/sluice.service && systemctl daemon-reload && systemctl restart sluice")
    await ready()
    assert.equal(await whitelist(), '204')
    assert.match(await run('nft', 'list', 'ruleset'), new RegExp(ip))
  })

  test('Kafka serves under the unit, once its user has it', async () => {
    const { engineFolder } = readConfig(process.env).programs
    const theirs = '/var/lib/sluice/.local/share/sluice/engines'
    // As if the user had run "npm run engines": this machine has no network.
    await shell(`mkdir -p ${theirs} && cp -r ${engineFolder}/*kafka-* ${theirs} && chown -R sluice: /var/lib/sluice/.local`)
    const queue = await sluice('dms', 'create', 'queue')
    const running = async (): Promise<string> => shell('pgrep -x "redis-server|java" | sort')
    const before = await running()
    assert.equal(before.split('\n').length, 2)
    await run('systemctl', 'restart', 'sluice')
    await ready()
    assert.equal(await running(), before)
    for (const { status } of JSON.parse(await sluice('ps', '--json'))) assert.equal(status, 'running')
    await sluice('dms', 'delete', queue.split(' ')[0]!, '--yes')
  })

  test('with the machine it comes up again, and so does every Redis with its data', async () => {
    await machine.reboot()
    await ready()
    await until('what was in it', async () => await redis('GET', 'kept') === 'yes')
    assert.equal((await node()).status, 'running')
  })
})
