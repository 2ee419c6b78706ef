/** The dialect contract, by all four wire forms of the documents. */
import assert from 'node:assert/strict'
import { dialectContract } from './contracts/dialect.ts'

const flat = (body: any): { code: string; message: string } => ({ code: body.error_code, message: body.error_msg })

dialectContract({
  name: 'DCS v2', service: 'dcs', method: 'PUT', path: (project) => `/v2/${project}/instances/status`, actions: ['restart', 'soft_restart', 'flush'], repeated: null,
  codes: {
    noToken: 'DCS.1003', badToken: 'DCS.1001', otherProject: 'DCS.1004', badProject: 'DCS.4002', empty: 'DCS.4004', notJson: 'DCS.4005', action: 'DCS.4064',
    instances: 'DCS.4065', tooMany: 'DCS.4100', badId: 'DCS.4061', unknown: 'DCS.3022', noRoute: 'DCS.4001', wrongMethod: 'DCS.5001',
  },
  envelope(body) {
    assert.deepEqual(Object.keys(body), ['error_msg', 'error_code', 'error_ext_msg'])
    assert.equal(body.error_ext_msg, null)
    return flat(body)
  },
})

dialectContract({
  name: 'DCS v1.0', service: 'dcs', method: 'PUT', path: (project) => `/v1.0/${project}/instances/status`, actions: ['restart', 'flush'], repeated: null,
  codes: {
    noToken: '111401003', badToken: '111401001', otherProject: '111401004', badProject: '111400002', empty: '111400004', notJson: '111400005', action: '111400064',
    instances: '111400065', tooMany: '111400100', badId: '111400061', unknown: '111404022', noRoute: '111404001', wrongMethod: '111405001',
  },
  envelope(body) {
    assert.deepEqual(Object.keys(body), ['error'])
    return { code: body.error.code, message: body.error.message }
  },
})

for (const version of ['v2', 'v1.0']) {
  dialectContract({
    name: `DMS ${version}`, service: 'dms', method: 'POST', path: (project) => `/${version}/${project}/instances/action`, actions: ['restart', 'delete'], repeated: 'DMS.00400082',
    codes: {
      noToken: 'DMS.10240103', badToken: 'DMS.10240101', otherProject: 'DMS.10240104', badProject: 'DMS.00400002', empty: 'DMS.00400004', notJson: 'DMS.00400005', action: 'DMS.00400064',
      instances: 'DMS.00400065', tooMany: 'DMS.00400100', badId: 'DMS.00400061', unknown: 'DMS.00404022', noRoute: 'DMS.00404001', wrongMethod: 'DMS.00405001',
    },
    envelope: flat,
  })
}
