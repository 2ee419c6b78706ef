/** Writes docs/compatibility.md from the documented endpoints and the route table; with `--check`, only says whether it is up to date. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { dcsFreeRows, dcsRows } from '../src/api/dcs/routes.ts'
import { endpointOf, endpoints } from '../src/api/dcs/endpoints.ts'
import type { Endpoint } from '../src/api/dcs/endpoints.ts'

const path = join(resolve(import.meta.dirname, '..'), 'docs', 'compatibility.md')
const served = new Map<Endpoint, { readonly declines?: { readonly code: string; readonly because: string } }>()
const ours: string[] = []
for (const [method, route, handle] of [...dcsFreeRows.map(([method, route]) => [method, route, {}] as const), ...dcsRows.map(([method, route, , handle]) => [method, route, handle] as const)]) {
  const endpoint = endpointOf(method, route)
  if (endpoint) served.set(endpoint, handle)
  else ours.push(`\`${method} ${route.replaceAll(/:(\w+)/g, '{$1}')}\``)
}

const tiers: readonly (readonly [tier: string, title: string])[] = [['S', 'The main job'], ['L', "An instance's life"], ['O', 'Operations']]
const states = endpoints.map((endpoint) => ({ endpoint, state: stateOf(endpoint) }))
const count = (word: string): number => states.filter(({ state }) => state.word === word).length

function stateOf(endpoint: Endpoint): { readonly word: string; readonly note: string } {
  const handle = served.get(endpoint)
  if (!handle) return { word: 'absent', note: '' }
  return handle.declines ? { word: 'documented error', note: `${handle.declines.code}: ${handle.declines.because}` } : { word: 'works', note: '' }
}

const text = `# DCS, endpoint by endpoint

Written by \`npm run compatibility\` from the documented endpoints (\`src/api/dcs/endpoints.tsv\`) and the route table; \`npm run check\`
fails when it is not up to date. Do not edit it.

- **works**: does what the document says, on a real Redis.
- **documented error**: Sluice has nothing to do it with, and answers a code that the document lists, with the reason.
- **absent**: answers as an address that does not exist.

Of ${endpoints.length} endpoints ${count('works')} work, ${count('documented error')} answer a documented error, and ${count('absent')} are absent.
${tiers.map(([tier, title]) => `
## ${title}

| operation | endpoint | state | |
|---|---|---|---|
${states.filter(({ endpoint }) => endpoint.tier === tier).map(({ endpoint: { operation, method, path: at }, state: { word, note } }) => `| ${operation} | \`${method} ${at}\` | ${word} | ${note} |`).join('\n')}
`).join('')}
## Besides these

Routes of the DCS listener that no document lists: ${ours.length === 0 ? 'none' : ours.join(', ')}; \`GET /openapi.json\` and \`GET /docs\`.
`

if (process.argv.includes('--check')) {
  let now = ''
  try { now = readFileSync(path, 'utf8') } catch { /* not there yet */ }
  if (now === text) console.log('docs/compatibility.md is up to date')
  else {
    console.error('docs/compatibility.md is not up to date: run "npm run compatibility" and commit it')
    process.exitCode = 1
  }
} else writeFileSync(path, text)
