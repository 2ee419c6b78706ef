/** The network facade: records of VPCs, subnets, security groups and public IPs, for clients that create those before a cache. */
import { addressRows } from './addresses.ts'
import { routesOf } from './call.ts'
import { refuseNetwork } from './errors.ts'
import { groupRows } from './groups.ts'
import { neutronRows, neutronVersions } from './neutron.ts'
import { tagRows } from './tags.ts'
import { vpcRows } from './vpcs.ts'
import type { Service } from '../http.ts'
import type { Records } from '../records.ts'

/** VPC v1 and Neutron v2.0 over the same records. Nothing of it is enforced. */
export function networkService(records: Records, url: string): Service {
  return { name: 'VPC', refuse: refuseNetwork, routes: [...neutronVersions(url), ...routesOf([...vpcRows, ...groupRows, ...addressRows, ...neutronRows, ...tagRows], records)] }
}
