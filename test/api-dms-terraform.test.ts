/** DMS on the wire, for what Terraform asks besides: products, zones, windows, descriptions and tags. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { people, projectId, type Ground } from './support/api-double.ts'
import { dmsGround, refusedAs, send, v2, wish } from './support/dms-wire.ts'

let g: Ground
dmsGround((ground) => { g = ground })

test('what Terraform asks besides: products, zones, windows, and another description without a restart', async () => {
  const get = async (path: string) => { const r = await send('GET', path); assert.equal(r.status, 200, r.text); return r.json }
  for (const path of ['/v2/available-zones', '/v1.0/availableZones']) {
    const { regionId, region_id: region, available_zones: zones } = await get(path)
    assert.deepEqual([regionId, region, zones[0].id, zones[0].resource_availability], [people.region, people.region, `${people.region}-01`, 'true'])
  }
  assert.deepEqual((await get('/v2/instances/maintain-windows')).maintain_windows.slice(0, 2), [{ default: false, seq: 1, begin: '22', end: '02' }, { default: true, seq: 2, begin: '02', end: '06' }])
  assert.equal((await get('/v1.0/instances/maintain-windows')).maintain_windows[5].begin, '18:00:00')
  const { versions, products } = await get('/v2/kafka/products')
  assert.deepEqual([versions, products.length, products[1].properties.min_broker], [['1.1.0', '2.3.0', '2.7', '3.x'], 9, '1'])
  const { products: [one, ...others] } = await get('/v2/kafka/products?product_id=c6.2u4g.cluster')
  assert.deepEqual([one.product_id, one.type, one.ios[0].available_zones.length, one.properties.max_partition_per_broker, others.length], ['c6.2u4g.cluster', 'cluster', 3, '250', 0])
  // gophertelekomcloud's acceptance test takes the first of version 2.3.0, and orders what it says.
  const old = (await get('/v1.0/products?engine=kafka')).Hourly.find((each: any) => each.version === '2.3.0').values[0].detail[0]
  const ordered = await send('POST', v2, wish({ broker_num: undefined, product_id: old.product_id, storage_space: Number(old.storage), specification: old.vm_specification, partition_num: Number(old.partition_num), storage_spec_code: old.io[0].storage_spec_code, engine_version: '2.3.0' }))
  assert.equal(ordered.status, 200, ordered.text)
  assert.deepEqual((await get('/v1.0/products?engine=rabbitmq')).Hourly, [])
  const id = g.seed('kafka')
  const put = (body: unknown, of = id) => send('PUT', `${v2}/${of}`, body)
  const group = randomUUID()
  for (const [body, seen] of [
    [{ name: 'other', description: '', maintain_begin: '22:00', maintain_end: '02:00', security_group_id: group, retention_policy: 'time_base' }, { update: 'other', description: '', maintainBegin: '22:00:00', maintainEnd: '02:00:00', securityGroupId: group, retentionPolicy: 'time_base' }],
    [{}, { update: null }],
  ] as const) {
    const r = await put(body)
    assert.equal(r.status, 204, r.text)
    assert.deepEqual(g.wishes.at(-1), seen)
  }
  const before = g.wishes.length
  for (const [body, code] of [[{ name: 'x' }, 'DMS.00400010'], [{ description: 'x'.repeat(1025) }, 'DMS.00400011'], [{ description: 1 }, 'DMS.00400062'], [{ maintain_begin: '22:00' }, 'DMS.00400106'], [{ security_group_id: 'x' }, 'DMS.00400046'], [{ retention_policy: 'x' }, 'DMS.00400062'], [{ enable_publicip: true }, 'DMS.00400128'], ['', 'DMS.00400004']] as const) refusedAs(await put(body), 400, code)
  refusedAs(await put({}, randomUUID()), 404, 'DMS.00404022')
  assert.equal(g.wishes.length, before)
})

test('tags of an instance and of the project', async () => {
  const id = g.seed('kafka')
  const tags = `/v2/${projectId}/kafka/${id}/tags`
  const act = (action: string, list: unknown, path = tags) => send('POST', `${path}/action`, { action, tags: list })
  assert.equal((await act('create', [{ key: 'muh', value: 'kuh' }, { key: 'a', value: 'b' }])).status, 204)
  assert.deepEqual((await send('GET', tags)).json, { tags: [{ key: 'muh', value: 'kuh' }, { key: 'a', value: 'b' }] })
  assert.equal((await act('create', [{ key: 'a', value: 'c' }])).status, 204)
  refusedAs(await act('delete', [{ key: 'nobody', value: 'x' }]), 404, 'DMS.10240426')
  assert.equal((await act('delete', [{ key: 'muh' }])).status, 204)
  assert.deepEqual((await send('GET', tags)).json, { tags: [{ key: 'a', value: 'c' }] })
  assert.deepEqual((await send('GET', `/v2/${projectId}/kafka/tags`)).json, { tags: [{ key: 'a', values: ['c'] }] })
  refusedAs(await act('count', []), 400, 'DMS.10240040')
  refusedAs(await act('create', []), 400, 'DMS.00400062')
  refusedAs(await act('create', [{ key: '_sys_x', value: '' }]), 400, 'DMS.10240036')
  refusedAs(await act('create', Array.from({ length: 20 }, (_, n) => ({ key: `k${n}`, value: '' }))), 400, 'DMS.00400062')
  refusedAs(await send('GET', `/v2/${projectId}/kafka/${randomUUID()}/tags`), 404, 'DMS.00404022')
  refusedAs(await act('create', [{ key: 'a', value: 'b' }], `/v2/${projectId}/kafka/x/tags`), 400, 'DMS.00400061')
})
