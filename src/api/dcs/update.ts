/** PUT …/instances/{instance_id}: name, description, window, backup policy, the service port, and the names of commands. */
import { instanceOf, wishOf, type Row } from './call.ts'
import { isRefused, refused, type Refused } from './errors.ts'
import { maintainWindow, renamedCommands } from './fields.ts'
import { readBackupPolicy } from './policy.ts'
import { refusalCode } from './batch.ts'
import { noContent, ok, type Call, type Caller, type Reply } from '../http.ts'
import { planBody } from '../plan.ts'
import { isAbsent, isText, numberIn, type Body } from '../json.ts'
import { portOf, type Attributes } from '../../core/instance.ts'
import type { BackupPolicy } from '../../core/backups.ts'
import type { ControlPlane, View } from '../../core/control-plane.ts'
import type { Refusal } from '../../core/refusal.ts'

export const updateRows: readonly Row[] = [
  ['PUT', '/v2/:project_id/instances/:instance_id', 'dcs:instance:modify', (plane, call, caller) => update(plane, call, caller, ['port', 'rename_commands'])],
  // v1.0 knows neither, and other fields that it does not know it ignores.
  ['PUT', '/v1.0/:project_id/instances/:instance_id', 'dcs:instance:modify', (plane, call, caller) => update(plane, call, caller, [])],
]

type Real = 'port' | 'rename_commands'

async function update(plane: ControlPlane, call: Call, caller: Caller, knows: readonly Real[]): Promise<Reply | Refused> {
  const wish = wishOf(call)
  if (isRefused(wish)) return wish
  const { id, dryRun, body } = wish
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const words = readWords(body as Body, view)
  if (isRefused(words)) return words
  const port = knows.includes('port') ? newPort(body as Body, view) : null
  if (isRefused(port)) return port
  const renamed = knows.includes('rename_commands') ? newNames(body as Body, view) : null
  if (isRefused(renamed)) return renamed
  if (port !== null && renamed !== null) return refused('DCS.4062', 'rename_commands', 'port and names change in separate calls')
  if (renamed !== null) {
    const answer = await plane.change({ caller, engine: 'redis', id, action: 'rename', spec: { renamedCommands: renamed }, along: words, detail: Object.keys(renamed).join(' '), dryRun })
    if ('plan' in answer) return ok({ plan: planBody(answer.plan) })
    return 'refusal' in answer ? notDone(answer.refusal) : noContent
  }
  if (port !== null) {
    const answer = await plane.change({ caller, engine: 'redis', id, action: 'port', spec: {}, port, along: words, detail: `to ${port}`, dryRun })
    if ('plan' in answer) return ok({ plan: planBody(answer.plan) })
    return 'refusal' in answer ? notDone(answer.refusal) : noContent
  }
  if (dryRun) return ok({ plan: { nodes: [], gap: { from_ms: 0, to_ms: 0, why: 'Only words about the instance change.' }, data_at_risk: 'None.' } })
  const refusal = await plane.update({ caller, engine: 'redis', id, ...words })
  return refusal ? notDone(refusal) : noContent
}

function notDone(refusal: Refusal): Refused { return refused(refusalCode('configure', refusal), refusal.kind === 'taken' ? 'port' : undefined, 'reason' in refusal ? refusal.reason : undefined) }

/** What nobody but people and schedules act on. */
function readWords(body: Body, { instance }: View): { readonly name?: string; readonly attributes: Attributes } | Refused {
  const { name, description } = body
  const attributes: Record<string, unknown> = {}
  if (!isAbsent(name) && (!isText(name, 64) || !/^[A-Za-z0-9][A-Za-z0-9_-]{3,}$/.test(name))) return refused('DCS.4010')
  if (description !== undefined && description !== null) {
    if (typeof description === 'string' && description.length > 1024) return refused('DCS.4011')
    if (!isText(description, 1024)) return refused('DCS.4062', 'description')
    attributes['description'] = description
  }
  if (!isAbsent(body['maintain_begin']) || !isAbsent(body['maintain_end'])) {
    const window = maintainWindow(body, { begin: '', end: '' })
    if (isRefused(window)) return window
    Object.assign(attributes, { maintainBegin: window.begin, maintainEnd: window.end })
  }
  if (!isAbsent(body['instance_backup_policy'])) {
    const policy = readBackupPolicy(body['instance_backup_policy'], instance.spec.topology, (instance.attributes['backupPolicy'] ?? null) as BackupPolicy | null, Date.now())
    if (isRefused(policy)) return policy
    attributes['backupPolicy'] = policy
  }
  return { ...isAbsent(name) ? {} : { name: name as string }, attributes }
}

/** Null: it stays. Clients send the one that the instance has. */
function newPort(body: Body, { instance, nodes }: View): number | null | Refused {
  if (isAbsent(body['port'])) return null
  const port = numberIn(body['port'], 1, 65535)
  if (port === null) return refused('DCS.4062', 'port')
  if (port === portOf(instance, nodes)) return null
  return instance.version === '3.0' ? refused('DCS.4062', 'port', 'Redis 3.0 keeps its port') : port
}

/** Null: they stay. Clients send an empty object. */
function newNames(body: Body, { instance }: View): Readonly<Record<string, string>> | null | Refused {
  const names = renamedCommands(body['rename_commands'])
  if (isRefused(names)) return names
  const all = { ...instance.spec.renamedCommands, ...names }
  if (Object.keys(names).every((name) => instance.spec.renamedCommands[name] === names[name])) return null
  const targets = Object.values(all).map((name) => name.toLowerCase())
  return new Set(targets).size === targets.length ? all : refused('DCS.4062', 'rename_commands', 'two commands would have one name')
}
