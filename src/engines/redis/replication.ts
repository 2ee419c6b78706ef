/** What every Redis that copies, or is copied from, is told. */
import { aclHash, copier } from './client.ts'
import type { NodeRecord } from '../../core/instance.ts'

/** What makes a node a replica that its master lets in and that takes no write, whatever a customer has set. */
export const obeying = (password: string): readonly (readonly string[])[] => [['CONFIG', 'SET', 'masteruser', copier], ['CONFIG', 'SET', 'masterauth', password], ['CONFIG', 'SET', 'replica-read-only', 'yes']]

/**
 * Whose replica a node is that has no master yet: nobody listens on port 1. In a cluster that is asked of the pod itself, for its address is
 * a Service's, and what that does not take goes wherever the machine's network sends it: a stranger who answers there could
 * keep the server waiting, or be told a password.
 */
export const nobody = (node: NodeRecord): readonly [address: string, port: number] => [node.listen ? '127.0.0.1' : node.address, 1]

/** Rules of the account by which nodes copy. */
export const copierRules = (password: string): readonly string[] => ['on', aclHash(password), '+psync', '+replconf', '+ping']
/** Has a node let in those that copy from it: one that was started by an earlier release does not know them. */
export const admitting = (password: string): readonly string[] => ['ACL', 'SETUSER', copier, 'reset', ...copierRules(password)]

/** Lines of redis.conf. The password is no part of them: it is granted at run time. */
export function copying(): readonly string[] {
  return [
    `masteruser ${copier}`,
    // The stock 5 s are for more replicas to join one transfer; here one waits for each.
    'repl-diskless-sync yes', 'repl-diskless-sync-delay 0',
  ]
}

/** The ports of these nodes with another one for the service. */
export function servedAt(nodes: readonly NodeRecord[], port: number): Readonly<Record<string, NodeRecord['ports']>> {
  return Object.fromEntries(nodes.map((node) => [node.id, { ...node.ports, service: port }]))
}
