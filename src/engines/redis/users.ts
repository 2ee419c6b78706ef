/** Who may log in to a Redis, and what each may do. Pure. */
import { account, aclHash, copier, copierPassword } from './client.ts'
import { copierRules } from './replication.ts'
import { isReadOnly } from './parameters.ts'
import { topologyOf } from './topology.ts'
import type { Instance } from '../../core/instance.ts'
import type { RedisSecrets } from './layout.ts'

/** Of CLIENT all but PAUSE and UNPAUSE: writes are paused while a role or a slot changes hands, and what is let through then is on one side only. 6.2 can only be told so. */
const client = ['caching', 'getname', 'getredir', 'help', 'id', 'info', 'kill', 'list', 'no-evict', 'reply', 'setname', 'tracking', 'trackinginfo', 'unblock'].map((name) => `+client|${name}`)
/** Commands by which a customer could take the node away from the control plane. */
const withheld = ['-acl', '-debug', '-module', '-replicaof', '-slaveof', '-failover', '-client', ...client]

/** A user's name and its rules, as redis.conf and ACL SETUSER take them. */
export type User = readonly [name: string, rules: readonly string[]]

/** What no customer may do, whoever it is. */
function rulesOf(instance: Instance): string[] {
  return ['~*', '&*', '+@all', ...withheld, ...topologyOf(instance.spec).withheld?.split(' ') ?? [], ...isReadOnly(instance) ? ['-@write'] : []]
}

/** Customers' users first, and last those that never change: by which nodes copy, and the control plane's own. */
export function usersOf(instance: Instance, secrets: RedisSecrets): readonly User[] {
  const password = secrets.customer(instance)
  return [
    ['default', ['on', password === null ? 'nopass' : aclHash(password), ...rulesOf(instance)]],
    ...(instance.spec.accounts ?? []).map(({ name, role, sealedPassword }): User => [name, ['on', aclHash(secrets.customer({ spec: { sealedPassword } })!), ...rulesOf(instance).filter((rule) => rule !== '-@write'), ...role === 'read' || isReadOnly(instance) ? ['-@write'] : []]]),
    [copier, copierRules(copierPassword(secrets.account(instance.id)))],
    [account, ['on', aclHash(secrets.account(instance.id)), '~*', '&*', '+@all']],
  ]
}
