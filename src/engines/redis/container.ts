/** How a Redis node runs in a container of the official image, or of any other that has redis-server and redis-cli on its PATH. */
import type { Container, NodeSpec } from '../../core/runtime.ts'

const mib = 1024 * 1024

export function containRedis(image: string) {
  return ({ argv, memoryBytes }: NodeSpec): Container => ({
    image,
    command: [
      'redis-server', ...argv,
      // By this word the control plane knows which pod answers; it goes nowhere else.
      '--syslog-ident', '$(SLUICE_POD)',
      // For the readiness probe, which must know no password: it may do nothing but this.
      '--user', 'probe', 'on', 'nopass', '-@all', '+ping',
    ],
    env: {}, secret: true,
    // An error is no answer: one that loads its data is not ready.
    ready: { command: ['redis-cli', '--user', 'probe', '--pass', 'probe', '--no-auth-warning', '-e', 'ping'] },
    // A rewrite of the append-only file copies what is written meanwhile, in the worst case all of it.
    memory: { limit: 2 * memoryBytes + 64 * mib, request: 16 * mib },
    // The append-only file and its successor.
    storageBytes: 3 * memoryBytes + 1024 * mib,
  })
}
