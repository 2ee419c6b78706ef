/** How Keystone writes things down. */
import type { Call, Reply } from '../http.ts'
import type { CatalogUrls } from './catalog.ts'
import type { Domain, Member, Named, Project } from '../identity.ts'
import type { Role } from '../../core/policy.ts'

/** SDKs report a failure by the header that only IAM sends. */
export function traced(call: Call, body: unknown, status = 200): Reply { return { status, body, headers: { 'X-IAM-Trace-Id': call.requestId } } }

/** With microseconds, as Keystone writes it. */
export function moment(at: number): string { return `${new Date(at).toISOString().slice(0, -1)}000Z` }

/** Whether this is the thing that is named. */
export function named(name: Named, thing: { readonly id: string; readonly name: string }): boolean {
  return 'id' in name ? name.id === thing.id : name.name === thing.name
}

/** The one version of Keystone that is here. */
export function version(url: string): object {
  return {
    id: 'v3.14', status: 'stable', updated: '2020-04-07T00:00:00Z', links: [{ rel: 'self', href: `${url}/v3/` }],
    'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
  }
}

export function links(urls: CatalogUrls, path: string): object { return { self: `${urls.iam}${path}`, next: null, previous: null } }

export function projectBody(urls: CatalogUrls, project: Project): object {
  return { id: project.id, name: project.name, domain_id: project.domainId, parent_id: project.domainId, enabled: true, is_domain: false, description: '', links: { self: `${urls.iam}/v3/projects/${project.id}` } }
}

export function domainBody(urls: CatalogUrls, domain: Domain): object {
  return { id: domain.id, name: domain.name, enabled: true, description: '', links: { self: `${urls.iam}/v3/domains/${domain.id}` } }
}

export function regionBody(urls: CatalogUrls, region: string): object {
  return { id: region, type: 'public', description: '', parent_region_id: null, locales: { 'en-us': region }, links: { self: `${urls.iam}/v3/regions/${region}` } }
}

export function userBody(urls: CatalogUrls, domainId: string, { id, name, description }: Member): object {
  return { id, name, description, domain_id: domainId, enabled: true, password_expires_at: null, options: {}, links: { self: `${urls.iam}/v3/users/${id}` } }
}

/** A role's name is its id: nothing else has it. */
export function roleBody(urls: CatalogUrls, { name, description }: Role): object {
  return { id: name, name, description, domain_id: null, links: { self: `${urls.iam}/v3/roles/${name}` } }
}
