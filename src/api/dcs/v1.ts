/** v1.0 of what v2 has too: its own names for the same facts. */
import { detail, listItem } from './translate.ts'
import type { View } from '../../core/control-plane.ts'

/** One entry of GET /v1.0/{project_id}/instances. */
export function listItemV1(view: View): object {
  const item = listItem(view) as Record<string, unknown>
  return { ...item, ...also(view, item), update_at: item['updated_at'] }
}

/** GET /v1.0/{project_id}/instances/{instance_id}. */
export function detailV1(view: View): object {
  const item = detail(view) as Record<string, unknown>
  return {
    ...item, ...also(view, item), product_id: `${view.instance.spec.flavor}-h`, task_status: null, ipv6: null, enable_ipv6: false,
    support_acl: (item['features'] as Record<string, unknown>)['support_acl'], is_free: false, libos: false,
  }
}

function also(view: View, item: Record<string, unknown>): object {
  return {
    resource_spec_code: view.instance.spec.flavor, internal_version: view.runsOn, available_zones: item['az_codes'],
    domainName: item['domain_name'], readonlyDomainName: item['readonly_domain_name'], freeze_scene: null, error_code: null,
  }
}
