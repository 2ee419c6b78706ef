#!/usr/bin/env node
// Node 24 runs the TypeScript sources as they are; an older one on PATH hands over to the one in node_modules.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

if (Number(process.versions.node.split('.')[0]) >= 24) {
  await import('./compiled.js')
  await import('../src/cli/index.ts')
} else {
  const child = spawn(fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url)), [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', () => { console.error('sluice needs Node 24: run "npm ci" in its folder, which brings one'); process.exit(1) })
  child.on('exit', (code, signal) => process.exit(signal ? 1 : code ?? 1))
}
