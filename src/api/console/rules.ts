/** Reads the rules of a role. */
import { covers, type Rule } from '../../core/policy.ts'
import { isObject, isText } from '../json.ts'

/** The rules, or what is wrong with them. A pattern that covers no action is a slip that would go unnoticed for long. */
export function readRules(value: unknown, actions: readonly string[]): Rule[] | string {
  if (!Array.isArray(value) || value.length === 0 || value.length > 50) return 'rules must be a list of 1 to 50'
  const rules: Rule[] = []
  for (const one of value) {
    if (!isObject(one) || (one['effect'] !== 'allow' && one['effect'] !== 'deny')) return 'each rule needs an effect, allow or deny'
    const patterns = one['actions']
    if (!Array.isArray(patterns) || patterns.length === 0 || patterns.length > 200) return 'each rule needs a list of 1 to 200 actions'
    for (const pattern of patterns) {
      if (!isText(pattern, 128) || !/^[A-Za-z:*]+$/.test(pattern)) return 'an action is letters and colons, like dcs:instance:get; * stands for any text'
      if (!actions.some((action) => covers(pattern, action))) return `${pattern} covers no action: GET /v1/actions lists them`
    }
    rules.push({ effect: one['effect'], actions: patterns as string[] })
  }
  return rules
}
