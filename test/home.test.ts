/** A home and its server: one server at a time, what it leaves running, what it keeps to itself, and kills at any instant. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createServer } from 'node:net'
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { client, isAlive, makeServer, nodePid, password, processesUnder, redisBody, root, sleep, starts, until } from './support/server.ts'

describe('a home and its server', { concurrency: false }, () => {
  const run = (env: NodeJS.ProcessEnv, ...more: string[]) => spawnSync(process.execPath, [...more, join(root, 'bin/server.js')], { env, encoding: 'utf8', timeout: 20_000 })

  test('a second server on the same home says so and ends', async () => {
    const server = await makeServer({ SLUICE_DATABASE_URL: '' })
    try {
      await server.start()
      const second = run({ ...server.env, SLUICE_PORT: String(server.base + 20) })
      assert.equal(second.status, 1)
      assert.match(second.stderr, /another Sluice server is using/)
      assert.equal(second.stderr.trim().split('\n').length, 1, 'one sentence')
    } finally { await server.destroy() }
  })

  test('the process that was started is the server, and collects its garbage in small steps', async () => {
    const server = await makeServer()
    try {
      server.always({}, ['--trace-uncaught'])
      await server.start()
      const words = readFileSync(`/proc/${server.pid()}/cmdline`, 'utf8').split('\0')
      for (const word of ['--single-threaded-gc', '--trace-uncaught']) assert.ok(words.includes(word), `${word} in ${words.join(' ')}`)
      assert.ok(words.includes(join(root, 'bin/server.js')))
      assert.equal(server.log().trim().split('\n').length, 1, 'that it is ready, and no warning')
    } finally { await server.destroy() }
  })

  test('a port that is taken is named, and nothing is left running', async () => {
    const server = await makeServer()
    const other = createServer()
    await new Promise<void>((done) => other.listen(server.base + 1, '127.0.0.1', done))
    try {
      const r = run(server.env)
      assert.equal(r.status, 1)
      assert.match(r.stderr, new RegExp(`${server.base + 1}`))
    } finally { other.close(); await server.destroy() }
  })

  test('a foreign redis-server that cannot run: accepted, then CREATEFAILED with the cause, and delete works', async () => {
    const server = await makeServer({ SLUICE_REDIS_SERVER: '/bin/false' })
    try {
      await server.start()
      const id = await server.createRedis('never')
      await until('CREATEFAILED', async () => await server.status('dcs', id) === 'CREATEFAILED', 120_000)
      const { json } = await server.call('console', 'GET', `/v1/operations?instance=${id}`)
      assert.match(json.operations[0].cause, /\/bin\/false/)
      assert.equal((await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })).json.error_code, 'DCS.4026')
      assert.equal((await server.dcs('DELETE', `/instances/${id}`)).status, 204)
    } finally { await server.destroy() }
  })

  test('SLUICE_ON_EXIT=stop stops the nodes at SIGTERM, and the next start brings them back with their data', async () => {
    const server = await makeServer({ SLUICE_ON_EXIT: 'stop' })
    try {
      await server.start()
      const id = await server.createRedis('stopped')
      const redis = client(await server.running('dcs', id))
      await redis.set('a', '1')
      const pid = nodePid(server.home, id)
      await server.end('SIGTERM')
      assert.ok(!isAlive(pid))
      await server.start()
      await server.running('dcs', id)
      assert.equal(await redis.get('a'), '1')
      redis.disconnect()
    } finally { await server.destroy() }
  })

  test('no secret is in the log, the process arguments, the database or the files of a node', async () => {
    const server = await makeServer({ SLUICE_LOG_LEVEL: 'trace' })
    try {
      await server.start()
      const secret = 'Very-Secret-0815-Aa'
      const id = await server.createRedis('secret', { password: secret })
      const redis = client(await server.running('dcs', id), secret)
      assert.equal(await redis.ping(), 'PONG')
      redis.disconnect()
      await server.dcs('PUT', '/instances/status', { action: 'restart', instances: [id] })
      await server.running('dcs', id)
      const files = readdirSync(server.home, { recursive: true, encoding: 'utf8' }).map((name) => join(server.home, name)).filter((path) => statSync(path).isFile())
      for (const path of files) assert.ok(!readFileSync(path, 'latin1').includes(secret), path)
      for (const pid of processesUnder(join(server.home, '..'))) {
        for (const file of ['cmdline', ...(pid === server.pid() ? [] : ['environ'])]) {
          const text = readFileSync(`/proc/${pid}/${file}`, 'latin1')
          for (const word of [secret, 'Test-Passw0rd', 'test-secret-key']) assert.ok(!text.includes(word), `${file} of ${pid} has ${word}`)
        }
      }
      for (const word of [secret, 'Test-Passw0rd', 'test-secret-key']) assert.ok(!server.log().includes(word))
      assert.equal(statSync(join(server.home, 'credentials.json')).mode & 0o77, 0)
      assert.equal(statSync(join(server.home, 'master.key')).mode & 0o77, 0)
    } finally { await server.destroy() }
  })

  test('random kills of the control plane under a stream of restarts: nothing stuck, nothing twice, nothing lost', async () => {
    const server = await makeServer()
    try {
      await server.start()
      const ids = await Promise.all(Array.from({ length: 4 }, (_, i) => server.createRedis(`chaos-${i}`)))
      const instances = await Promise.all(ids.map((id) => server.running('dcs', id)))
      const clients = instances.map((instance) => client(instance))
      await Promise.all(clients.map((redis) => redis.set('kept', 'yes')))
      for (let round = 0; round < 8; round += 1) {
        const before = ids.map((id) => starts(server.home, id))
        const killAfter = Math.random() * 120
        const answer = server.dcs('PUT', '/instances/status', { action: round % 2 ? 'restart' : 'soft_restart', instances: ids }).catch(() => null)
        await sleep(killAfter)
        await server.end('SIGKILL')
        const r = await answer
        await server.start()
        await Promise.all(ids.map((id) => server.running('dcs', id)))
        ids.forEach((id, i) => {
          const times = starts(server.home, id) - before[i]!
          if (r?.status === 200) assert.equal(times, 1, `round ${round}, killed after ${killAfter} ms`)
          else assert.ok(times <= 1, `round ${round}, killed after ${killAfter} ms: ${times}`)
        })
        for (const redis of clients) assert.equal(await redis.get('kept'), 'yes')
      }
      for (const redis of clients) redis.disconnect()
    } finally { await server.destroy() }
  })
})

test('a creation without a usable port range is refused before anything is written', async () => {
  const server = await makeServer({ SLUICE_NODE_HOST: '127.0.0.1', SLUICE_NODE_PORTS: '24400-24400' })
  try {
    await server.start()
    await server.createRedis('first')
    const second = await server.dcs('POST', '/instances', redisBody('second'))
    assert.deepEqual([second.status, second.json.error_code], [400, 'DCS.4911'])
    assert.match(second.json.error_msg, /SLUICE_NODE_PORTS/)
    assert.ok(!second.text.includes(password))
    assert.equal((await server.dcs('GET', '/instances')).json.instance_num, 1)
  } finally { await server.destroy() }
})
