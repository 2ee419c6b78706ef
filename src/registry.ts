/** The only file that names every engine and runtime. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findRedis, locateRedis } from './engines/redis/program.ts'
import { kafkaEngine } from './engines/kafka/index.ts'
import { kafkaVersion, locateKafka } from './engines/kafka/program.ts'
import { processRuntime, type ProcessRuntime } from './runtimes/process/index.ts'
import { redisEngine } from './engines/redis/index.ts'
import type { Config } from './config.ts'
import type { Engine } from './core/engine.ts'
import type { EngineName, RuntimeName } from './core/instance.ts'
import type { Locate } from './core/runtime.ts'
import type { Secrets } from './secrets.ts'

const guardProgram = fileURLToPath(new URL('guard.ts', import.meta.url))

export interface Registry {
  readonly engines: Readonly<Record<EngineName, Engine>>
  readonly runtimes: Readonly<Record<RuntimeName, ProcessRuntime>>
}

export function registry(config: Config, secrets: Secrets): Registry {
  const programs: Readonly<Record<EngineName, Locate>> = { redis: locateRedis(config.programs), kafka: locateKafka(config.programs) }
  return {
    engines: {
      redis: redisEngine({
        account: (instanceId) => secrets.derive(`redis account ${instanceId}`).toString('base64url'),
        customer: ({ spec }) => spec.sealedPassword === null ? null : secrets.open(spec.sealedPassword),
      }, async () => (await findRedis(config.programs)).version),
      kafka: kafkaEngine(() => kafkaVersion(config.programs)),
    },
    runtimes: { process: processRuntime(join(config.home, 'nodes'), (software, spec) => programs[software.name](software, spec), config.guard ? { home: config.home, command: [process.execPath, guardProgram] } : undefined) },
  }
}
