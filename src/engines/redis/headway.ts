/** What a node says of long work, in steps that are few: each new one counts as headway, and a circle must run out of them. */
import type { Info } from './client.ts'

const gib = 1 << 30

/** "loading its data (43 %)" */
export const loads = (info: Info): string => `loading its data (${percent(info('loading_loaded_perc')) ?? '?'} %)`

/** Of a replica without a link: "copying the data from the master (1.2 GiB)", for of a copy that goes from memory to memory nobody knows the whole. */
export function links(info: Info): string {
  if (info('master_sync_in_progress') !== '1') return 'connecting to the master'
  const read = Number(info('master_sync_read_bytes') ?? 0)
  return `copying the data from the master${read >= gib / 10 ? ` (${(Math.floor(read / gib * 10) / 10).toFixed(1)} GiB)` : ''}`
}

/** " (43 %)" of a file that a child is writing, or nothing. */
export function writes(info: Info): string {
  const part = info('aof_rewrite_in_progress') === '1' ? percent(info('current_fork_perc')) : null
  return part ? ` (${part} %)` : ''
}

/** What an error says, without the port that this side happened to have, which is another one each time. */
export const words = (error: unknown): string => (error as Error).message.replace(/ - Local \([^)]*\)$/, '')

/** Redis gives hundredths of a hundredth. */
function percent(text: string | undefined): number | null { return text === undefined ? null : Math.floor(Number(text)) }
