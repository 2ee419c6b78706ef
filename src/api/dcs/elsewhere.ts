/**
 * What only a cloud has: bandwidth that is sold, addresses of the internet, zones to move between, other clouds' buckets.
 * Each says why not; none pretends.
 */
import { declines, type Row } from './call.ts'

const bandwidth = declines('DCS.4027', 'Sluice neither sets bandwidth aside nor holds it down: there is nothing to read or to change')
const publicIp = declines('DCS.4027', 'an instance is reached at its own address only: Sluice has no public addresses to bind')
const instance = '/v2/:project_id/instances/:instance_id'

export const elsewhereRows: readonly Row[] = [
  ['GET', `${instance}/bandwidths`, 'dcs:instance:get', bandwidth],
  ['PUT', `${instance}/bandwidths`, 'dcs:instance:modify', bandwidth],
  ['PUT', `${instance}/bandwidth`, 'dcs:instance:modify', bandwidth],
  ['GET', `${instance}/autoscaling-policy/bandwidth`, 'dcs:instance:get', bandwidth],
  ['PUT', `${instance}/autoscaling-policy/bandwidth`, 'dcs:instance:modify', bandwidth],
  ['DELETE', `${instance}/autoscaling-policy/bandwidth`, 'dcs:instance:modify', bandwidth],
  ['POST', `${instance}/public-ip`, 'dcs:instance:modify', publicIp],
  ['DELETE', `${instance}/public-ip`, 'dcs:instance:modify', publicIp],
  ['PUT', '/v2/:project_id/:instance_id/client-ip-transparent-transmission', 'dcs:clientiptrans:modify', declines('DCS.4841', 'servers see their clients\' own addresses already: there is no proxy in between')],
  ['PUT', `${instance}/available-zones`, 'dcs:instance:modify', declines('DCS.4027', 'zones are names here: all nodes of an instance are in the place where it was created')],
  ['PUT', `${instance}/nodes/status`, 'dcs:instance:modifyStatus', declines('DCS.4027', 'a node that stops is a node that died, and is started again: to try that, end its process')],
]
