/** What a measurement says: ours beside the bare thing, from the same run. */

export interface Line {
  readonly topic: string
  readonly what: string
  readonly unit: 'ms' | 'requests/s' | 'MB' | '% of a core' | 'sends'
  readonly sluice: number
  /** The same done without a control plane; null where there is nothing of the kind. */
  readonly bare: number | null
  readonly target?: Target
  /** A bound on Sluice's own figure, where one was promised whatever the machine. */
  readonly limit?: number
  /** How many samples each side has. */
  readonly samples: number
  /** What the bare side is, or anything else a reader must know. */
  readonly note?: string
}

/** A bound on sluice / bare. */
export type Target = { readonly atLeast: number } | { readonly atMost: number }

/** The value below which this part of the samples lies; nearest rank. */
export function quantile(samples: readonly number[], part: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? NaN
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Median and the two quantiles of one pair of sample lists; the target is for the median. */
export function timings(topic: string, what: string, sluice: readonly number[], bare: readonly number[], more: { readonly target?: Target; readonly note?: string } = {}): Line[] {
  const samples = Math.min(sluice.length, bare.length)
  const line = (name: string, of: (list: readonly number[]) => number): Line => ({ topic, what: `${what}, ${name}`, unit: 'ms', sluice: of(sluice), bare: of(bare), samples })
  const lines: Line[] = [{ ...line('median', median), ...more }]
  // The 99th of a hundredth of a hundred is noise, and of five it is their maximum under another name.
  if (samples >= 50) lines.push(line('p50', (list) => quantile(list, 0.5)), line('p99', (list) => quantile(list, 0.99)))
  else lines.push(line('slowest', (list) => quantile(list, 1)))
  return lines
}

export function ratioOf({ sluice, bare }: Line): number | null { return bare === null || bare === 0 ? null : sluice / bare }

/** Null when there is no target. */
export function isMet(line: Line): boolean | null {
  const ratio = ratioOf(line)
  if (line.limit !== undefined) return line.sluice <= line.limit
  if (!line.target || ratio === null) return null
  return 'atLeast' in line.target ? ratio >= line.target.atLeast : ratio <= line.target.atMost
}

/** The lines as a table for people. */
export function table(lines: readonly Line[]): string {
  const rows = [['topic', 'what', 'Sluice', 'bare', 'unit', 'ratio', 'target', '', 'n', 'note'], ...lines.map((line) => {
    const ratio = ratioOf(line)
    const met = isMet(line)
    return [
      line.topic, line.what, short(line.sluice), line.bare === null ? '' : short(line.bare), line.unit, ratio === null ? '' : `${ratio.toFixed(2)} x`,
      line.target ? 'atLeast' in line.target ? `>= ${line.target.atLeast} x` : `<= ${line.target.atMost} x` : line.limit === undefined ? '' : `<= ${line.limit} ${line.unit}`, met === null ? '' : met ? 'met' : 'MISSED',
      String(line.samples), line.note ?? '',
    ]
  })]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) => row.map((cell, column) => [2, 3, 5, 8].includes(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)).join('  ').trimEnd()).join('\n')
}

function short(value: number): string { return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2) }
