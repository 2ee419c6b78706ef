/** Dry runs on the wire: an extension of ours, the same for every dialect. */
import type { Plan } from '../core/plan.ts'

/** `?dry_run=true`; null for anything that leaves open whether it is one. */
export function readDryRun(query: URLSearchParams): boolean | null {
  const value = query.getAll('dry_run')
  if (value.length > 1) return null
  return value[0] === 'true' ? true : value.length === 0 || value[0] === '' || value[0] === 'false' ? false : null
}

export function planBody({ nodes, gap, risk }: Plan): object {
  return {
    nodes: nodes.map(({ node, role, what }) => ({ node: node.id, number: node.ordinal, role, what })),
    gap: { from_ms: gap.fromMs, to_ms: gap.toMs, why: gap.why }, data_at_risk: risk,
  }
}
