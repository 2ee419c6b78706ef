/** The machines whose processes instances are, and those that never come back. */
import { appendAudit } from '../store/audit.ts'
import { forgetHost, instancesByHost } from '../store/hosts.ts'
import { hostsSeen, isHeard } from '../store/control-planes.ts'
import { transact, type Database } from '../store/database.ts'
import { clusterHost } from '../core/instance.ts'
import type { ControlPlane } from '../core/control-plane.ts'

export interface HostParts { readonly db: Database; readonly host: string }

export function hosts({ db, host: own }: HostParts): Pick<ControlPlane, 'hosts' | 'forgetHost'> {
  return {
    async hosts() {
      const [counts, seen] = [await instancesByHost(db), await hostsSeen(db)]
      const now = Date.now()
      return [...new Set([own, ...counts.keys(), ...seen.keys()])].filter((id) => id !== clusterHost).map((id) => ({
        id, own: id === own, heard: id === own || isHeard(seen.get(id), now), seenAt: id === own ? now : seen.get(id) ?? null, instances: counts.get(id) ?? 0,
      }))
    },
    async forgetHost({ caller, host }) {
      if (host === own) return 'heard'
      if (host === clusterHost) return 'unknown'
      return transact(db, async (tx) => {
        const now = Date.now()
        const seen = (await hostsSeen(tx)).get(host)
        if (isHeard(seen, now)) return 'heard'
        const gone = await forgetHost(tx, host, `the host ${host} was forgotten; its processes, if any, were not stopped`, now)
        if (gone.length === 0 && seen === undefined) return 'unknown'
        await appendAudit(tx, [
          ...gone.map(({ id, projectId }) => ({ at: now, actor: caller.userName, projectId, action: 'instance.forgotten', instanceId: id, operationId: '', detail: `on the host ${host}, whose processes were not stopped` })),
          { at: now, actor: caller.userName, projectId: caller.projectId, action: 'host.forgotten', instanceId: '', operationId: '', detail: `${host}, with ${gone.length} instances` },
        ])
        return { instances: gone.map(({ id }) => id) }
      })
    },
  }
}
