/** Backups of an instance, their files, and restores. */
import { createReadStream } from 'node:fs'
import { bodyOf, idOf, instanceOf, unknown, type FreeRow, type Row, type Site } from './call.ts'
import { isRefused, refused, refuseDcs, type Refused } from './errors.ts'
import { readPage, readPageV1, readSpan, type Page } from './queries.ts'
import { refusalCode } from './batch.ts'
import { isAbsent, isText, numberIn, uuid, type Body } from '../json.ts'
import { noContent, ok, type Call, type Caller, type Reply } from '../http.ts'
import type { Backup, Restore } from '../../core/backups.ts'
import type { ControlPlane } from '../../core/control-plane.ts'
import type { Refusal } from '../../core/refusal.ts'

const [backups, restores] = ['/:project_id/instances/:instance_id/backups', '/:project_id/instances/:instance_id/restores'] as const

export const backupRows: readonly Row[] = [
  ['POST', `/v2${backups}`, 'dcs:instance:backupData', create],
  ['POST', `/v1.0${backups}`, 'dcs:instance:backupData', create],
  ['GET', `/v2${backups}`, 'dcs:instance:getDataBackupLog', list],
  ['GET', `/v1.0${backups}`, 'dcs:instance:getDataBackupLog', list],
  ['DELETE', `/v2${backups}/:backup_id`, 'dcs:instance:deleteDataBackupFile', remove],
  ['DELETE', `/v1.0${backups}/:backup_id`, 'dcs:instance:deleteDataBackupFile', remove],
  ['POST', `/v2${backups}/:backup_id/links`, 'dcs:instance:downloadBackupData', links],
  ['POST', `/v2${restores}`, 'dcs:instance:restoreData', restore],
  ['POST', `/v1.0${restores}`, 'dcs:instance:restoreData', restore],
  ['GET', `/v2${restores}`, 'dcs:instance:getDataRestoreLog', listRestores],
  ['GET', `/v1.0${restores}`, 'dcs:instance:getDataRestoreLog', listRestores],
]

/** What signed links lead to. */
export const backupFileRows: readonly FreeRow[] = [
  ['GET', `/v2${backups}/:backup_id/files/:file_name`, 'open', download],
]

const isV1 = (call: Call): boolean => call.path.startsWith('/v1.0/')

/** A body that may as well be missing. */
function looseBody(call: Call): Body | Refused { return call.body.length === 0 ? {} : bodyOf(call) as Body | Refused }

function readRemark(body: Body): string | null | Refused {
  const { remark } = body
  if (isAbsent(remark)) return null
  return isText(remark, 128) ? remark : refused('DCS.4098')
}

function refusalOf(refusal: Refusal, action: 'backup' | 'restore'): Refused {
  return refused(refusalCode(action, refusal), undefined, refusal.kind === 'unsupported' ? refusal.reason : undefined)
}

async function create(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const [id, body] = [idOf(call), looseBody(call)]
  if (isRefused(id)) return id
  if (isRefused(body)) return body
  const remark = readRemark(body)
  if (isRefused(remark)) return remark
  const given = isV1(call) ? undefined : body['backup_format']
  if (!isAbsent(given) && given !== 'rdb' && given !== 'aof') return refused('DCS.4062', 'backup_format')
  const answer = await plane.backups.backUp({ caller, id, format: given === 'aof' ? 'aof' : 'rdb', remark })
  return 'id' in answer ? ok({ backup_id: answer.id }) : refusalOf(answer, 'backup')
}

/** Both versions have both spellings of the span, as their clients do. */
function readQuery(call: Call): Page & { readonly from?: number; readonly to?: number } | Refused {
  const page = isV1(call) ? readPageV1(call.query, 10) : readPage(call.query)
  if (isRefused(page)) return page
  const span = readSpan(call.query, call.query.has('beginTime') || call.query.has('endTime') ? ['beginTime', 'endTime'] : ['begin_time', 'end_time'])
  return isRefused(span) ? span : { ...page, ...span }
}

async function list(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const query = readQuery(call)
  if (isRefused(query)) return query
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const found = await plane.backups.list(caller.projectId, view.instance.id, query)
  if (!found) return unknown
  const records = await Promise.all(found.backups.map(async (one) => backupRecord(one, await plane.backups.unusable(caller.projectId, one) === null)))
  return ok({ total_num: found.total, backup_record_response: records })
}

async function remove(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const [id, backupId] = [idOf(call), uuid(call.params['backup_id'])]
  if (isRefused(id)) return id
  if (backupId === null) return refused('DCS.4062', 'backup_id')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const answer = await plane.backups.remove({ caller, id, backupId })
  if (answer === 'unknown') return refused('DCS.4062', 'backup_id', 'this instance has no such backup')
  if (answer === 'open') return refused(view.status === 'restoring' ? 'DCS.4097' : 'DCS.4096')
  return isV1(call) ? ok({ message: '' }) : noContent
}

