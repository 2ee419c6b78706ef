/** The only file that names every engine and runtime. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { clusterAddresses } from './runtimes/kubernetes/addresses.ts'
import { containKafka } from './engines/kafka/container.ts'
import { containRedis } from './engines/redis/container.ts'
import { locateRedis, redisVersion } from './engines/redis/program.ts'
import { hostId } from './home.ts'
import { kafkaEngine } from './engines/kafka/index.ts'
import { kafkaVersion, locateKafka } from './engines/kafka/program.ts'
import { kubernetesRuntime, type KubernetesRuntime } from './runtimes/kubernetes/index.ts'
import { processRuntime, type ProcessRuntime } from './runtimes/process/index.ts'
import { sourceOf } from './runtimes/process/screen.ts'
import { redisEngine } from './engines/redis/index.ts'
import type { Addresses } from './core/addresses.ts'
import type { Config } from './config.ts'
import type { Engine } from './core/engine.ts'
import type { EngineName, RuntimeName } from './core/instance.ts'
import type { Locate } from './core/runtime.ts'
import type { Secrets } from './secrets.ts'
import type { TenantOf } from './runtimes/kubernetes/namespaces.ts'

const guardProgram = fileURLToPath(new URL('guard.ts', import.meta.url))

export interface Registry {
  readonly engines: Readonly<Record<EngineName, Engine>>
  readonly runtimes: { readonly process: ProcessRuntime; readonly kubernetes: KubernetesRuntime }
  /** `own`: of this machine's processes. */
  readonly addresses: (own: Addresses) => Readonly<Record<RuntimeName, Addresses>>
}

/** `tenantOf`: the project of an instance; absent where no cluster is touched. */
export function registry(config: Config, secrets: Secrets, tenantOf: TenantOf = async () => null): Registry {
  const host = hostId(config.home)
  const installed = redisVersion(config.programs)
  const programs: Readonly<Record<EngineName, Locate>> = { redis: locateRedis(config.programs), kafka: locateKafka(config.programs) }
  return {
    engines: {
      redis: redisEngine({
        account: (instanceId) => secrets.derive(`redis account ${instanceId}`).toString('base64url'),
        customer: ({ spec }) => spec.sealedPassword === null ? null : secrets.open(spec.sealedPassword),
        source: ({ runtime, spec }) => runtime === 'process' && spec.sources ? sourceOf(host) : undefined,
        open: secrets.open,
      }, async (runtime) => runtime === 'kubernetes' ? tagOf(config.kubernetes.images.redis) : installed()),
      kafka: kafkaEngine((runtime) => runtime === 'kubernetes' ? tagOf(config.kubernetes.images.kafka) : kafkaVersion(config.programs)),
    },
    addresses: (own) => ({ process: own, kubernetes: clusterAddresses }),
    runtimes: {
      kubernetes: kubernetesRuntime(config.kubernetes, { redis: containRedis(config.kubernetes.images.redis), kafka: containKafka(config.kubernetes.images.kafka, config.kubernetes.kafkaStorageBytes) }, tenantOf),
      process: processRuntime(join(config.home, 'nodes'), (software, spec) => programs[software.name](software, spec), config.guard ? { home: config.home, command: [process.execPath, guardProgram] } : undefined, host),
    },
  }
}

/** The version that an image says it has. */
function tagOf(image: string): string {
  const version = /:v?(\d+(?:\.\d+)*)[^:/]*$/.exec(image)?.[1]
  if (version === undefined) throw new Error(`the image ${image} does not tell its version`)
  return version
}
