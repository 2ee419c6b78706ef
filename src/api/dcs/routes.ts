/** DCS: every route, area by area, and the envelope around what each answers. */
import { topologyRows } from './topology.ts'
import { dcsError, isRefused, refuseDcs } from './errors.ts'
import { instanceRows } from './instances.ts'
import { resizeRows } from './resize.ts'
import { taskRows } from './tasks.ts'
import type { Route, Service } from '../http.ts'
import type { ControlPlane } from '../../core/control-plane.ts'
import type { Row } from './call.ts'

/** What this dialect answers to: one list an area, each beside its handlers. */
export const dcsRows: readonly Row[] = [
  ...instanceRows,
  ...topologyRows,
  ...resizeRows,
  ...taskRows,
]

/** The v2 and v1.0 instance API of DCS in front of a control plane. */
export function dcsService(plane: ControlPlane): Service {
  const routes: Route[] = dcsRows.map(([method, path, action, handle]) => ({
    method, path, action, access: 'project',
    handle: async (call, caller) => {
      const reply = await handle(plane, call, caller)
      return isRefused(reply) ? dcsError(reply, call.path) : reply
    },
  }))
  return { name: 'DCS', routes, refuse: refuseDcs }
}
