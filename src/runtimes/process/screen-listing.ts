/** Reads what nftables says of a home's table. Pure. */
import { addressOf, rangesOf } from '../../core/sources.ts'

/** The rules of an instance, as they are or as they should be. */
export interface Picture {
  /** `ADDRESS . PORT` of every listener that they are about, sorted. */
  readonly doors: readonly string[]
  /** Who may connect, sorted: addresses, and ranges with a hyphen. */
  readonly sources: readonly string[]
  /** Whether every rule is there by which these count. */
  readonly whole: boolean
}

type Value = string | { readonly prefix: { readonly addr: string; readonly len: number } } | { readonly range: readonly [string, string] }
interface Verdict { readonly jump?: { readonly target: string } }
interface Listed {
  readonly chain?: { readonly name: string; readonly type?: string; readonly hook?: string; readonly policy?: string }
  readonly rule?: { readonly chain: string; readonly comment?: string }
  readonly set?: { readonly name: string; readonly elem?: readonly Value[] }
  readonly map?: { readonly name: string; readonly elem?: readonly (readonly [{ readonly concat: readonly [string, number] }, Verdict])[] }
}

/** By the ids of instances. `json`: the answer of `nft -j list table`, or nothing where there is no table. */
export function pictures(json: string): Map<string, Picture> {
  if (json === '') return new Map()
  const listed = (JSON.parse(json) as { nftables: readonly Listed[] }).nftables
  const rules = (chain: string): string => listed.flatMap(({ rule }) => rule?.chain === chain ? [rule.comment ?? '?'] : []).join()
  const hooks = (name: string): string | undefined => { const found = listed.find(({ chain }) => chain?.name === name)?.chain; return found && `${found.type} ${found.hook} ${found.policy}` }
  const base = hooks('arriving') === 'filter input accept' && hooks('leaving') === 'filter output accept' && rules('arriving') === 'ends,doors' && rules('leaving') === 'ends,exits'
  /** By the chain that they lead to. */
  const doors = (name: string): Map<string, string[]> => {
    const all = listed.flatMap(({ map }) => map?.name === name ? map.elem ?? [] : []).map(([{ concat: [address, port] }, verdict]) => ({ door: `${address} . ${port}`, chain: verdict.jump?.target ?? '?' }))
    return new Map([...Map.groupBy(all, ({ chain }) => chain)].map(([chain, found]) => [chain, found.map(({ door }) => door).toSorted()]))
  }
  const [ways, exits] = [doors('doors'), doors('exits')]
  const ids = new Set(listed.flatMap(({ set, chain }) => /^(?:may|in|out)-(.+)$/.exec(set?.name ?? chain?.name ?? '')?.[1] ?? []))
  return new Map([...ids].map((id) => {
    const [ins, outs] = [ways.get(`in-${id}`) ?? [], exits.get(`out-${id}`) ?? []]
    const elements = listed.find(({ set }) => set?.name === `may-${id}`)?.set?.elem ?? []
    const whole = base && rules(`in-${id}`) === 'listed,others' && rules(`out-${id}`) === 'listed,others' && ins.join() === outs.join()
    return [id, { doors: [...new Set([...ins, ...outs])].toSorted(), sources: rangesOf(elements.map(textOf)).map(([first, last]) => first === last ? addressOf(first) : `${addressOf(first)}-${addressOf(last)}`), whole }]
  }))
}

function textOf(value: Value): string {
  if (typeof value === 'string') return value
  return 'prefix' in value ? `${value.prefix.addr}/${value.prefix.len}` : value.range.join('-')
}
