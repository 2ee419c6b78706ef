/** The official Python SDK in a process of its own: one call a line. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pythonWith } from '../../scripts/clients.ts'
import { root, type Server } from './server.ts'

/** `status` 0: the SDK itself broke, with the exception's name as the code. */
export interface SdkAnswer { readonly status: number; readonly body?: any; readonly code?: string; readonly message?: string; readonly request?: string }

export interface Sdk {
  /** Every method of the DCS client. */
  methods(): Promise<string[]>
  /** With exactly these attributes of the request. */
  call(method: string, args?: object): Promise<SdkAnswer>
  /** With everything that the method can be given, made up where `known` has no value for the name. */
  fill(method: string, known: object): Promise<SdkAnswer>
  end(): Promise<void>
}

export function pythonSdk(server: Server): Sdk {
  const child = spawn(pythonWith('huawei'), [join(root, 'test/clients/driver.py')], {
    env: { ...process.env, SLUICE_ACCESS_KEY: server.env['SLUICE_ACCESS_KEY'], SLUICE_SECRET_KEY: server.env['SLUICE_SECRET_KEY'], SLUICE_PROJECT_ID: server.project, SLUICE_TEST_ENDPOINT: `http://127.0.0.1:${server.base + 1}` },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let words = ''
  child.stderr.on('data', (data) => { words += data })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  async function ask(message: object): Promise<any> {
    child.stdin.write(`${JSON.stringify(message)}\n`)
    const { value, done } = await lines.next()
    if (done) throw new Error(`the SDK's process ended: ${words.slice(-2000)}`)
    return JSON.parse(value)
  }
  return {
    methods: async () => (await ask({ methods: true })).methods,
    call: (method, args = {}) => ask({ call: method, args }),
    fill: (method, known) => ask({ call: method, fill: known }),
    async end() {
      child.stdin.end()
      if (child.exitCode === null) await once(child, 'exit')
    },
  }
}
