/** A real cluster for the tests, by KUBECONFIG, in a namespace of their own. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import { whenCut } from '../support/cut.ts'
import { readKubernetesConfig, type KubernetesConfig } from '../../src/config-kubernetes.ts'

const run = promisify(execFile)

export interface TestCluster {
  /** What a server under test gets into its environment. */
  readonly env: NodeJS.ProcessEnv
  readonly config: KubernetesConfig
  /** In the namespace. Throws with what it says. */
  kubectl(...args: string[]): Promise<string>
  destroy(): Promise<void>
}

/** Images and storage as the environment says; without, those of a cluster that has the images of the registries. */
export async function inCluster(): Promise<TestCluster> {
  if (!process.env['KUBECONFIG']) throw new Error('these tests need a cluster: set KUBECONFIG')
  const namespace = `sluice-test-${randomUUID().slice(0, 8)}`
  const env = { KUBECONFIG: process.env['KUBECONFIG'], SLUICE_RUNTIME: 'kubernetes', SLUICE_KUBERNETES_NAMESPACE: namespace, ...Object.fromEntries(Object.entries(process.env).filter(([name]) => /^SLUICE_(REDIS_IMAGE|KAFKA_IMAGE|KUBERNETES_)/.test(name) && name !== 'SLUICE_KUBERNETES_NAMESPACE')) }
  const kubectl = async (...args: string[]): Promise<string> => (await run('kubectl', ['-n', namespace, ...args], { maxBuffer: 1 << 26 })).stdout
  async function destroy(): Promise<void> {
    uncut()
    await run('kubectl', ['delete', 'namespace', namespace, '--ignore-not-found', '--wait=false'])
  }
  const uncut = whenCut(destroy)
  return { env, config: readKubernetesConfig(env), kubectl, destroy }
}
