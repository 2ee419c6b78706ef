/** The audit trail, to be read and proven. */
import { badRequest, refuseConsole } from './errors.ts'
import { ok, type Call, type Reply, type Route, type Who } from '../http.ts'
import { isText, numberIn, uuid } from '../json.ts'
import type { Identity } from '../identity.ts'
import type { AuditTrail, AuditView } from '../../core/audit.ts'

export interface AuditParts { readonly trail: AuditTrail; readonly identity: Identity }

export function auditRoutes(parts: AuditParts): Route[] {
  return [
    { method: 'GET', path: '/v1/audit', access: 'user', action: 'sluice:audit:list', handle: (call, who) => list(parts, call, who) },
    {
      method: 'GET', path: '/v1/audit/proof', access: 'domain', action: 'sluice:audit:getProof',
      handle: async () => {
        const { rows, last, anchor, broken } = await parts.trail.verify()
        return ok({ holds: broken === null, rows, last, anchor, broken })
      },
    },
  ]
}

/** `?actor=&instance=&action=&project=&from=&to=&before=&limit=`: newest first; `next` is the `before` of the following page, null at the end. */
async function list({ trail, identity }: AuditParts, call: Call, { user, projectId: own }: Who): Promise<Reply> {
  const asked = (name: string): string | undefined => call.query.get(name) || undefined
  const [actor, instance, action, project] = [asked('actor'), asked('instance'), asked('action'), asked('project')]
  // Whoever may look in all projects sees what is about none of them as well.
  const everywhere = identity.judge(user.id, null, 'sluice:audit:list') === 'allowed'
  const projectId = project?.toLowerCase() ?? (everywhere ? undefined : own ?? undefined)
  if (!everywhere && (projectId === undefined || projectId !== own)) return refuseConsole('other project')
  const [from, to, before, limit] = [moment(asked('from')), moment(asked('to')), number(asked('before')), numberIn(asked('limit') ?? '100', 1, 1000)]
  if (from === null || to === null) return badRequest('from and to must be times, like 2026-11-21T09:45:00Z, or milliseconds since 1970')
  if (before === null || limit === null) return badRequest('before must be the number of a row, limit a number from 1 to 1000')
  if (instance !== undefined && uuid(instance) === null) return badRequest('instance must be an instance ID')
  if ([actor, action, project].some((text) => text !== undefined && !isText(text, 128))) return badRequest('actor, action and project must be texts of at most 128 characters')
  const rows = await trail.list({
    limit: limit + 1, ...(projectId === undefined ? {} : { projectId }), ...(actor === undefined ? {} : { actor }), ...(action === undefined ? {} : { action }), ...(instance === undefined ? {} : { instanceId: uuid(instance)! }),
    ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }), ...(before === undefined ? {} : { before }),
  })
  const page = rows.slice(0, limit)
  return ok({ rows: page.map(rowBody), next: rows.length > limit ? page.at(-1)!.sequence : null })
}

function rowBody({ sequence, at, actor, projectId, action, instanceId, operationId, detail, hash }: AuditView): object {
  return { sequence, at: new Date(at).toISOString(), actor, action, project_id: projectId || null, instance_id: instanceId || null, operation_id: operationId || null, detail, hash }
}

/** Null when it is none. */
function moment(text: string | undefined): number | undefined | null {
  if (text === undefined) return undefined
  const at = /^\d{1,15}$/.test(text) ? Number(text) : Date.parse(text)
  return Number.isNaN(at) ? null : at
}

function number(text: string | undefined): number | undefined | null {
  return text === undefined ? undefined : /^\d{1,15}$/.test(text) ? Number(text) : null
}
