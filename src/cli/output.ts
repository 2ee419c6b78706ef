/** What a person sees: tables, bars, questions. On a pipe everything is plain lines. */
import { createInterface } from 'node:readline/promises'

export function table(rows: readonly Readonly<Record<string, unknown>>[], columns: readonly string[]): string {
  const cell = (value: unknown): string => value === null || value === undefined ? '-' : String(value).split('\n')[0]!
  const widths = columns.map((column) => Math.max(column.length, ...rows.map((row) => cell(row[column]).length)))
  const line = (cells: readonly string[]): string => cells.map((text, i) => i === cells.length - 1 ? text : text.padEnd(widths[i]!)).join('  ')
  return [line(columns.map((column) => column.toUpperCase())), ...rows.map((row) => line(columns.map((column) => cell(row[column]))))].join('\n')
}

/** Asks on the terminal; without one the answer is no. */
export async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) return false
  const prompt = createInterface({ input: process.stdin, output: process.stderr })
  try { return /^y(es)?$/i.test((await prompt.question(`${question} [y/N] `)).trim()) } finally { prompt.close() }
}

/** Asks on the terminal, and shows nothing of the answer. */
export async function askSecret(question: string): Promise<string> {
  process.stderr.write(question)
  const prompt = createInterface({ input: process.stdin, terminal: true })
  try { return await prompt.question('') } finally { prompt.close(); process.stderr.write('\n') }
}

export interface Bar { readonly label: string; readonly done: boolean; readonly failed: boolean; readonly text: string }

/** Redraws one line an instance on a terminal; on a pipe prints each change once. */
export function progress(stream: NodeJS.WriteStream): { draw(bars: readonly Bar[]): void; end(): void } {
  let drawn = 0
  const last = new Map<string, string>()
  let turn = 0
  return {
    draw(bars) {
      turn += 1
      const finished = bars.filter((bar) => bar.done || bar.failed).length
      const mark = (bar: Bar): string => bar.failed ? '✗' : bar.done ? '✓' : '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏'[turn % 10]!
      if (!stream.isTTY) {
        for (const bar of bars) {
          if (last.get(bar.label) === bar.text) continue
          last.set(bar.label, bar.text)
          stream.write(`${bar.label}  ${bar.text}\n`)
        }
        return
      }
      const width = 24
      const filled = Math.round(width * finished / Math.max(1, bars.length))
      const lines = bars.slice(0, Math.max(1, (stream.rows ?? 24) - 3)).map((bar) => `${mark(bar)} ${bar.label}  ${bar.text.split('\n')[0]}`.slice(0, (stream.columns ?? 80) - 1))
      if (bars.length > 1) lines.push(`[${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ${finished}/${bars.length}`)
      stream.write(`${drawn > 0 ? `\u001b[${drawn}A` : ''}${lines.map((line) => `\u001b[2K${line}`).join('\n')}\n\u001b[0J`)
      drawn = lines.length
    },
    end() { drawn = 0 },
  }
}

export function print(value: unknown): void { console.log(JSON.stringify(value, null, 2)) }
