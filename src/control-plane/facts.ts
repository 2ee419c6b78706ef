/** What the servers of instances say of themselves: asked in one pass with a limit, and remembered for whoever looks again soon. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Engine, Facts } from '../core/engine.ts'
import type { EngineName, Instance, NodeRecord, RuntimeName } from '../core/instance.ts'
import type { Runtime } from '../core/runtime.ts'

export interface FactsParts {
  readonly engines: Readonly<Record<EngineName, Engine>>
  readonly runtimes: Readonly<Record<RuntimeName, Runtime>>
}

export type Asked = readonly { readonly instance: Instance; readonly nodes: readonly NodeRecord[] }[]

export interface FactsDesk {
  /** Of those that answer in time; the others are left out. */
  ask(asked: Asked): Promise<Map<string, Facts>>
  /** As last heard; asks again behind the caller's back when that was a while ago, and waits only for the very first answer. */
  recall(one: Asked[number]): Promise<Facts | null>
  /** As last heard, without asking. */
  last(instanceId: string): Facts | null
}

/** A server that is well answers within a millisecond; nobody waits longer for the figures of one that is not. */
const answersWithinMs = 1000
/** Whoever shows an instance waits this long for its first figures. */
const firstWithinMs = 150
const atOnce = 16
/** Figures this old are asked for anew; of servers that did not answer, later. */
const freshMs = 2000
const silentMs = 30_000
/** More than anybody looks at; the oldest goes. */
const mostKept = 4096

export function factsDesk({ engines, runtimes }: FactsParts): FactsDesk {
  const heard = new Map<string, { readonly facts: Facts | null; readonly at: number }>()
  const asking = new Map<string, Promise<Facts | null>>()

  function keep(id: string, facts: Facts | null): void {
    heard.delete(id)
    heard.set(id, { facts, at: Date.now() })
    if (heard.size > mostKept) heard.delete(heard.keys().next().value!)
  }

  function askOne({ instance, nodes }: Asked[number]): Promise<Facts | null> {
    const under = asking.get(instance.id)
    if (under) return under
    const answer = (async () => {
      const late = new AbortController()
      try {
        const states = await runtimes[instance.runtime].inspect(instance.id, nodes.map((node) => node.id))
        return await Promise.race([engines[instance.engine].facts?.(instance, nodes, states) ?? null, sleep(answersWithinMs, null, { signal: late.signal, ref: false })])
      } catch { return null } finally {
        late.abort()
        asking.delete(instance.id)
      }
    })().then((facts) => { keep(instance.id, facts); return facts })
    asking.set(instance.id, answer)
    return answer
  }

  return {
    async ask(asked) {
      const found = new Map<string, Facts>()
      const rest = [...asked]
      await Promise.all(Array.from({ length: atOnce }, async () => {
        for (let one = rest.shift(); one; one = rest.shift()) {
          const facts = await askOne(one)
          if (facts) found.set(one.instance.id, facts)
        }
      }))
      return found
    },
    async recall(one) {
      const known = heard.get(one.instance.id)
      if (known && Date.now() - known.at < (known.facts ? freshMs : silentMs)) return known.facts
      const answer = askOne(one)
      if (known) return known.facts
      return Promise.race([answer, sleep(firstWithinMs, null, { ref: false })])
    },
    last: (id) => heard.get(id)?.facts ?? null,
  }
}
