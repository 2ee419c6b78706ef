/** Waits for accepted operations and shows where they stand. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Complaint, type Client, type Service } from './client.ts'
import { progress, type Bar } from './output.ts'

/** A person sees movement; the server answers this in a millisecond. */
const pollMs = 100

export interface Awaited { readonly id: string; readonly outcome: 'done' | 'failed'; readonly cause: string | null }

/** Until no operation of these instances is open; draws on standard error. */
export async function waitFor(client: Client, service: Extract<Service, 'dcs' | 'dms'>, ids: readonly string[], quiet: boolean): Promise<Awaited[]> {
  const bars = progress(process.stderr)
  for (;;) {
    const states = await Promise.all(ids.map((id) => look(client, service, id)))
    if (!quiet) bars.draw(states.map((state): Bar => ({ label: state.id, done: state.outcome === 'done', failed: state.outcome === 'failed', text: state.text })))
    if (states.every((state) => state.outcome !== null)) {
      bars.end()
      return states.map(({ id, outcome, cause }) => ({ id, outcome: outcome!, cause }))
    }
    await sleep(pollMs)
  }
}

/** Every operation of a batch is judged by the latest task of its instance. */
async function look(client: Client, service: 'dcs' | 'dms', id: string): Promise<{ id: string; outcome: 'done' | 'failed' | null; text: string; cause: string | null }> {
  const { operations } = await client.call<{ operations: { action: string; outcome: string | null; cause: string | null; progress: string | null; nodes: Record<string, string> }[] }>('console', 'GET', `/v1/operations?instance=${id}&limit=1`)
  const latest = operations[0]
  if (!latest) throw new Complaint(`${service.toUpperCase()} instance ${id} is not known`)
  if (latest.outcome === null) return { id, outcome: null, text: `${latest.action}${latest.progress ? `: ${latest.progress}` : ''}${nodesText(latest.nodes)}`, cause: null }
  const done = latest.outcome !== 'failed'
  return { id, outcome: done ? 'done' : 'failed', text: `${latest.action} ${done ? latest.outcome : `failed: ${latest.cause}`}`, cause: latest.cause }
}

/** What each node is at, by its number; nothing where one node is all there is. */
function nodesText(nodes: Readonly<Record<string, string>>): string {
  const entries = Object.entries(nodes).map(([id, text]) => [Number(id.split('-').at(-1)), text] as const).toSorted(([a], [b]) => a - b)
  return entries.length < 2 ? '' : `  [${entries.map(([number, text]) => `${number}: ${text}`).join(' · ')}]`
}
