/** Who may do what: roles are lists of rules over the action that each route names, in the clouds' words: `dcs:instance:get`. */

export interface Rule {
  readonly effect: 'allow' | 'deny'
  /** `*` stands for any text: `dcs:instance:*`, `*:*:get*`. */
  readonly actions: readonly string[]
}

export interface Role { readonly name: string; readonly description: string; readonly rules: readonly Rule[] }

/** Those that are always there, and never change. */
export const builtInRoles: readonly Role[] = [
  { name: 'admin', description: 'everything', rules: [{ effect: 'allow', actions: ['*'] }] },
  { name: 'readonly', description: 'looks at everything, and changes nothing', rules: [{ effect: 'allow', actions: ['*:*:get*', '*:*:list*'] }] },
]

/** `read only`: the caller may look and no more; `no role`: it has nothing to do here at all. */
export type Verdict = 'allowed' | 'denied' | 'read only' | 'no role'

/** What these roles, which somebody has in a place, say to an action. A rule that denies wins over all that allow. */
export function judge(roles: readonly Role[], action: string): Verdict {
  if (roles.length === 0) return 'no role'
  const matching = roles.flatMap((role) => role.rules).filter((rule) => rule.actions.some((pattern) => covers(pattern, action)))
  if (matching.length > 0 && matching.every((rule) => rule.effect === 'allow')) return 'allowed'
  return roles.every((role) => role.name === 'readonly') ? 'read only' : 'denied'
}

/** Whether a rule's pattern covers an action. */
export function covers(pattern: string, action: string): boolean {
  const [first, ...rest] = pattern.split('*')
  if (rest.length === 0) return pattern === action
  if (!action.startsWith(first!)) return false
  let at = first!.length
  const last = rest.pop()!
  for (const part of rest) {
    const found = action.indexOf(part, at)
    if (found === -1) return false
    at = found + part.length
  }
  return action.length - last.length >= at && action.endsWith(last)
}
