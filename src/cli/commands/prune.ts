import { Duration, Effect, Option } from "effect"
import { CliError, Command, Flag } from "effect/cli"
import type { InvalidInput } from "../../schema/InvalidInput.ts"
import type { RetentionRefused } from "../../schema/RetentionError.ts"
import { terminalText } from "../../schema/TerminalText.ts"
import { Retention } from "../../services/Retention.ts"
import type { PruneReport } from "../../services/RetentionReport.ts"
import type { AgedRows } from "../../services/RetentionStore.ts"
import { archiveTo } from "../Archive.ts"
import { counted, UsageError } from "../CliFailure.ts"
import { withKeeping } from "../Environment.ts"
import { chainIdOf } from "../Names.ts"
import { by, operator } from "../Operator.ts"
import { answer, notice } from "../Output.ts"
import { table } from "../Table.ts"

/** Takes old rows out of the log under seals, so that the rest still verifies. Needs the owner's connection. */
export const prune = Command.make("prune", {
  olderThan: Flag.String("older-than").pipe(
    Flag.withMetavar("time"),
    Flag.withDescription("Rows written longer ago than this: 200d, 36h, 90m; at least 183d")
  ),
  chain: Flag.String("chain").pipe(
    Flag.withMetavar("name"),
    Flag.withDescription("Only this chain: session:<id> or agent:<id>"),
    Flag.optional
  ),
  all: Flag.Boolean("all").pipe(Flag.withDescription("Every chain"), Flag.withoutNegation, Flag.withDefault(false)),
  archive: Flag.String("archive").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("Write the rows to this new file first, as JSON lines that the seals still prove"),
    Flag.optional
  ),
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDescription("Say what would go, change nothing"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  allowShorter: Flag.Boolean("allow-shorter").pipe(
    Flag.withDescription("Prune rows younger than the minimum; the law may ask you to keep them"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  by
}).pipe(
  Command.withDescription(
    "Delete old rows of the audit log under a seal. What is left still verifies, and says what is gone."
  ),
  Command.withExamples([
    { command: "governance prune --older-than 200d --all --dry-run", description: "See first what would go" },
    {
      command: "governance prune --older-than 200d --all --archive 2026-01.jsonl --database-url env:OWNER_URL",
      description: "Keep the rows in a file of your own"
    }
  ]),
  Command.validate(({ all, chain }) =>
    Option.isSome(chain) === all
      ? Effect.fail(
          new CliError.ValidationError({ message: "Give --chain NAME for one chain, or --all for every one" })
        )
      : Effect.void
  ),
  Command.withHandler(
    Effect.fnUntraced(
      function* (input) {
        const olderThan = yield* durationOf(input.olderThan)
        const chain = Option.isSome(input.chain) ? yield* chainIdOf(input.chain.value) : undefined
        const wish = { olderThan, chain, allowShorter: input.allowShorter }
        const retention = yield* Retention
        if (input.dryRun) {
          const { refused, rows } = yield* Effect.catchTag(retention.plan(wish), "InvalidInput", ofFlag)
          yield* answer({ dryRun: true, rows, refused: refused.map(refusalJson) }, (width) => planText(rows, width))
          return yield* tellRefused(refused, chain)
        }
        const name = yield* operator(input.by)
        const archive = yield* archiveTo(input.archive)
        const report = yield* Effect.catchTag(retention.prune({ ...wish, by: name, archive }), "InvalidInput", ofFlag)
        yield* answer({ ...report, refused: report.refused.map(refusalJson) }, (width) => reportText(report, width))
        yield* tellRefused(report.refused, chain)
      },
      Effect.scoped,
      withKeeping
    )
  )
)

const units = { d: "days", h: "hours", m: "minutes", s: "seconds" } as const

const durationOf = (text: string) => {
  const found = /^([1-9]\d{0,5})([dhms])$/.exec(text)
  const unit = Object.entries(units).find(([letter]) => letter === found?.[2])?.[1]
  return found === null || unit === undefined
    ? Effect.fail(
        new UsageError({
          subject: "--older-than",
          problem: "is no length of time",
          todo: "Write it as 200d, 36h or 90m."
        })
      )
    : Effect.succeed(Duration.fromInputUnsafe(`${Number(found[1])} ${unit}`))
}

/** An age that the service refuses, in the words of this command line. */
const ofFlag = (error: InvalidInput) =>
  Effect.fail(
    error.field === "olderThan"
      ? new UsageError({
          subject: "--older-than",
          problem: error.problem,
          todo: "Give a longer time; or --allow-shorter, if no law binds you to keep the log."
        })
      : error
  )

/** Of one chain that was asked for, the reason is the answer; of many it is news. */
const tellRefused = Effect.fnUntraced(function* (refused: ReadonlyArray<RetentionRefused>, chain: string | undefined) {
  const [first] = refused
  if (chain !== undefined && first !== undefined) return yield* first
  for (const one of refused.slice(0, mostLines)) yield* notice(one.message)
  for (const line of moreLines(refused.length)) yield* notice(line)
})

const refusalJson = ({ chain, holds, message, problem }: RetentionRefused) => ({ chain, problem, message, holds })

const rowsOf = ({ fromSeq, toSeq }: AgedRows) => toSeq - fromSeq + 1
const total = (rows: ReadonlyArray<AgedRows>) => rows.reduce((sum, one) => sum + rowsOf(one), 0)
const columns = [
  { title: "CHAIN", keep: true, value: (row: AgedRows) => row.chain },
  { title: "FROM", right: true, keep: true, value: (row: AgedRows) => String(row.fromSeq) },
  { title: "TO", right: true, keep: true, value: (row: AgedRows) => String(row.toSeq) },
  { title: "ROWS", right: true, keep: true, value: (row: AgedRows) => String(rowsOf(row)) }
]

/** As many lines as a person reads; all of them are in the JSON. */
const mostLines = 20

const moreLines = (count: number): ReadonlyArray<string> =>
  count <= mostLines ? [] : [`and ${count - mostLines} more; --json lists all`]

export const segmentTable = (rows: ReadonlyArray<AgedRows>, width: number | undefined): string =>
  [table(columns, rows.slice(0, mostLines), width), ...moreLines(rows.length)].join("\n")

const planText = (rows: ReadonlyArray<AgedRows>, width: number | undefined): string =>
  rows.length === 0
    ? "Nothing is old enough: nothing would go."
    : `${segmentTable(rows, width)}\n\n${counted(total(rows), "row")} would go; nothing was changed.`

const reportText = ({ pruned, waiting }: PruneReport, width: number | undefined): string =>
  [
    ...(pruned.length === 0 ? [] : [segmentTable(pruned, width), ""]),
    pruned.length === 0
      ? "Nothing was pruned."
      : `${counted(total(pruned), "row")} pruned under ${counted(pruned.length, "seal")} in chain operator.`,
    ...waiting
      .slice(0, mostLines)
      .map(
        ({ chain, fromSeq, toSeq }) =>
          `${terminalText(chain)}: rows ${fromSeq} to ${toSeq} are sealed and wait for a checkpoint; run it again then.`
      ),
    ...moreLines(waiting.length)
  ].join("\n")
