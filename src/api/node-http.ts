/**
 * Words of node:http, taken and not imported: an import looks at each of its exports once, and with them loads a whole HTTP
 * client that nobody here uses, at every start (30 ms of processor time, 13 MB).
 */
export const { METHODS, STATUS_CODES } = process.getBuiltinModule('node:http')
