import { readFileSync } from "node:fs"
import { cpus, release, totalmem, type } from "node:os"
import { join } from "node:path"
import { goalText, isReached, number, type Row } from "./Row.ts"

export interface Findings {
  readonly rows: ReadonlyArray<Row>
  readonly rounds: number
  /** Of PostgreSQL. */
  readonly version: string
  readonly durability: string
}

/** The table of `docs/benchmarks.md`, with what it was measured on. */
export const markdown = ({ durability, rounds, rows, version }: Findings): string =>
  [
    "# Benchmarks",
    "",
    "Written by `npm run bench`. Ratios of one run in which both sides take turns, round by round, on one machine: the median of",
    "the rounds' ratios, then the smallest and the largest. Absolute figures belong to this machine and this day; compare ratios.",
    "",
    `- Date: ${new Date().toISOString().slice(0, 10)}, ${rounds} rounds after one that warms up`,
    `- Machine: ${cpus().length} x ${cpus()[0]?.model.trim() ?? "unknown"}, ${number(totalmem() / 2 ** 30)} GiB; ${operatingSystem()}`,
    `- Node ${process.versions.node}, PostgreSQL ${version} on the same machine (${durability})`,
    `- ${["effect", "@effect/sql-pg", "@microsoft/agent-governance-sdk"].map((name) => `${name} ${packageVersion(name)}`).join(", ")}`,
    "",
    "| id | operation | measured against | goal | median (min..max) | reached | medians |",
    "|---|---|---|---|---|---|---|",
    ...rows.map((row) => {
      const { against, figures, id, what } = row
      return `| ${[id, what, against, goalText(row), measured(row), reached(row), figures].join(" | ")} |`
    }),
    ""
  ].join("\n")

/** The same for a terminal, as soon as it is known. */
export const line = (row: Row): string =>
  `  ${row.what}: ${measured(row)} ${row.goal === null ? "" : `(goal ${goalText(row)}, ${reached(row)})`} ${row.figures}`

const measured = ({ measured: { max, median, min }, unit }: Row) =>
  `${number(median)}${unit} (${number(min)}..${number(max)})`

const reached = (row: Row) => {
  const yes = isReached(row)
  return yes === null ? "" : yes ? "yes" : "no"
}

const packageVersion = (name: string): string => {
  const text = readFileSync(join(import.meta.dirname, "..", "node_modules", name, "package.json"), "utf8")
  const { version }: { readonly version?: string } = JSON.parse(text)
  return version ?? "unknown"
}

const operatingSystem = () => {
  try {
    const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1]
    return `${name ?? type()}, ${type()} ${release()}`
  } catch {
    return `${type()} ${release()}`
  }
}