async function links(plane: ControlPlane, call: Call, caller: Caller, { links }: Site): Promise<Reply | Refused> {
  const body = bodyOf(call)
  if (isRefused(body)) return body
  const seconds = numberIn((body as Body)['expiration'], 300, 86_400)
  if (seconds === null) return refused('DCS.4062', 'expiration')
  const backupId = uuid(call.params['backup_id'])
  if (backupId === null) return refused('DCS.4062', 'backup_id')
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const backup = await plane.backups.get(caller.projectId, view.instance.id, backupId)
  if (!backup) return refused('DCS.4062', 'backup_id', 'this instance has no such backup')
  if (backup.outcome !== 'done') return refused('DCS.4087')
  const away = plane.backups.away(backup)
  if (away !== null) return refused('DCS.4027', undefined, away)
  const until = Date.now() + seconds * 1000
  const folder = `/v2/${caller.projectId}/instances/${view.instance.id}/backups/${backup.id}`
  // There is no bucket: this listener itself sends the files.
  return ok({ file_path: `${view.instance.id}/${backup.id}`, bucket_name: null, links: backup.files!.map(({ name }) => ({ file_name: name, link: links.link(`${folder}/files/${name}`, until) })) })
}

async function download(call: Call, { links }: Site, plane: ControlPlane): Promise<Reply | Refused> {
  const [id, backupId] = [uuid(call.params['instance_id']), uuid(call.params['backup_id'])]
  if (!links.check(call.path, call.query)) return refuseDcs('bad signature', call.path)
  const file = id && backupId ? await plane.backups.file(call.params['project_id']!, id, backupId, call.params['file_name']!) : null
  if (!file) return refused('DCS.4001', undefined, 'there is no such file here any more')
  const range = readRange(call.headers['range'], file.bytes)
  const shared = { 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes', 'content-disposition': `attachment; filename="${call.params['file_name']}"` }
  if (range === 'outside') return { status: 416, text: '', headers: { 'content-range': `bytes */${file.bytes}` } }
  if (!range) return { status: 200, stream: createReadStream(file.path), headers: { ...shared, 'content-length': String(file.bytes) } }
  return { status: 206, stream: createReadStream(file.path, range), headers: { ...shared, 'content-length': String(range.end - range.start + 1), 'content-range': `bytes ${range.start}-${range.end}/${file.bytes}` } }
}

/** One range of bytes; several at once, or anything else, are all of the file. */
function readRange(header: unknown, bytes: number): { readonly start: number; readonly end: number } | 'outside' | null {
  const match = typeof header === 'string' ? /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header.trim()) : null
  if (!match || match[1] === '' && match[2] === '') return null
  const start = match[1] === '' ? Math.max(0, bytes - Number(match[2])) : Number(match[1])
  const end = match[1] === '' || match[2] === '' ? bytes - 1 : Math.min(Number(match[2]), bytes - 1)
  return start > end ? 'outside' : { start, end }
}

async function restore(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const [id, body] = [idOf(call), bodyOf(call) as Body | Refused]
  if (isRefused(id)) return id
  if (isRefused(body)) return body
  const backupId = uuid(body['backup_id'])
  if (backupId === null) return refused('DCS.4062', 'backup_id')
  const remark = readRemark(body)
  if (isRefused(remark)) return remark
  const answer = await plane.backups.restore({ caller, id, backupId, remark })
  if ('unusable' in answer) return refused('DCS.4087', undefined, answer.unusable)
  return 'kind' in answer ? refusalOf(answer, 'restore') : ok({ restore_id: answer.id })
}

async function listRestores(plane: ControlPlane, call: Call, caller: Caller): Promise<Reply | Refused> {
  const query = readQuery(call)
  if (isRefused(query)) return query
  const view = await instanceOf(plane, call, caller)
  if (isRefused(view)) return view
  const found = await plane.backups.restores(caller.projectId, view.instance.id, query)
  if (!found) return unknown
  const source = isV1(call) ? { sourceInstanceId: view.instance.id, sourceInstanceName: view.instance.name } : {}
  return ok({ total_num: found.total, restore_record_response: found.restores.map((one) => ({ ...restoreRecord(one), ...source })) })
}

/** What the two kinds of record have in common. Of what is under way it is not known how much there will be. */
function shared({ outcome, cause, createdAt, finishedAt }: Backup | Restore, doing: string): { readonly status: string; readonly created_at: string; readonly updated_at: string; readonly progress: string; readonly error_msg: string | null } {
  return {
    status: outcome === null ? doing : outcome === 'done' ? 'succeed' : 'failed', progress: outcome === 'done' ? '100.00' : '0.00',
    created_at: new Date(createdAt).toISOString(), updated_at: new Date(finishedAt ?? createdAt).toISOString(), error_msg: outcome === 'done' ? null : cause,
  }
}

function backupRecord(backup: Backup, usable: boolean): object {
  const { id, name, instanceId, kind, format, remark, files, createdAt } = backup
  const said = shared(backup, 'backuping')
  return {
    backup_id: id, backup_name: name, instance_id: instanceId, period: null, size: files ? files.reduce((sum, { bytes }) => sum + bytes, 0) : 0, backup_type: kind, backup_format: format,
    execution_at: new Date(createdAt).toISOString(), remark, ...said, error_code: said.status === 'failed' ? 'dcs.08.0001' : null, is_support_restore: usable ? 'TRUE' : 'FALSE',
  }
}

function restoreRecord(restore: Restore): object {
  const { id, name, backupId, backupName, backupRemark, remark } = restore
  const said = shared(restore, 'restoring')
  return { restore_id: id, restore_name: name, backup_id: backupId, backup_name: backupName, backup_remark: backupRemark, restore_remark: remark, ...said, error_code: said.status === 'failed' ? 'dcs.08.0007' : null }
}
