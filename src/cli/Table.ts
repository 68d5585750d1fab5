import { CliOutput } from "effect/cli"
import { isoOf } from "../schema/Instant.ts"
import { terminalText } from "../schema/TerminalText.ts"

/** A column of a table. `keep` columns are never clipped: ids that a reader will copy. */
export interface Column<Row> {
  readonly title: string
  readonly value: (row: Row) => string
  readonly keep?: boolean
  readonly right?: boolean
}

/**
 * Rows as aligned text, every cell made safe. With a `width` (terminal cells) the widest columns give way until the table
 * fits, but none below 8; without one nothing is clipped.
 */
export const table = <Row>(columns: ReadonlyArray<Column<Row>>, rows: ReadonlyArray<Row>, width?: number): string => {
  const cells = rows.map((row) => columns.map((column) => terminalText(column.value(row), maxCell)))
  const lines = [columns.map((column) => column.title), ...cells]
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => CliOutput.displayWidth(line[i] ?? ""))))
  if (width !== undefined) shrink(widths, columns, width - gap.length * (columns.length - 1))
  return lines
    .map((line) =>
      line
        .map((cell, i) => fitted(cell, widths[i] ?? 0, columns[i]?.right === true))
        .join(gap)
        .trimEnd()
    )
    .join("\n")
}

/** Names and values in two columns. */
export const facts = (pairs: ReadonlyArray<readonly [name: string, value: string]>): string => {
  const width = Math.max(0, ...pairs.map(([name]) => name.length))
  return pairs.map(([name, value]) => `${name.padEnd(width)}${gap}${terminalText(value, maxCell)}`).join("\n")
}

/** A moment in a table: to the millisecond, or where room is short to the minute, in UTC. */
export const momentText = (ms: number, whole: boolean): string => {
  const iso = isoOf(ms)
  return whole ? iso : `${iso.slice(0, 16).replace("T", " ")}Z`
}

const gap = "  "
const maxCell = 2000
const least = 8

const shrink = <Row>(widths: Array<number>, columns: ReadonlyArray<Column<Row>>, room: number) => {
  let over = widths.reduce((sum, one) => sum + one, 0) - room
  while (over > 0) {
    const widest = widths.reduce(
      (best, one, i) => (columns[i]?.keep !== true && one > (widths[best] ?? 0) ? i : best),
      flexible(columns)
    )
    const taken = Math.min(over, (widths[widest] ?? 0) - least)
    if (widest < 0 || taken <= 0) return
    // One cell at a time would be quadratic in the width; half of the surplus still lets equals share.
    const step = Math.max(1, Math.ceil(taken / 2))
    widths[widest] = (widths[widest] ?? 0) - step
    over -= step
  }
}

const flexible = <Row>(columns: ReadonlyArray<Column<Row>>) => columns.findIndex((column) => column.keep !== true)

const fitted = (cell: string, width: number, right: boolean): string => {
  const missing = width - CliOutput.displayWidth(cell)
  if (missing >= 0) return right ? " ".repeat(missing) + cell : cell + " ".repeat(missing)
  let out = ""
  let used = 0
  for (const char of cell) {
    const own = CliOutput.displayWidth(char)
    if (used + own > width - 1) break
    out += char
    used += own
  }
  return `${out}…${" ".repeat(Math.max(0, width - used - 1))}`
}
