/** DCS: every route, area by area, and the envelope around what each answers. */
import { configRows } from './configs.ts'
import { backupFileRows, backupRows } from './backups.ts'
import { passwordRows } from './passwords.ts'
import { analysisRows } from './analysis.ts'
import { diagnosisRows } from './diagnosis.ts'
import { logFileRows, sessionRows } from './sessions.ts'
import { webCliRows } from './webcli.ts'
import { accountRows } from './accounts.ts'
import { surveyRows } from './surveys.ts'
import { sslFileRows, sslRows } from './ssl.ts'
import { whitelistRows } from './whitelist.ts'
import { templateRows } from './templates.ts'
import { updateRows } from './update.ts'
import { topologyRows } from './topology.ts'
import { catalogueRows, flavorRows } from './catalogue.ts'
import { describeDcs } from './endpoints.ts'
import { elsewhereRows } from './elsewhere.ts'
import { dcsError, isRefused, refuseDcs, type Refused } from './errors.ts'
import { exportFileRows, exportRows } from './exports.ts'
import { instanceRows } from './instances.ts'
import { migrationRows } from './migrations.ts'
import { projectRows } from './project.ts'
import { releaseRows } from './releases.ts'
import { resizeRows } from './resize.ts'
import { taskRows } from './tasks.ts'
import { versionRows } from './versions.ts'
import type { Call, Reply, Route, Service } from '../http.ts'
import type { ControlPlane } from '../../core/control-plane.ts'
import type { FreeRow, Row, Site } from './call.ts'

/** What this dialect answers to: one list an area, each beside its handlers. */
export const dcsRows: readonly Row[] = [
  ...instanceRows,
  ...flavorRows,
  ...topologyRows,
  ...resizeRows,
  ...configRows,
  ...passwordRows,
  ...updateRows,
  ...templateRows,
  ...whitelistRows,
  ...sslRows,
  ...taskRows,
  ...projectRows,
  ...releaseRows,
  ...migrationRows,
  ...backupRows,
  ...accountRows,
  ...webCliRows,
  ...surveyRows,
  ...diagnosisRows,
  ...analysisRows,
  ...sessionRows,
  ...exportRows,
  ...elsewhereRows,
]

/** The same for routes without a project. */
export const dcsFreeRows: readonly FreeRow[] = [
  ...versionRows,
  ...catalogueRows,
  ...exportFileRows,
  ...backupFileRows, ...sslFileRows,
  ...logFileRows,
]

/** The v2 and v1.0 instance API of DCS in front of a control plane. */
export function dcsService(plane: ControlPlane, site: Site): Service {
  const reply = (answer: Reply | Refused, call: Call): Reply => isRefused(answer) ? dcsError(answer, call.path) : answer
  const free = dcsFreeRows.map(([method, path, access, handle]): Route => ({ method, path, ...access === 'open' ? { access } : { access, action: null }, handle: async (call: Call) => reply(await handle(call, site, plane), call) }))
  const routes = dcsRows.map(([method, path, action, handle]): Route => ({ method, path, action, access: 'project', handle: async (call, caller) => reply(await handle(plane, call, caller, site), call) }))
  return { name: 'DCS', routes: [...free, ...routes], refuse: refuseDcs, describe: describeDcs }
}
